import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tokcom.errors import ParameterError
from tokcom.packets.crc import Crc

NAMES = ("crc11", "crc16", "crc24a")
ASCII_DIGITS = np.unpackbits(np.frombuffer(b"123456789", np.uint8))


def value(check):
    return int("".join(map(str, check)), 2)


@pytest.mark.parametrize(("name", "expected"), [("crc16", 0x29B1), ("crc24a", 0xCDE703)])
def test_published_check_values(name, expected):
    """CRC-16/IBM-3740 and CRC-24/LTE-A of "123456789" in the catalogue of parametrised CRC algorithms."""
    assert value(Crc.named(name).append(ASCII_DIGITS[None])[0, len(ASCII_DIGITS) :]) == expected


@given(name=st.sampled_from(NAMES), length=st.integers(1, 80), seed=st.integers(0, 2**32 - 1))
def test_the_remainder_of_polynomial_division(name, length, seed):
    """Against division of whole numbers: a preset register is the same as flipping the first bits."""
    crc = Crc.named(name)
    bits = np.random.default_rng(seed).integers(0, 2, (1, length), dtype=np.uint8)
    dividend = value(bits[0]) << crc.width
    dividend ^= crc.initial << length
    divisor = (1 << crc.width) | crc.polynomial
    for shift in range(dividend.bit_length() - divisor.bit_length(), -1, -1):
        if dividend >> (shift + crc.width) & 1:
            dividend ^= divisor << shift
    assert value(crc.append(bits)[0, length:]) == dividend


@given(name=st.sampled_from(NAMES), length=st.integers(1, 60), seed=st.integers(0, 2**32 - 1), data=st.data())
def test_every_short_burst_of_errors_is_found(name, length, seed, data):
    crc = Crc.named(name)
    good = crc.append(np.random.default_rng(seed).integers(0, 2, (1, length), dtype=np.uint8))
    assert crc.check(good).all()
    start = data.draw(st.integers(0, good.shape[1] - 1))
    burst = data.draw(st.integers(1, min(crc.width, good.shape[1] - start)))
    bad = good.copy()
    bad[0, start] ^= 1
    bad[0, start + burst - 1] ^= burst > 1
    assert not crc.check(bad).any()


@given(name=st.sampled_from(NAMES), ahead=st.integers(1, 60), length=st.integers(0, 60), seed=st.integers(0, 2**32 - 1))
def test_presets_stand_for_bits_ahead(name, ahead, length, seed):
    crc = Crc.named(name)
    bits = np.random.default_rng(seed).integers(0, 2, (3, ahead + length), dtype=np.uint8)
    whole, behind = crc.append(bits), crc.append(bits[:, ahead:], crc.presets(bits[:, :ahead]))
    assert np.array_equal(whole[:, ahead:], behind)
    assert crc.check(behind, crc.presets(bits[:, :ahead])).all()


def test_no_check_accepts_everything():
    bits = np.zeros((2, 8), np.uint8)
    assert Crc.named("none").append(bits).shape == (2, 8) and Crc.named("none").check(bits).all()


def test_an_unknown_name_is_answered_with_those_that_exist():
    with pytest.raises(ParameterError, match=r"'crc7'.*crc11, crc16"):
        Crc.named("crc7")
