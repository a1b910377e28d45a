import numpy as np
import pytest

from tokcom.errors import ParameterError
from tokcom.phy import numerology
from tokcom.phy.profile import profile, profile_names

every = pytest.mark.parametrize("name", profile_names())


def test_there_are_two():
    assert profile_names() == ("standard", "robust")


def test_the_standard_preamble_is_that_of_802_11():
    """Ten short symbols, a guard of 32, two long symbols (figure 17-4)."""
    each = profile("standard")
    short, long_symbol = numerology.short_symbol(), each.long_symbol
    assert each.preamble_length == 320 and each.long_start == 192
    expected = np.concatenate([short] * 10 + [long_symbol[32:], long_symbol, long_symbol])
    assert np.array_equal(each.preamble, expected)


def test_the_robust_preamble_is_four_times_as_long():
    each = profile("robust")
    assert each.preamble_length == 1280 and each.long_start == 656
    assert np.array_equal(each.preamble[:640], np.tile(numerology.short_symbol(), 40))
    for i, sign in enumerate((1, 1, 1, -1, -1, 1, -1, 1)):
        symbol = each.preamble[640 + 80 * i : 720 + 80 * i]
        assert np.array_equal(symbol, sign * np.concatenate([each.long_symbol[48:], each.long_symbol]))


@every
def test_preambles_have_unit_power_in_all_of_their_parts(name):
    each = profile(name)
    assert each.preamble.dtype == np.complex64 and len(each.preamble) == each.preamble_length
    powers = [np.mean(np.abs(part) ** 2) for part in np.split(each.preamble, [each.short_length])]
    assert powers == pytest.approx([1, 1], abs=0.05)
    assert np.array_equal(np.fft.fft(each.long_symbol)[each_idle()].round(4), np.zeros(12))


def each_idle():
    return np.setdiff1d(np.arange(64), numerology.CARRIERS % 64)


@every
def test_long_symbols_are_where_the_profile_says(name):
    each = profile(name)
    for i, sign in enumerate(each.long_signs):
        start = each.long_start + i * each.long_spacing
        spectrum = np.fft.fft(each.preamble[start : start + 64])[numerology.CARRIERS]
        assert np.allclose(spectrum * np.sqrt(52) / 64, sign * each.long_values, atol=1e-4)


def test_an_unknown_name_is_answered_with_those_that_exist():
    with pytest.raises(ParameterError, match=r"'fast'.*standard, robust"):
        profile("fast")
