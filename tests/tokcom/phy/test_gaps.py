import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tokcom.packets.header import BurstHeader
from tokcom.phy.burst import modulate, plan_burst
from tokcom.phy.demodulator import demodulate_burst
from tokcom.phy.gaps import find_gaps
from tokcom.phy.observation import observe
from tokcom.phy.profile import profile
from tokcom.phy.synchronization import Synchronization

pytestmark = pytest.mark.filterwarnings("error")

STANDARD = profile("standard")
LEAD, START = 100, 100 + STANDARD.preamble_length + 9 * 80
"""Samples ahead of the burst, and ahead of its payload."""
SYMBOLS = 40


def gaussian(rng, n, power=1.0):
    return (rng.normal(size=n) + 1j * rng.normal(size=n)) * np.sqrt(power / 2)


def a_burst(seed=0):
    """Header, symbols and samples, with silence around, of a burst of 40 OFDM symbols of 16-QAM."""
    rng = np.random.default_rng(seed)
    header = BurstHeader(5, 77, 0x12345678, (4 * 61,), 4, 10, np.full(61, 6))
    n = plan_burst(header, STANDARD).payload_values
    symbols = ((2 * rng.integers(0, 4, n) - 3 + 1j * (2 * rng.integers(0, 4, n) - 3)) / np.sqrt(10)).astype(
        np.complex64
    )
    return header, symbols, np.r_[np.zeros(LEAD), modulate(header, symbols, STANDARD), np.zeros(3000)]


def received(samples, seed=1, esn0_db=18, frequency=0.02):
    rng = np.random.default_rng(seed)
    samples = samples * np.exp(1j * frequency * np.arange(len(samples)))
    return (samples + gaussian(rng, len(samples), 10 ** (-esn0_db / 10))).astype(np.complex64)


def lose(samples, place, missing):
    """Take samples away, or put zeros in."""
    if missing > 0:
        return np.r_[samples[:place], samples[place + missing :]]
    return np.r_[samples[:place], np.zeros(-missing), samples[place:]]


def gaps_of(samples, header, frequency=0.02):
    sync = Synchronization(STANDARD, LEAD + STANDARD.long_start - 4, frequency, 0.9)
    return find_gaps(samples, observe(samples, sync, header, plan_burst(header, STANDARD)))


@settings(max_examples=12)
@given(missing=st.integers(-200, 1200).filter(lambda n: n), symbol=st.integers(3, 12), part=st.integers(0, 79))
def test_missing_samples_are_found_and_where(missing, symbol, part):
    header, _, samples = a_burst()
    shifts = gaps_of(received(lose(samples, START + 80 * symbol + part, missing)), header)
    assert shifts is not None
    before, after = 9 + symbol - 1, 9 + symbol + 2 + max(-(-missing // 80), 0)
    assert (shifts[:before] == 0).all() and (shifts[after:] == missing).all()


def test_two_gaps_add_up():
    header, _, samples = a_burst()
    twice = lose(lose(samples, START + 80 * 25, 5), START + 80 * 10, 3)
    shifts = gaps_of(received(twice), header)
    assert shifts[9 + 5] == 0 and shifts[9 + 17] == 3 and shifts[-1] == 8


@pytest.mark.parametrize("esn0_db", [3, 8, 30])
def test_where_nothing_is_missing_nothing_is_found(esn0_db):
    header, _, samples = a_burst()
    assert gaps_of(received(samples, esn0_db=esn0_db), header) is None


@pytest.mark.parametrize("seed", range(6))
def test_silence_and_noise_and_another_burst_are_no_gap(seed):
    header, _, samples = a_burst()
    _, _, other = a_burst(seed + 1)
    silent = samples.copy()
    silent[START + 300 :] = 0
    loud = silent.copy()
    loud[START + 300 :] += gaussian(np.random.default_rng(seed), len(loud) - START - 300)
    collided = samples.copy()
    collided[1500 + seed * 111 :] += other[: len(other) - 1500 - seed * 111]
    for each in (silent, loud, collided):
        shifts = gaps_of(received(each, seed), header)
        assert shifts is None or not shifts.any()


@pytest.mark.parametrize("missing", [2, 75, 300, -31])
def test_what_comes_after_a_gap_is_demodulated_and_the_gap_told(missing):
    header, symbols, samples = a_burst()
    cut = received(lose(samples, START + 80 * 15 + 33, missing))
    burst = demodulate_burst(cut, Synchronization(STANDARD, LEAD + STANDARD.long_start - 4, 0.02, 0.9), header)
    assert burst.quality.gap_samples == missing and not burst.plain
    error = np.abs(burst.symbols - symbols) ** 2
    # The symbols that are missing, and those at the gap's edges, are told to be worth nothing.
    told = burst.noise_variance < 0.1
    assert told.mean() > 1 - (max(missing, 0) / 80 + 4) / SYMBOLS and np.mean(error[told]) < 0.05
