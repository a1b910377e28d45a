import ast
from pathlib import Path

import numpy as np
import pytest

import tokcom_lab.air
from tokcom_lab.air import impairments


def test_nothing_is_taken_from_the_simulator_of_the_library():
    for path in Path(tokcom_lab.air.__file__).parent.glob("*.py"):
        modules = [node.module for node in ast.walk(ast.parse(path.read_text())) if isinstance(node, ast.ImportFrom)]
        assert not [module for module in modules if module.startswith("tokcom.channel")], path


def test_noise_has_the_power_asked_for_in_every_sample():
    variance = np.repeat([0.1, 4.0], 50_000)
    noise = impairments.noise(100_000, variance, np.random.default_rng(1))
    for part, power in ((noise[:50_000], 0.1), (noise[50_000:], 4.0)):
        assert np.mean(np.abs(part) ** 2) == pytest.approx(power, rel=0.02)
        assert abs(np.mean(part**2)) < 0.02 * power  # circular
        assert abs(np.mean(part[1:] * part[:-1].conj())) < 0.02 * power  # white


def test_a_tone_has_its_power_on_one_frequency_from_its_start_on():
    tone = impairments.tone(1000, 2.5, 2 * np.pi * 0.125, 0.7, start=200)
    assert not tone[:200].any()
    spectrum = np.abs(np.fft.fft(tone[200:])) ** 2 / 800**2
    assert spectrum[100] == pytest.approx(2.5) and spectrum.sum() == pytest.approx(2.5)


def test_impulses_come_as_often_and_last_as_long_as_asked():
    rng, n, rate, length = np.random.default_rng(2), 2_000_000, 5e-4, 10
    power = impairments.impulse_power(n, rate, length, 100.0, rng)
    assert power.sum() / (100 * length) == pytest.approx(rate * n, rel=0.1)
    # Poisson: the share of samples that no impulse covers.
    assert (power == 0).mean() == pytest.approx(np.exp(-rate * length), abs=5e-4)
    alone = impairments.impulse_power(1000, 1e-3, length, 100.0, np.random.default_rng(5))
    starts = np.flatnonzero(np.diff(alone, prepend=0) > 0)
    assert len(starts) and all((alone[start : start + length] >= 100).all() for start in starts if start < 990)


def test_the_share_of_stretches_asked_for_is_jammed():
    starts = 100 + 80 * np.arange(50)
    power = impairments.jammed(5000, starts, 80, 0.4, 2.0, np.random.default_rng(3))
    hit = [power[start : start + 80] for start in starts]
    assert sum(each.all() for each in hit) == 20 and sum(not each.any() for each in hit) == 30
    assert power.sum() == 20 * 80 * 2


def test_noise_in_band_keeps_its_power_and_leaves_the_edges_alone():
    noise = impairments.noise(64_000, 1.0, np.random.default_rng(4))
    narrow = impairments.in_band(noise, 2.0)
    spectrum, turns = np.abs(np.fft.fft(narrow)) ** 2, np.abs(2 * np.pi * np.fft.fftfreq(64_000))
    assert spectrum[turns > 2.01].sum() < 1e-9 * spectrum.sum()
    assert np.mean(np.abs(narrow) ** 2) == pytest.approx(1, rel=0.02)


def test_samples_are_lost_where_and_as_many_as_asked():
    samples = np.arange(20)
    assert list(impairments.without(samples, 7, 3)) == [*range(7), *range(10, 20)]


def test_gain_steps_and_silence_begin_where_asked():
    samples = np.ones(10, complex)
    stepped = impairments.with_step(samples, 4, -6.0)
    assert (stepped[:4] == 1).all() and stepped[4:] == pytest.approx(10**-0.3)
    assert list(impairments.with_silence(samples, 4)) == [1] * 4 + [0] * 6
    assert (samples == 1).all()


def test_another_burst_is_added_and_may_last_longer():
    both = impairments.with_burst(np.ones(5), 2j * np.ones(4), 3)
    assert list(both) == [1, 1, 1, 1 + 2j, 1 + 2j, 2j, 2j]


def test_frequency_and_clock_offsets_turn_and_stretch_a_tone():
    tone = np.exp(0.5j * np.arange(5000))
    turned = impairments.with_frequency_offset(tone, -0.2, 0.3)
    assert np.allclose(turned, np.exp(1j * (0.3 * np.arange(5000) + 0.3)))
    slow = impairments.with_clock_offset(tone, 200.0, delay=0.25)
    times = 0.25 + np.arange(len(slow)) * 1.0002
    assert np.allclose(slow[100:-100], np.exp(0.5j * times)[100:-100], atol=1e-3)
