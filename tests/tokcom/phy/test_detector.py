from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tokcom.phy.detector import (
    BACKOFF,
    BLOCK,
    LongTrainingDetector,
    ShortTrainingDetector,
    block_sums,
    lag_sums,
    long_training,
    places,
)
from tokcom.phy.narrowband import LAG, LEFT_OVER, TonePredictor, unforeseen
from tokcom.phy.profile import profile

pytestmark = pytest.mark.filterwarnings("error")

STANDARD, ROBUST = profile("standard"), profile("robust")
both = pytest.mark.parametrize("each", (STANDARD, ROBUST), ids=lambda each: each.name)
SPACING = 2 * np.pi / 16
"""Of frequencies that the short training cannot tell apart."""


def gaussian(rng, n, power=1.0):
    return ((rng.normal(size=n) + 1j * rng.normal(size=n)) * np.sqrt(power / 2)).astype(np.complex64)


def turned(samples, frequency):
    return (samples * np.exp(1j * frequency * np.arange(len(samples)))).astype(np.complex64)


def seek(each, samples):
    """Candidates of a stream that begins with these samples, whose number is a multiple of 8."""
    return ShortTrainingDetector(each).push(sums_of(samples), 0)


def sums_of(samples):
    """What the detector takes, without what is foreseen of tones."""
    padded = np.r_[np.zeros(16 + LAG, np.complex64), samples]
    sums = block_sums(padded[LAG:])
    factors = TonePredictor().push(sums)
    tonal = factors != 0
    whole = sums[2].copy()
    sums = block_sums(unforeseen(padded, np.r_[0, 0, factors].astype(np.complex64), BLOCK))
    sums[2] += tonal * LEFT_OVER * whole
    sums[3] = tonal
    return sums[:4]


@given(n=st.integers(1, 60), scale=st.sampled_from((1e-6, 1.0, 1e6)), seed=st.integers(0, 2**32 - 1))
def test_sums_over_blocks_are_those_of_the_definition(n, scale, seed):
    samples = scale * gaussian(np.random.default_rng(seed), 16 + BLOCK * n)
    exact = samples.astype(np.complex128)
    at = np.arange(16, len(samples)).reshape(n, BLOCK)
    lag16 = (exact[at] * exact[at - 16].conj()).sum(axis=1)
    lag4 = (exact[at] * exact[at - 4].conj()).sum(axis=1)
    energy = (np.abs(exact[at]) ** 2 + np.abs(exact[at - 16]) ** 2).sum(axis=1) / 2
    expected = [lag16.real, lag16.imag, energy, lag4.real, lag4.imag]
    assert np.allclose(block_sums(samples), expected, rtol=1e-5, atol=1e-4 * scale**2)


@given(n=st.integers(2, 60), data=st.data(), seed=st.integers(0, 2**32 - 1))
def test_sums_of_a_block_do_not_depend_on_its_neighbours(n, data, seed):
    samples = gaussian(np.random.default_rng(seed), 16 + BLOCK * n)
    first = data.draw(st.integers(0, n - 1))
    last = data.draw(st.integers(first + 1, n))
    alone = block_sums(samples[BLOCK * first : 16 + BLOCK * last])
    assert np.array_equal(alone, block_sums(samples)[:, first:last])


@both
@given(frequency=st.floats(-0.3, 0.3), start=st.integers(0, 400), seed=st.integers(0, 2**32 - 1))
def test_a_short_training_is_found_with_its_frequency(each, frequency, start, seed):
    rng = np.random.default_rng(seed)
    signal = turned(np.r_[np.zeros(start), each.preamble, np.zeros(2400 - start)], frequency)
    found = seek(each, signal + gaussian(rng, len(signal), 0.1))
    end = start + each.short_length
    # The window ends within the training; what follows is sought a third of a window to both sides.
    near = [c for c in found if abs(c.end - end) <= each.window // 3]
    assert near
    off = (near[0].frequency - frequency + SPACING / 2) % SPACING - SPACING / 2
    assert abs(off) < 0.02


@given(cuts=st.lists(st.integers(0, 500), max_size=20), robust=st.booleans(), seed=st.integers(0, 2**32 - 1))
def test_candidates_do_not_depend_on_how_the_stream_is_cut(cuts, robust, seed):
    each, rng = ROBUST if robust else STANDARD, np.random.default_rng(seed)
    parts = [gaussian(rng, int(rng.integers(0, 800)), 0.3 * 10 ** rng.uniform(-3, 3)) for _ in range(4)]
    stream = np.concatenate([np.r_[part, each.preamble] for part in parts])
    stream = stream[: len(stream) // BLOCK * BLOCK] + gaussian(rng, len(stream) // BLOCK * BLOCK, 0.2)
    sums = sums_of(stream)
    expected = ShortTrainingDetector(each).push(sums, 0)
    detector, found = ShortTrainingDetector(each), []
    edges = sorted({0, *(min(cut, sums.shape[1]) for cut in cuts), sums.shape[1]})
    for first, last in pairwise(edges):
        found += detector.push(sums[:, first:last], BLOCK * first)
    assert found == expected and len(expected) >= 1
    assert all(c.known_at > c.end and 0 < c.metric <= 1 for c in found)


def long_sums_of(each, samples):
    """What the long training's detector takes."""
    padded = np.r_[np.zeros(each.long_spacing, np.complex64), samples]
    return sums_of(samples), lag_sums(padded, np.array([each.long_spacing]))[0]


def seek_long(each, samples):
    return LongTrainingDetector(each).push(*long_sums_of(each, samples), 0)


@given(n=st.integers(1, 60), lags=st.lists(st.integers(1, 80), min_size=1, max_size=5), seed=st.integers(0, 2**32 - 1))
def test_sums_at_lags_are_those_of_the_definition(n, lags, seed):
    samples = gaussian(np.random.default_rng(seed), max(lags) + BLOCK * n)
    exact = samples.astype(np.complex128)
    at = np.arange(max(lags), len(samples)).reshape(n, BLOCK)
    products = np.array([(exact[at] * exact[at - lag].conj()).sum(axis=1) for lag in lags])
    assert np.allclose(lag_sums(samples, np.array(lags)), np.stack([products.real, products.imag], axis=1), atol=1e-4)


@both
@given(frequency=st.floats(-0.5, 0.5), start=st.integers(0, 400), seed=st.integers(0, 2**32 - 1))
def test_a_long_training_is_found_where_an_echo_cancels_the_short_one(each, frequency, start, seed):
    """Equal power, opposite sign, 16 samples late: nothing is left of the short training but its ends."""
    rng = np.random.default_rng(seed)
    sent = np.r_[np.zeros(start), each.preamble, gaussian(rng, 2400 - start)]
    echoed = np.sqrt(0.5) * (sent - np.r_[np.zeros(16), sent[:-16]])
    received = turned(echoed, frequency) + gaussian(rng, len(sent), 0.1)
    received = received[: len(received) // BLOCK * BLOCK]
    long_start = start + each.long_start
    near = [c for c in seek_long(each, received) if abs(c.end - start - each.preamble_length) <= 40]
    assert len(near) == 1 and near[0].lag == each.long_spacing
    first, stop = places(each, near[0])
    back = min(64, first)
    sync = long_training(received[first - back : stop], back, each, near[0].frequency, 0.0, near[0].lag)
    assert abs(first - back + sync.long_start - long_start) <= 20 and abs(sync.frequency - frequency) < 0.01


@given(cuts=st.lists(st.integers(0, 500), max_size=20), robust=st.booleans(), seed=st.integers(0, 2**32 - 1))
def test_long_trainings_do_not_depend_on_how_the_stream_is_cut(cuts, robust, seed):
    each, rng = ROBUST if robust else STANDARD, np.random.default_rng(seed)
    parts = [np.r_[gaussian(rng, int(rng.integers(0, 800))), each.preamble[each.short_length :]] for _ in range(4)]
    stream = np.concatenate([*parts, gaussian(rng, 1000)])
    stream = stream[: len(stream) // BLOCK * BLOCK].astype(np.complex64)
    sums, repeated = long_sums_of(each, stream)
    expected = LongTrainingDetector(each).push(sums, repeated, 0)
    detector, found = LongTrainingDetector(each), []
    edges = sorted({0, *(min(cut, sums.shape[1]) for cut in cuts), sums.shape[1]})
    for first, last in pairwise(edges):
        found += detector.push(sums[:, first:last], repeated[:, first:last], BLOCK * first)
    assert found == expected and len(expected) >= 1
    assert all(c.known_at > c.end and 0 < c.metric <= 1 for c in found)


@both
@pytest.mark.parametrize("kind", ["noise", "tone", "short training", "period 64", "period 80", "payload"])
def test_what_else_repeats_is_no_long_training(each, kind):
    rng, n = np.random.default_rng(2), 200_000
    symbols = gaussian(rng, n // 80 * 64).reshape(-1, 64)
    signal = {
        "noise": np.zeros(n),
        "tone": turned(np.ones(n), 0.37),
        "short training": np.resize(each.preamble[:16], n),
        "period 64": np.resize(gaussian(rng, 64), n),
        "period 80": np.resize(gaussian(rng, 80), n),
        "payload": np.concatenate([symbols[:, 48:], symbols], axis=1).ravel(),
    }[kind]
    found = seek_long(each, (signal + gaussian(rng, n, 0.1)).astype(np.complex64))
    # Of the prefixes of 2500 OFDM symbols a few look alike.
    assert sum(c.end > 4000 for c in found) <= (12 if kind == "payload" else 3)


@both
@pytest.mark.parametrize("frequency", [0.0, 0.1, 0.3, SPACING, 1.0, 3.0])
@pytest.mark.parametrize("level", [0.0, 0.1])
def test_a_tone_is_no_short_training(each, frequency, level):
    samples = turned(np.ones(16000), frequency) + gaussian(np.random.default_rng(0), 16000, level)
    found = seek(each, samples)
    # Where the tone sets in the first window may be unsure; later, what is left of tone and noise seldom repeats.
    assert sum(c.end >= 2 * each.window for c in found) <= 4


@both
@pytest.mark.parametrize("level_db", [-3, 0, 10])
@pytest.mark.parametrize("frequency", [0.03, 0.3927, 1.1, 2.0])
def test_a_short_training_in_a_tone_is_found_and_said_to_be(each, level_db, frequency):
    rng = np.random.default_rng(1)
    signal = np.r_[np.zeros(1600), each.preamble, np.zeros(960)].astype(np.complex64)
    carrier = 10 ** (level_db / 20) * turned(np.ones(len(signal)), frequency)
    end = 1600 + each.short_length
    near = [c for c in seek(each, signal + carrier + gaussian(rng, len(signal), 0.1)) if abs(c.end - end) <= 48]
    # A robust one outlasts the shorter window and drowns a tone no stronger than it is.
    assert near and (near[0].tonal or (each is ROBUST and level_db <= 0))
    first, stop = places(each, near[0])
    assert first <= 1600 + each.long_start and stop >= 1600 + each.preamble_length


@both
@pytest.mark.parametrize("apart", range(0, 15))
def test_a_short_training_is_found_over_two_paths_whatever_lies_between_them(each, apart):
    for phase in np.linspace(0, 2 * np.pi, 8, endpoint=False):
        if apart == 0 and phase > 0:
            continue
        preamble = np.r_[np.zeros(600), each.preamble, np.zeros(200)]
        received = preamble + np.exp(1j * phase) * np.roll(preamble, apart)
        received = received + gaussian(np.random.default_rng(apart), 800 + each.preamble_length, 0.2)
        found = seek(each, received.astype(np.complex64)[: len(received) // BLOCK * BLOCK])
        assert any(abs(c.end - 600 - each.short_length) <= each.window // 3 and c.metric > 0.6 for c in found)


@both
def test_silence_is_no_short_training(each):
    assert seek(each, np.zeros(4000, np.complex64)) == []


@both
@pytest.mark.parametrize("frequency", [-0.3, -0.19, -0.01, 0.0, 0.05, 0.2, 0.3])
def test_the_long_training_tells_time_and_frequency(each, frequency):
    """At 10 dB: the time to a sample; the frequency to a few times the root of 6 / (SNR * 64 * 64**2) rad/sample."""
    rng = np.random.default_rng(3)
    for start in range(0, 90, 9):
        signal = turned(np.r_[np.zeros(100 + start), each.preamble, np.zeros(200)], frequency)
        received = signal + gaussian(rng, len(signal), 0.1)
        sync = long_training(received, start + each.long_start, each, wrapped(frequency))
        assert abs(sync.long_start + BACKOFF - (100 + start + each.long_start)) <= 1
        assert sync.profile is each and abs(sync.frequency - frequency) < 0.01 and 0.8 < sync.metric <= 1


def wrapped(frequency):
    """As the short training would tell it."""
    return (frequency + SPACING / 2) % SPACING - SPACING / 2


@both
def test_the_first_path_counts_and_not_the_strongest(each):
    signal = np.r_[np.zeros(100), each.preamble, np.zeros(200)].astype(np.complex64)
    received = 0.7 * signal + np.roll(signal, 5) * 1j
    received += gaussian(np.random.default_rng(0), len(signal), 0.001)
    sync = long_training(received, 60 + each.long_start, each, 0.0)
    assert abs(sync.long_start + BACKOFF - (100 + each.long_start)) <= 1


@both
@pytest.mark.parametrize("apart", [8, 14, 20])
def test_the_first_path_may_be_far_ahead_and_weaker(each, apart):
    signal = np.r_[np.zeros(100), each.preamble, np.zeros(200)].astype(np.complex64)
    for seed in range(20):
        rng = np.random.default_rng(seed)
        received = 0.5 * signal + np.exp(2j * np.pi * rng.random()) * np.roll(signal, apart)
        received = received + gaussian(rng, len(signal), 0.1)
        sync = long_training(received.astype(np.complex64), 60 + each.long_start, each, 0.0)
        assert abs(sync.long_start + BACKOFF - (100 + each.long_start)) <= 1


@both
def test_noise_ahead_of_the_only_path_is_no_path(each):
    """At 0 dB, where a tenth of the path's power is little more than noise shows."""
    signal = np.r_[np.zeros(100), each.preamble, np.zeros(200)]
    starts = []
    for seed in range(100):
        received = (signal + gaussian(np.random.default_rng(seed), len(signal), 1.0)).astype(np.complex64)
        starts.append(long_training(received, 60 + each.long_start, each, 0.0).long_start)
    assert np.mean(np.abs(np.array(starts) + BACKOFF - (100 + each.long_start)) <= 1) >= 0.95


@both
def test_a_long_training_weaker_than_asked_for_is_none(each):
    signal = np.r_[np.zeros(100), each.preamble, np.zeros(200)]
    received = (signal + gaussian(np.random.default_rng(0), len(signal), 1.0)).astype(np.complex64)
    assert long_training(received, 60 + each.long_start, each, 0.0, 0.3) is not None
    assert long_training(received, 60 + each.long_start, each, 0.0, 0.8) is None


@both
def test_a_loud_moment_is_no_long_training(each):
    """One pair of symbols, however strong, does not speak for all."""
    rng = np.random.default_rng(1)
    for _ in range(20):
        samples = gaussian(rng, 2000, 1e-4)
        samples[500:660] += STANDARD.preamble[:160]
        assert long_training(samples, 50, ROBUST, 0.0) is None


@both
def test_the_metric_is_the_share_of_the_energy(each):
    """Power 1 in noise of power 1: about a half."""
    signal = np.r_[np.zeros(100), each.preamble, np.zeros(200)]
    rng = np.random.default_rng(5)
    metrics = [
        long_training(signal + gaussian(rng, len(signal), 1.0), 60 + each.long_start, each, 0.0).metric
        for _ in range(40)
    ]
    assert np.mean(metrics) == pytest.approx(0.52, abs=0.06)


@both
@pytest.mark.parametrize("kind", ["noise", "tone", "dc", "zero", "other training", "short training"])
def test_other_signals_have_no_long_training(each, kind):
    rng = np.random.default_rng(6)
    other = STANDARD if each is ROBUST else ROBUST
    signal = {
        "noise": gaussian(rng, 1500),
        "tone": turned(np.ones(1500), 0.2),
        "dc": np.ones(1500, np.complex64),
        "zero": np.zeros(1500, np.complex64),
        "other training": np.resize(other.long_symbol, 1500),
        "short training": np.resize(each.preamble[:16], 1500),
    }[kind]
    assert long_training(signal.astype(np.complex64), 50, each, 0.0) is None


@both
def test_samples_too_few_have_no_long_training(each):
    span = each.preamble_length - each.long_start
    for n in (0, 1, 63, span + 9):
        assert long_training(np.ones(n, np.complex64), 10, each, 0.0) is None
