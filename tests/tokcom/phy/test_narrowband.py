from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tokcom.phy.detector import BLOCK, block_sums
from tokcom.phy.narrowband import LAG, TonePredictor, excise, find_tones, unforeseen, without_tones
from tokcom.phy.profile import profile

pytestmark = pytest.mark.filterwarnings("error")


def gaussian(rng, n, power=1.0):
    return ((rng.normal(size=n) + 1j * rng.normal(size=n)) * np.sqrt(power / 2)).astype(np.complex64)


def tone(n, frequency, amplitude=1.0):
    return (amplitude * np.exp(1j * frequency * np.arange(n))).astype(np.complex64)


def factors_of(samples):
    return TonePredictor().push(block_sums(np.r_[np.zeros(16, np.complex64), samples]))


@pytest.mark.parametrize("frequency", [-3.0, -0.5, 0.0, 0.1, 0.3927, 1.0, 2.5])
@pytest.mark.parametrize("level_db", [-3, 0, 10, 20])
def test_a_tone_in_noise_is_foreseen_and_most_of_it_is_gone(frequency, level_db):
    rng = np.random.default_rng(0)
    noise, carrier = gaussian(rng, 8000), tone(8000, frequency, 10 ** (level_db / 20))
    factors = factors_of(noise + carrier)[100:]
    assert np.all(factors != 0)
    angle = np.angle(factors * np.exp(-1j * LAG * frequency))
    assert np.abs(np.mean(angle)) < 0.05 and np.std(angle) < 0.3
    left = unforeseen(np.r_[np.zeros(LAG, np.complex64), carrier], np.r_[np.zeros(100, np.complex64), factors], BLOCK)
    # Of a weak one the noise of the prediction would be more than what it takes away.
    assert np.mean(np.abs(left[1000:]) ** 2) < {-3: 0.1, 0: 0.1, 10: 0.2, 20: 0.2}[level_db]


@pytest.mark.parametrize("name", ["standard", "robust"])
@pytest.mark.parametrize("echo", [0, 1, 2, 4, 7, 8, 12, 14])
@pytest.mark.parametrize("sign", [1, -1, 1j])
def test_a_short_training_is_no_tone_over_whatever_two_paths(name, echo, sign):
    short = profile(name).preamble[: profile(name).short_length]
    received = np.r_[gaussian(np.random.default_rng(1), 4000, 1e-3), short, np.zeros(40)].astype(np.complex64)
    received = received + (sign * np.roll(received, echo) if echo else 0)
    during = slice(4000 // BLOCK + 20, (4000 + len(short)) // BLOCK)
    assert np.all(factors_of(received.astype(np.complex64))[during] == 0)


def test_noise_is_seldom_taken_for_a_tone():
    factors = factors_of(gaussian(np.random.default_rng(2), 400_000))
    assert np.mean(factors != 0) < 0.02 and np.abs(factors).max() < 0.75


def test_without_a_tone_samples_are_what_they_were():
    samples = gaussian(np.random.default_rng(3), LAG + 10 * BLOCK)
    assert np.array_equal(unforeseen(samples, np.zeros(10, np.complex64), BLOCK), samples[LAG:])


@given(cuts=st.lists(st.integers(0, 300), max_size=20), seed=st.integers(0, 2**32 - 1))
def test_the_prediction_does_not_depend_on_how_the_stream_is_cut(cuts, seed):
    rng = np.random.default_rng(seed)
    samples = gaussian(rng, 16 + 300 * BLOCK) + tone(16 + 300 * BLOCK, rng.uniform(-3, 3))
    sums = block_sums(samples)
    predictor = TonePredictor()
    parts = [predictor.push(sums[:, first:last]) for first, last in pairwise(sorted({0, *cuts, 300}))]
    assert np.array_equal(np.concatenate(parts), TonePredictor().push(sums))


@given(
    frequency=st.floats(-3.1, 3.1), level_db=st.integers(-5, 40), n=st.integers(700, 1500),
    seed=st.integers(0, 2**32 - 1),
)  # fmt: skip
def test_a_tone_is_measured_as_well_as_can_be(frequency, level_db, n, seed):
    """Frequency to four times the root of the Cramér-Rao bound 6 / (SNR n**3), amplitude to that of 1 / n."""
    rng = np.random.default_rng(seed)
    amplitude = 10 ** (level_db / 20) * np.exp(2j * np.pi * rng.random())
    found = find_tones(tone(n, frequency, amplitude) + gaussian(rng, n), 13.0)
    assert len(found) == 1
    off = (found[0][0] - frequency + np.pi) % (2 * np.pi) - np.pi
    assert abs(off) < 4 * np.sqrt(6 / (10 ** (level_db / 10) * n**3)) * 1.1
    assert abs(found[0][1] - amplitude) < 10 / np.sqrt(n)


def test_several_tones_are_taken_off_and_the_noise_stays():
    rng = np.random.default_rng(4)
    noise = gaussian(rng, 1024)
    samples = noise + tone(1024, 0.5, 10) + tone(1024, -1.3, 3) + tone(1024, 2.2, 1)
    found = find_tones(samples, 13.0)
    assert [round(frequency, 1) for frequency, _ in found] == [0.5, -1.3, 2.2]
    assert np.mean(np.abs(without_tones(samples, found) - noise) ** 2) < 0.02


def test_amplitudes_may_count_from_another_sample():
    samples = tone(500, 0.7, 2j)
    assert np.abs(without_tones(samples, [(0.7, 2j * np.exp(0.7j * 100))], 100)).max() < 1e-3


@pytest.mark.parametrize("length", [700, 1024, 5000, 20000])
def test_bursts_keep_all_but_the_tone(length):
    rng = np.random.default_rng(length)
    symbols = np.zeros((length // 64 + 1, 64), complex)
    carriers = np.r_[1:27, -26:0]
    symbols[:, carriers] = rng.choice([1, -1, 1j, -1j], (len(symbols), 52))
    burst = (np.fft.ifft(symbols, axis=1) * 64 / np.sqrt(52)).ravel()[:length].astype(np.complex64)
    burst += gaussian(rng, length, 0.01)
    for level_db in (0, 20):
        received = burst + tone(length, 1.234, 10 ** (level_db / 20))
        cleaned, count = excise(received, 100, 13.0)
        assert count >= 1 and np.mean(np.abs(cleaned - burst) ** 2) < 0.02
    same, count = excise(burst, 100, 13.0)
    assert same is burst and count == 0


def test_a_preamble_without_a_tone_keeps_its_lines():
    """The short training is a row of lines, and the segments begin behind it; those of the long one are as broad."""
    for name in ("standard", "robust"):
        each = profile(name)
        rng = np.random.default_rng(5)
        received = np.r_[each.preamble, gaussian(rng, 720)] + gaussian(rng, each.preamble_length + 720, 1e-3)
        same, count = excise(received.astype(np.complex64), each.short_length, 13.0)
        assert count == 0 and np.array_equal(same, received.astype(np.complex64))


def test_segments_may_begin_ahead_of_the_samples():
    samples = tone(800, 0.3)
    cleaned, count = excise(samples, -50, 13.0)
    assert count == 1 and np.abs(cleaned).max() < 0.01
