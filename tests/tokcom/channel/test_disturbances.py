import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tokcom.channel.disturbances import Gaps, Impulses, Interferer, Noise, Stretches


def zeros(n):
    return np.zeros(n, np.complex64)


@pytest.mark.parametrize("power", [0.01, 3.0])
def test_noise_is_white_circular_and_of_the_power_asked_for(power):
    noise = Noise(np.random.default_rng(0))
    noise.power, n = power, 400_000
    samples = noise.process(zeros(n))
    near = 5 / math.sqrt(n)
    assert np.mean(np.abs(samples) ** 2) / power == pytest.approx(1, abs=near)
    assert abs(np.mean(samples**2)) / power < 1.5 * near
    assert all(abs(np.mean(samples[lag:] * samples[:-lag].conj())) / power < near for lag in (1, 2, 7))


def test_an_interferer_is_a_tone_of_its_power_and_frequency():
    interferer = Interferer(np.random.default_rng(0))
    interferer.power = 0.25
    interferer.set_frequency(0.1)
    tone = interferer.process(zeros(1000))
    assert np.allclose(np.abs(tone), 0.5, atol=1e-6)
    assert np.allclose(tone[1:] / tone[:-1], np.exp(0.2j * np.pi), atol=1e-5)


def test_beginnings_are_a_poisson_process():
    stretches = Stretches(np.random.default_rng(1))
    stretches.set(1e-3, 1)
    found = [first for first, _ in stretches.next(4_000_000)]
    assert abs(len(found) - 4000) < 5 * math.sqrt(4000)
    waits = np.diff(found)
    assert np.std(waits) / np.mean(waits) == pytest.approx(1, abs=0.1)
    counts = np.histogram(found, np.arange(0, 4_000_001, 10_000))[0]
    assert np.var(counts) / np.mean(counts) == pytest.approx(1, abs=5 * math.sqrt(2 / len(counts)))


@given(
    cuts=st.lists(st.integers(0, 60), max_size=30), rate=st.sampled_from([0.01, 0.2, 1.0]), length=st.integers(1, 80)
)
def test_stretches_do_not_depend_on_cuts(cuts, rate, length):
    def inside(parts):
        stretches = Stretches(np.random.default_rng(2))
        stretches.set(rate, length)
        marks = [np.zeros(n, bool) for n in parts]
        for mark in marks:
            for first, end in stretches.next(len(mark)):
                assert 0 <= first < end <= len(mark) and not mark[first:end].any()
                mark[first:end] = True
        return np.concatenate([*marks, np.zeros(0, bool)])

    assert np.array_equal(inside(cuts), inside([sum(cuts)]))


def test_impulses_have_their_rate_length_and_power():
    impulses = Impulses(np.random.default_rng(1), np.random.default_rng(2))
    impulses.power = 100.0
    impulses.stretches.set(1e-4, 20)
    samples = impulses.process(zeros(5_000_000))
    hit = samples[samples != 0]
    # Stretches that begin within another make it longer by less than their length.
    covered = 1 - math.exp(-1e-4 * 20)
    assert len(hit) / len(samples) == pytest.approx(covered, rel=5 / math.sqrt(500))
    assert np.mean(np.abs(hit) ** 2) == pytest.approx(100, rel=5 / math.sqrt(len(hit)))


def test_gaps_take_samples_out_and_leave_the_others():
    gaps = Gaps(np.random.default_rng(1))
    gaps.stretches.set(1e-4, 50)
    samples = np.arange(2_000_000, dtype=np.complex64)
    left = gaps.process(samples).real.astype(int)
    jumps = np.diff(left)
    lengths = jumps[jumps > 1] - 1
    assert abs(len(lengths) - 200) < 5 * math.sqrt(200) and lengths.min() == 50
    assert len(left) + lengths.sum() == len(samples)


def test_a_rate_may_change_on_the_way():
    stretches = Stretches(np.random.default_rng(1))
    assert stretches.next(1000) == []
    stretches.set(0.01, 1)
    assert 50 < len(stretches.next(10_000)) < 150
    stretches.set(0.0, 1)
    assert stretches.next(10_000) == []
