from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tokcom.phy.impulses import AHEAD, BLOCK, PEAK, ImpulseFinder, loud_samples

pytestmark = pytest.mark.filterwarnings("error")


def gaussian(rng, n, power=1.0):
    return (rng.normal(size=n) + 1j * rng.normal(size=n)) * np.sqrt(power / 2)


def found_in(samples):
    """Blocks that hold an impulse, counted from the first sample, and the usual power beside each."""
    energies = (np.abs(samples) ** 2).reshape(-1, BLOCK).sum(axis=1)
    return ImpulseFinder().push(energies)


@given(
    start=st.integers(200, 1500),
    length=st.integers(4, 16),
    level_db=st.integers(18, 60),
    seed=st.integers(0, 2**32 - 1),
)
def test_an_impulse_is_found_where_it_is_loudest(start, length, level_db, seed):
    rng = np.random.default_rng(seed)
    samples = gaussian(rng, 2000)
    shape = np.exp(2j * np.pi * rng.random(length)) * 10 ** (level_db / 20)
    samples[start : start + length] += shape
    loudest = np.argmax((np.abs(samples) ** 2).reshape(-1, BLOCK).sum(axis=1))
    blocks, power = found_in(samples)
    assert loudest in blocks and np.all(np.abs(blocks - start // BLOCK) <= 3)
    assert np.all((power > 0.5) & (power < 3))


@pytest.mark.parametrize("step_db", [10, 20, 60, 100])
@given(start=st.integers(200, 1500), seed=st.integers(0, 2**32 - 1))
@settings(max_examples=20)
def test_neither_rise_nor_fall_of_a_burst_is_an_impulse(step_db, start, seed):
    rng = np.random.default_rng(seed)
    samples = gaussian(rng, 4000)
    samples[start : start + 1040] *= 10 ** (step_db / 20)
    assert found_in(samples)[0].size == 0


def test_noise_and_the_peaks_of_ofdm_are_no_impulses():
    rng = np.random.default_rng(1)
    assert found_in(gaussian(rng, 800_000))[0].size == 0
    symbols = np.zeros((8000, 64), complex)
    symbols[:, 1:27], symbols[:, -26:] = gaussian(rng, (8000, 26)), gaussian(rng, (8000, 26))
    ofdm = np.fft.ifft(symbols, axis=1)
    assert found_in(np.concatenate([ofdm[:, 48:], ofdm], axis=1).ravel())[0].size == 0


def test_what_is_periodic_is_no_impulse():
    pulses = np.resize(np.repeat([1.0, 0.0], [4, 12]), 8000)
    assert found_in(pulses)[0].size == 0 and found_in(np.zeros(8000))[0].size == 0


@pytest.mark.parametrize("apart", [12, 30, 60, 85, 200])
def test_impulses_close_to_each_other_are_all_found(apart):
    for seed in range(50):
        rng = np.random.default_rng(seed)
        samples, start = gaussian(rng, 1600), int(rng.integers(400, 800))
        for first in (start, start + apart):
            samples[first : first + 10] = 10 * np.exp(2j * np.pi * rng.random(10))
        blocks, _ = found_in(samples)
        found = np.unique([b * BLOCK + np.arange(-BLOCK, 2 * BLOCK) for b in blocks])
        inside = np.concatenate([first + np.arange(10) for first in (start, start + apart)])
        assert np.isin(inside, found).mean() > 0.9


@given(cuts=st.lists(st.integers(0, 400), max_size=20), seed=st.integers(0, 2**32 - 1))
def test_what_is_found_does_not_depend_on_how_the_stream_is_cut(cuts, seed):
    rng = np.random.default_rng(seed)
    energies = rng.gamma(8, 1, 400) * np.where(rng.random(400) < 0.03, 100, 1)
    expected, expected_power = ImpulseFinder().push(energies)
    finder, blocks, power = ImpulseFinder(), [], []
    for first, last in pairwise(sorted({0, *cuts, 400})):
        found, usual = finder.push(energies[first:last])
        assert np.all(found < last - first - AHEAD)
        blocks, power = np.r_[blocks, found + first], np.r_[power, usual]
    assert np.array_equal(blocks, expected) and np.array_equal(power, expected_power)


def test_only_loud_samples_are_taken():
    samples = np.array([0, 1, 2, 3, -3j, 2 + 2j], np.complex64)
    assert PEAK == 8 and list(loud_samples(samples, 1.0)) == [3, 4]
    assert list(loud_samples(samples, 0.4)) == [2, 3, 4, 5] and list(loud_samples(samples, 2.0)) == []
