import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tokcom.errors import SourceError
from tokcom.frame import LOST, BitFrame
from tokcom.link.receiver import Receiver
from tokcom.link.transmitter import TransmitConfig, Transmitter
from tokcom.packets.codebook import Codebook
from tokcom.source.blocks import SourceSettings
from tokcom.source.frame_blocks import decode, encode, regions_of
from tokcom.source.payload import as_bits, from_bits, packet_bits

pytest.importorskip("constriction")

SETTINGS = SourceSettings(turns=6, blocks=4)


@pytest.fixture(scope="module")
def frame(prior, sample):
    return sample(prior, 9, 1)


@pytest.fixture(scope="module")
def bits(prior, frame):
    return as_bits(encode(frame, prior, SETTINGS), "coded tiny", frame_id=9)


def test_blocks_come_back(prior, frame, bits):
    coded = encode(frame, prior, SETTINGS)
    found = from_bits(bits, 4)
    assert len({len(block) for block in coded}) > 1
    assert all(padded.startswith(block) for padded, block in zip(found, coded, strict=True))
    assert decode(found, frame, prior, SETTINGS) == frame


def test_a_lost_packet_costs_its_block_alone(prior, frame, bits):
    """Through a burst: of four packets the third is not sent."""
    each = packet_bits(bits, 4)
    known = [Codebook("coded tiny", 2, "bits")]
    sender = Transmitter(TransmitConfig("qpsk-1/2", bits_per_packet=each), known)
    burst = sender.transmit(bits, mcs=np.array([3, 3, 15, 3], np.uint8))
    (reception,) = Receiver(known).receive(np.pad(burst, 1000))
    assert isinstance(reception.frame, BitFrame) and reception.frame.lost.sum() == each
    whole = decode(from_bits(reception.frame, 4), frame, prior, SETTINGS)
    assert set(np.flatnonzero(whole.lost)) == set(regions_of(encode(frame, prior, SETTINGS), frame.grid)[2].places)
    np.testing.assert_array_equal(whole.tokens[~whole.lost], frame.tokens[~whole.lost])


def test_blocks_of_unlike_numbers_of_tokens(prior, frame):
    """Of 22, 22 and 20 tokens that nothing predicts: sent as they are behind their regions, and the shorter ones with
    more zeros behind."""
    strange, settings = frame.with_tokens(np.random.default_rng(1).permutation(64) % 48), SourceSettings(blocks=3)
    coded = encode(strange, prior, settings)
    assert [len(block) for block in coded] == [18, 18, 16]
    assert decode(from_bits(as_bits(coded, "coded tiny"), 3), frame, prior, settings) == strange


@given(st.lists(st.binary(min_size=1, max_size=5), min_size=1, max_size=5))
def test_zeros_at_the_end_of_all_blocks_are_left_out(blocks):
    bits, size = as_bits(blocks, "any"), max(map(len, blocks))
    assert from_bits(bits, len(blocks)) == [block.ljust(size, b"\0") for block in blocks]
    each = packet_bits(bits, len(blocks))
    assert 8 * size - 7 <= each <= 8 * size
    assert each == 8 * size - 7 or bits.bits.reshape(-1, each)[:, -1].any()


def test_what_is_refused(bits):
    with pytest.raises(SourceError, match="frame 9 are not 7 blocks"):
        from_bits(bits, 7)
    lost = bits.with_tokens(np.where(np.arange(len(bits.bits)) == 3, LOST, bits.bits))
    assert from_bits(lost, 4)[0] is None and None not in from_bits(lost, 4)[1:]
