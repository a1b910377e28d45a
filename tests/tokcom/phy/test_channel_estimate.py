import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tokcom.phy.channel_estimate import smooth
from tokcom.phy.numerology import CARRIERS

pytestmark = pytest.mark.filterwarnings("error")

DELAYS = np.exp(-2j * np.pi * np.outer(CARRIERS, np.arange(16)) / 64)


def circular(rng, *shape):
    return (rng.normal(size=shape) + 1j * rng.normal(size=shape)) * np.sqrt(0.5)


def channel(rng, taps):
    return DELAYS[:, :taps] @ circular(rng, taps) / np.sqrt(taps)


@given(taps=st.integers(1, 16), scale=st.floats(1e-6, 1e6), seed=st.integers(0, 2**32 - 1))
def test_a_channel_within_the_cyclic_prefix_comes_back(taps, scale, seed):
    true = scale * channel(np.random.default_rng(seed), taps)
    got = smooth(true, 1e-9 * scale**2)
    assert np.max(np.abs(got - true)) < 1e-3 * np.sqrt(np.mean(np.abs(true) ** 2)) + 1e-30


def test_a_fixed_phase_of_the_window_does_not_matter():
    """A path 4 samples after the window's begin, as the detector leaves it."""
    true = np.exp(-2j * np.pi * CARRIERS * 4 / 64 + 1j)
    assert np.allclose(smooth(true, 1e-6), true, atol=1e-3)


@pytest.mark.parametrize("esn0_db", [-3, 0, 5, 20])
def test_noise_shrinks_by_the_share_of_the_taps(esn0_db):
    """Of 52 dimensions of noise 16 are left; the prior takes away some more of them where noise prevails."""
    rng = np.random.default_rng(esn0_db + 10)
    variance = 10 ** (-esn0_db / 10)
    errors = []
    for _ in range(400):
        true = channel(rng, 16)
        errors.append(np.mean(np.abs(smooth(true + np.sqrt(variance) * circular(rng, 52), variance) - true) ** 2))
    assert np.mean(errors) < 1.1 * variance * 16 / 52
    if esn0_db >= 5:
        # The taps that the carriers hardly tell apart are worth less than their number.
        assert np.mean(errors) > 0.5 * variance * 16 / 52


@given(esn0_db=st.floats(-10, 30), seed=st.integers(0, 2**32 - 1))
def test_it_is_the_linear_minimum_mean_square_error_estimate(esn0_db, seed):
    """R (R + s I)^-1 y with R of 16 taps that share the signal's power."""
    rng = np.random.default_rng(seed)
    variance = 10 ** (-esn0_db / 10)
    observed = channel(rng, 8) + np.sqrt(variance) * circular(rng, 52)
    signal = max(np.mean(np.abs(observed) ** 2) - variance, 0.05 * variance)
    covariance = signal / 16 * DELAYS @ DELAYS.conj().T
    expected = covariance @ np.linalg.solve(covariance + variance * np.eye(52), observed)
    assert np.allclose(smooth(observed, variance), expected, atol=1e-6)


@pytest.mark.parametrize("variance", [1e-30, 1e-3, 1.0, 1e30])
def test_silence_is_no_channel(variance):
    assert np.array_equal(smooth(np.zeros(52, complex), variance), np.zeros(52))


@pytest.mark.parametrize("variance", [1e-30, 1e-12, 1e12, 1e30])
def test_estimates_are_finite_whatever_the_noise_is_said_to_be(variance):
    got = smooth(channel(np.random.default_rng(0), 3), variance)
    assert np.isfinite(got).all() and np.abs(got).max() < 10
