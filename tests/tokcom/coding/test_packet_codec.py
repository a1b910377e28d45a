import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tokcom.coding.packet_codec import PacketCodec
from tokcom.errors import FrameError, ParameterError


@given(
    code=st.sampled_from(("k3", "k7")), size=st.integers(2, 1 << 18), count=st.integers(1, 8),
    rate=st.sampled_from(("1/2", "2/3", "3/4")), seed=st.integers(0, 2**32 - 1),
)  # fmt: skip
def test_packets_of_any_codebook_come_back(code, size, count, rate, seed):
    codec = PacketCodec(code, size, count, rate)
    packets = np.random.default_rng(seed).integers(0, size, (5, count))
    coded = codec.encode(packets)
    assert coded.shape == (5, codec.coded_length)
    tokens, ok = codec.decode(coded * 8.0 - 4)
    assert ok.all() and np.array_equal(tokens, packets)


@pytest.mark.parametrize(("code", "length"), [("k7", 124), ("k3", 102)])
def test_lengths_of_the_case_study(code, length):
    """Four 10-bit tokens: 40 + 16 + 6 bits at rate 1/2, and the paper's 40 + 11 (section VI-A)."""
    assert PacketCodec(code).coded_length == length


def test_noise_alone_does_not_pass_for_packets():
    """A CRC-16 lets one in 65536 random packets through."""
    _, ok = PacketCodec("k7").decode(np.random.default_rng(0).normal(size=(4000, 124)))
    assert ok.sum() <= 2


def test_a_packet_whose_token_lies_outside_the_codebook_fails():
    wide, narrow = PacketCodec("k7", 1024, 1), PacketCodec("k7", 1000, 1)
    _, ok = narrow.decode(wide.encode(np.array([[999], [1000]])) * 2.0 - 1)
    assert ok.tolist() == [True, False]


def test_bad_packets_are_named():
    with pytest.raises(ParameterError, match="tokens_per_packet is 0"):
        PacketCodec(tokens_per_packet=0)
    with pytest.raises(ParameterError, match=r"\(3, 5\)"):
        PacketCodec().encode(np.zeros((3, 5), int))
    with pytest.raises(FrameError, match="1024"):
        PacketCodec().encode(np.full((1, 4), 1024))
