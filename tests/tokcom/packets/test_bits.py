import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tokcom.errors import FrameError
from tokcom.packets.bits import bits_per_token, bits_to_tokens, tokens_to_bits


@given(width=st.integers(1, 18), count=st.integers(1, 20), seed=st.integers(0, 2**32 - 1))
def test_bits_come_back_as_tokens(width, count, seed):
    tokens = np.random.default_rng(seed).integers(0, 1 << width, (3, count))
    bits = tokens_to_bits(tokens, width)
    assert bits.shape == (3, count * width) and set(np.unique(bits)) <= {0, 1}
    assert np.array_equal(bits_to_tokens(bits, width), tokens)


def test_no_packets_are_no_bits():
    bits = tokens_to_bits(np.zeros((0, 4), np.int32), 10)
    assert bits.shape == (0, 40) and bits_to_tokens(bits, 10).shape == (0, 4)


def test_the_most_significant_bit_goes_first():
    assert tokens_to_bits(np.array([0b1000000001]), 10).tolist() == [1, 0, 0, 0, 0, 0, 0, 0, 0, 1]


@pytest.mark.parametrize(("size", "bits"), [(2, 1), (3, 2), (1024, 10), (1025, 11), (8192, 13), (1 << 18, 18)])
def test_enough_bits_for_every_word(size, bits):
    assert bits_per_token(size) == bits


@pytest.mark.parametrize("token", [-1, 1024])
def test_a_token_too_wide_is_named(token):
    with pytest.raises(FrameError, match=str(token)):
        tokens_to_bits(np.array([3, token]), 10)


def test_bits_that_do_not_make_tokens_are_refused():
    with pytest.raises(FrameError, match="41 bits"):
        bits_to_tokens(np.zeros(41, np.uint8), 10)
