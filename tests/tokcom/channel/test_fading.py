import math

import numpy as np
import pytest
from scipy import stats
from scipy.special import j0

from tokcom.channel.fading import LOS_DOPPLER, FadingGains, draw_gains
from tokcom.channel.multipath import Multipath, load_profile

RATE, DOPPLER = 1e6, 1e3


def gains(seed, n, rician_k_db=-math.inf, profile="flat", doppler=DOPPLER):
    """What becomes of a stream of ones."""
    stream = Multipath(load_profile(profile), RATE, doppler, rician_k_db, np.random.default_rng(seed))
    return stream.process(np.ones(n, np.complex64))


def test_autocorrelation_is_the_bessel_function_of_the_classical_spectrum():
    waves = FadingGains(np.ones(3000), DOPPLER / RATE, -math.inf, np.random.default_rng(0))
    fading = np.array([waves.next() for _ in range(400)])
    lags = np.arange(0, 200, 5)
    got = np.array([np.mean(fading[lag:] * fading[: len(fading) - lag].conj()) for lag in lags])
    assert np.abs(got - j0(2 * np.pi * DOPPLER / RATE * waves.interval * lags)).max() < 0.02


def test_magnitudes_are_rayleigh_distributed_and_the_mean_power_is_1():
    instants = np.array([gains(seed, 1)[0] for seed in range(3000)])
    assert np.mean(np.abs(instants) ** 2) == pytest.approx(1, abs=5 / math.sqrt(3000))
    assert stats.kstest(np.abs(instants), stats.rayleigh(scale=math.sqrt(0.5)).cdf).pvalue > 0.001
    assert stats.kstest(np.angle(instants), stats.uniform(-np.pi, 2 * np.pi).cdf).pvalue > 0.001


def test_k_factor_and_doppler_shift_of_the_line_of_sight():
    k = 10 ** (6 / 10)
    fading = np.array([gains(seed, 20000, rician_k_db=6.0) for seed in range(60)])
    power = np.mean(np.abs(fading) ** 2)
    line = fading @ np.exp(-2j * np.pi * LOS_DOPPLER * DOPPLER / RATE * np.arange(fading.shape[1])) / fading.shape[1]
    assert power == pytest.approx(1, abs=0.03)
    assert np.mean(np.abs(line) ** 2) == pytest.approx(k / (k + 1), abs=0.03)


def test_the_fourth_moment_of_static_gains_is_that_of_the_rice_distribution():
    k, rng = 2.0, np.random.default_rng(0)
    drawn = np.array([draw_gains(np.ones(1), 10 * math.log10(k), rng)[0] for _ in range(20000)])
    assert np.mean(np.abs(drawn) ** 4) == pytest.approx((k * k + 4 * k + 2) / (k + 1) ** 2, rel=0.05)


@pytest.mark.parametrize("doppler", [5.0, 300.0, 90e3])
def test_straight_lines_between_points_keep_close_to_the_waves(doppler):
    waves = FadingGains(np.ones(1), doppler / RATE, -math.inf, np.random.default_rng(2))
    n = np.arange(5000)
    turns = np.angle(waves.steps[0]) / waves.interval
    exact = np.exp(1j * np.outer(n, turns)) @ (waves.amplitudes[0] * waves.phasors[0])
    error = gains(2, 5000, doppler=doppler) - exact
    assert 20 * math.log10(np.abs(error).max()) < -60
