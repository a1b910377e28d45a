import numpy as np
import pytest
from scipy.signal import chirp
from scipy.special import j0

from tokcom_lab.air.paths import Paths, at_times, delayed, jakes


def test_a_fading_path_is_rayleigh_and_has_the_autocorrelation_of_jakes():
    rng, doppler, lags = np.random.default_rng(1), 2e-3, np.arange(0, 600, 50)
    draws = np.stack([jakes(601, doppler, rng) for _ in range(4000)])
    measured = (draws[:, :1].conj() * draws[:, lags]).mean(axis=0)
    assert np.abs(measured - j0(2 * np.pi * doppler * lags)).max() < 0.06
    power = np.abs(draws[:, 300]) ** 2
    for level in (0.1, 0.7, 2.0):
        assert (power < level).mean() == pytest.approx(1 - np.exp(-level), abs=0.025)


def test_a_path_without_doppler_stands_still():
    gains = jakes(1000, 0.0, np.random.default_rng(2))
    assert np.ptp(gains.real) == np.ptp(gains.imag) == 0


def test_the_response_of_an_echo_is_that_of_the_closed_form():
    n, delay, gain = 1024, 9, 0.7 * np.exp(0.4j)
    impulse = np.zeros(n)
    impulse[0] = 1
    response = np.fft.fft(Paths.still([0, delay], [1, gain]).through(impulse))
    turns = np.exp(-2j * np.pi * delay * np.arange(n) / n)
    assert np.allclose(response, (1 + gain * turns) / np.sqrt(1 + abs(gain) ** 2))


def test_a_fraction_of_a_sample_turns_the_phase_in_proportion_to_frequency():
    n = 600
    for frequency in (0.3, -1.1, 2.5):
        wave = np.exp(1j * frequency * np.arange(n))
        late = delayed(wave, 3.37)[100:-100]
        assert np.allclose(late, wave[100:-100] * np.exp(-1j * frequency * 3.37), atol=2e-4)


def test_samples_are_read_between_the_samples():
    times = np.linspace(50, 350, 1000)
    signal = chirp(np.arange(400), 0.01, 400, 0.3)
    assert np.allclose(at_times(signal, times), chirp(times, 0.01, 400, 0.3), atol=1e-3)


def test_powers_of_rayleigh_paths_are_as_asked_and_make_one_together():
    rng = np.random.default_rng(3)
    powers = np.mean([np.abs(Paths.rayleigh([0, 4], [0, -3], 0, 1, rng).gains[:, 0]) ** 2 for _ in range(6000)], axis=0)
    assert powers.sum() == pytest.approx(1, abs=0.05)
    assert 10 * np.log10(powers[1] / powers[0]) == pytest.approx(-3, abs=0.3)


def test_what_moves_is_received_with_the_gain_of_the_moment():
    rng = np.random.default_rng(4)
    paths = Paths.rayleigh([0, 5], [0, 0], 1e-3, 200, rng)
    samples = rng.standard_normal(200) + 0j
    expected = paths.gains[0] * samples
    expected[5:] += paths.gains[1, 5:] * samples[:-5]
    assert np.allclose(paths.through(samples), expected)
    assert np.array_equal(paths.gains_at(np.array([7, 199])), paths.gains[:, [7, 199]])
