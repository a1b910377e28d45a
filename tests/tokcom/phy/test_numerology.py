import numpy as np
import pytest

from tokcom.phy import numerology
from tokcom.phy.numerology import CARRIERS, IDLE_CARRIERS

pytestmark = pytest.mark.filterwarnings("error")

# IEEE 802.11-2020, annex I.1 (tables of the short and long training in the time domain): first values.
SHORT_802_11 = [
    0.046 + 0.046j, -0.132 + 0.002j, -0.013 - 0.079j, 0.143 - 0.013j, 0.092, 0.143 - 0.013j, -0.013 - 0.079j,
    -0.132 + 0.002j, 0.046 + 0.046j, 0.002 - 0.132j, -0.079 - 0.013j, -0.013 + 0.143j, 0.092j, -0.013 + 0.143j,
    -0.079 - 0.013j, 0.002 - 0.132j,
]  # fmt: skip
LONG_802_11 = [
    0.156, -0.005 - 0.120j, 0.040 - 0.111j, 0.097 + 0.083j, 0.021 + 0.028j, 0.060 - 0.088j, -0.115 - 0.055j,
    -0.038 - 0.106j, 0.098 - 0.026j, 0.053 + 0.004j, 0.001 - 0.115j, -0.137 - 0.047j, 0.024 - 0.059j, 0.059 - 0.015j,
    -0.022 + 0.161j, 0.119 - 0.004j,
]  # fmt: skip
STANDARD_SCALE = np.sqrt(52) / 64
"""The standard's table is an inverse DFT with 1/64; this project's symbols have unit power."""


def peak_to_average_db(period):
    """Of the continuous waveform, from 32 values between each two."""
    spectrum = np.fft.fft(period)
    half = len(period) // 2
    fine = np.fft.ifft(np.concatenate([spectrum[:half], np.zeros(31 * len(period)), spectrum[half:]]))
    return 10 * np.log10(np.max(np.abs(fine) ** 2) / np.mean(np.abs(fine) ** 2))


def test_the_trainings_are_those_of_802_11_sample_by_sample():
    long_symbol = numerology.time_domain(numerology.long_values("ieee802.11"), CARRIERS)
    assert np.allclose(numerology.short_symbol() * STANDARD_SCALE, SHORT_802_11, atol=8e-4)
    assert np.allclose(long_symbol[:16] * STANDARD_SCALE, LONG_802_11, atol=8e-4)
    # Real values: the second half of the symbol mirrors the first.
    assert np.allclose(long_symbol[:48:-1] * STANDARD_SCALE, np.conj(LONG_802_11[1:]), atol=8e-4)


def test_trainings_have_unit_power_and_the_published_crest_factors():
    """2.24 dB and 3.17 dB are the well-known figures of the 802.11 trainings."""
    short = numerology.short_symbol()
    long_symbol, robust = (
        numerology.time_domain(numerology.long_values(name), CARRIERS) for name in ("ieee802.11", "robust")
    )
    for symbol in (short, long_symbol, robust):
        assert np.mean(np.abs(symbol) ** 2) == pytest.approx(1, abs=1e-6)
    assert peak_to_average_db(short) == pytest.approx(2.24, abs=0.02)
    assert peak_to_average_db(long_symbol) == pytest.approx(3.17, abs=0.02)
    assert peak_to_average_db(robust) < 5.5


def test_long_trainings_of_the_profiles_do_not_look_alike():
    a, b = (numerology.time_domain(numerology.long_values(name), CARRIERS) for name in ("ieee802.11", "robust"))
    alike = [abs(np.vdot(np.roll(a, shift), b)) / 64 for shift in range(64)]
    assert max(alike) < 0.25


def test_the_transform_is_the_defining_sum():
    rng = np.random.default_rng(0)
    values = rng.normal(size=(3, 52)) + 1j * rng.normal(size=(3, 52))
    times = np.arange(64)[:, None]
    expected = values @ np.exp(2j * np.pi * times * CARRIERS / 64).T / np.sqrt(52)
    assert np.allclose(numerology.time_domain(values, CARRIERS), expected)


def test_carriers_are_those_of_802_11():
    assert CARRIERS.tolist() == [*range(-26, 0), *range(1, 27)]
    assert sorted(IDLE_CARRIERS) == [-32, -31, -30, -29, 29, 30, 31]


def test_the_pseudo_random_bits_are_a_shift_registers():
    """Fibonacci register of 15 stages, all ones, whose stages 14 and 15 feed back: its output is the feedback, preceded
    by what the stages held."""
    stages, period = [1] * 15, (1 << 15) - 1
    expected = [1] * 15
    while len(expected) < period + 200:
        feedback = stages[13] ^ stages[14]
        stages = [feedback, *stages[:14]]
        expected.append(feedback)
    assert numerology.pseudo_random_bits(period + 200).tolist() == expected
    assert numerology.pseudo_random_bits(0).size == 0


def test_the_pseudo_random_bits_are_a_sequence_of_full_length():
    """Golomb: one 1 more than 0, and an autocorrelation of -1 at every shift within the period."""
    period = (1 << 15) - 1
    bits = numerology.pseudo_random_bits(2 * period)
    assert np.array_equal(bits[:period], bits[period:])
    signs = 1 - 2.0 * bits[:period]
    correlation = np.fft.ifft(np.abs(np.fft.fft(signs)) ** 2).real.round(3)
    assert signs.sum() == -1 and correlation[0] == period and (correlation[1:] == -1).all()
