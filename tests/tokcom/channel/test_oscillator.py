import math

import numpy as np
import pytest

from tokcom.channel.oscillator import PhaseNoise, Resampler, Rotator


def ones(n):
    return np.ones(n, np.complex64)


@pytest.mark.parametrize("frequency", [0.0123456789, -0.4999, 1e-7, 0.5])
def test_a_carrier_offset_turns_samples_as_the_formula_says(frequency):
    n = 1_000_003
    wanted = np.exp(2j * np.pi * (frequency * np.arange(n) % 1))
    assert np.abs(Rotator(frequency).process(ones(n)) - wanted).max() < 1e-5


def test_phase_is_continuous_where_the_frequency_changes():
    rotator = Rotator(0.01)
    rotator.process(ones(1000))
    rotator.set_frequency(-0.02)
    wanted = np.exp(2j * np.pi * (0.01 * 1000 - 0.02 * np.arange(700)))
    assert np.abs(rotator.process(ones(700)) - wanted).max() < 1e-5
    rotator.set_frequency(0.0)
    wanted = np.exp(2j * np.pi * (0.01 * 1000 - 0.02 * 700))
    assert np.abs(rotator.process(ones(10)) - wanted).max() < 1e-5


def test_variance_of_the_phase_grows_by_two_pi_linewidth_times_time():
    linewidth, lag, streams = 1e-4, 200, 4000
    noise = PhaseNoise(np.random.default_rng(4))
    noise.set_linewidth(linewidth)
    turned = noise.process(ones(lag * streams + 1))
    for span in (1, 20, lag):
        steps = np.angle(turned[span::span] * turned[:-span:span].conj())
        # A variance estimated from n values has a relative deviation of sqrt(2 / n).
        assert np.var(steps) / (2 * math.pi * linewidth * span) == pytest.approx(1, abs=5 * math.sqrt(2 / len(steps)))
    assert np.abs(np.abs(turned) - 1).max() < 1e-5


def test_without_linewidth_the_phase_stays_where_it_is():
    noise = PhaseNoise(np.random.default_rng(4))
    noise.set_linewidth(1e-3)
    last = noise.process(ones(5000))[-1]
    noise.set_linewidth(0.0)
    assert np.abs(noise.process(ones(10)) - last).max() < 1e-6


@pytest.mark.parametrize("ppm", [20.0, -20.0, 1000.0, -1000.0, 1e-3])
def test_a_clock_offset_samples_tones_at_other_instants(ppm):
    """Tones over 0.8 of the band have a closed form at any instant."""
    rng, n = np.random.default_rng(0), 60000
    frequencies, phases = np.linspace(-0.4, 0.4, 33), rng.random(33)

    def tones(instants):
        return np.exp(2j * np.pi * (np.outer(instants, frequencies) + phases)).sum(axis=1) / math.sqrt(33)

    resampler = Resampler()
    resampler.set_offset(ppm * 1e-6)
    out = resampler.process(tones(np.arange(n)).astype(np.complex64))
    assert len(out) == math.ceil(n / (1 + ppm * 1e-6))
    instants = np.arange(len(out)) * (1 + ppm * 1e-6) - resampler.delay
    error = (out - tones(instants))[50:]
    assert 10 * math.log10(np.mean(np.abs(error) ** 2)) < -60


def test_a_clock_that_is_right_again_keeps_its_place():
    resampler, samples = Resampler(), np.exp(0.2j * np.arange(20000)).astype(np.complex64)
    resampler.set_offset(50e-6)
    first = resampler.process(samples[:10000])
    resampler.set_offset(0.0)
    second = resampler.process(samples[10000:])
    assert abs(len(second) - 10000) <= 1
    turn = second * first[-1].conj() / np.exp(0.2j * (1 + np.arange(len(second))))
    assert np.abs(turn - 1).max() < 1e-3


@pytest.mark.parametrize("offset", [-1e-3, 1e-3, -0.1, 3e-9, 0.0])
def test_most_outputs_is_a_bound(offset):
    resampler = Resampler()
    resampler.set_offset(offset)
    for n in (0, 1, 2, 3, 10, 999, 1000, 1001, 12345) * 20:
        assert len(resampler.process(ones(n))) <= resampler.most_outputs(n)
