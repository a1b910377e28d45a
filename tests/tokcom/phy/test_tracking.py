import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tokcom.phy.numerology import CARRIERS
from tokcom.phy.tracking import track

pytestmark = pytest.mark.filterwarnings("error")

PILOTS = np.array([-21.0, -7, 7, 21])
EVERY = CARRIERS.astype(np.float64)


def observe(phase, timing, carriers, variance, rng):
    """Cells that were known, each of unit power, seen through phase and timing in noise."""
    n, k = len(phase), len(carriers)
    noise = rng.normal(size=(2, n, k)) * np.sqrt(variance / 2)
    return np.exp(1j * (phase[:, None] + np.outer(timing, carriers))) + noise[0] + 1j * noise[1]


def errors(got, true):
    return np.angle(np.exp(1j * (got - true)))


@given(
    n=st.integers(2, 300), start=st.floats(-3, 3), rate=st.floats(-0.2, 0.2), drift_ppm=st.floats(-25, 25),
    seed=st.integers(0, 2**32 - 1),
)  # fmt: skip
def test_a_steady_turn_and_drift_come_back(n, start, rate, drift_ppm, seed):
    """20 ppm of clock offset drift by 80 * 20e-6 samples a symbol, 2 pi / 64 of that in rad a carrier."""
    t = np.arange(n)
    phase, timing = start + rate * t, drift_ppm * 1e-6 * 80 * 2 * np.pi / 64 * t
    observed = observe(phase, timing, PILOTS, 1e-4, np.random.default_rng(seed))
    got_phase, got_timing = track(observed, np.ones((n, 4)), PILOTS, 1e-4)
    assert np.abs(errors(got_phase, phase)).max() < 0.05
    assert np.abs(got_timing - timing).max() * 26 < 0.05


def test_the_smoothed_phase_is_far_better_than_each_symbols_own():
    """Steady turn at 0 dB: four pilots alone have an error of 1 / (2 * 4) rad**2 and more."""
    rng = np.random.default_rng(0)
    own, smoothed = [], []
    for _ in range(60):
        t = np.arange(100)
        phase = rng.uniform(-3, 3) + rng.normal(scale=0.05) * t
        observed = observe(phase, 0 * t, PILOTS, 1.0, rng)
        own.append(np.mean(errors(np.angle(observed.sum(axis=1)), phase) ** 2))
        smoothed.append(np.mean(errors(track(observed, np.ones((100, 4)), PILOTS, 1.0)[0], phase) ** 2))
    assert np.mean(smoothed) < 0.15 * np.mean(own)


@pytest.mark.parametrize("variance", [1e-3, 1e-2])
def test_phase_noise_is_followed(variance):
    """A Wiener phase at 10 dB: better than each symbol's own pilots, far better than a straight line."""
    rng = np.random.default_rng(1)
    own, line, smoothed = [], [], []
    for _ in range(40):
        phase = np.cumsum(rng.normal(scale=np.sqrt(variance), size=200))
        observed = observe(phase, np.zeros(200), PILOTS, 0.1, rng)
        alone = np.angle(observed.sum(axis=1))
        own.append(np.mean(errors(alone, phase) ** 2))
        line.append(np.mean((phase - np.polyval(np.polyfit(np.arange(200), phase, 1), np.arange(200))) ** 2))
        smoothed.append(np.mean(errors(track(observed, np.ones((200, 4)), PILOTS, 0.1)[0], phase) ** 2))
    assert np.mean(smoothed) < 0.75 * np.mean(own) and np.mean(smoothed) < 0.2 * np.mean(line)


def test_the_timing_error_is_near_the_bound_of_all_cells_together():
    """A constant timing, 50 symbols of 52 known cells at 10 dB: variance noise / (2 sum of squared carriers), and as
    much again for the drift that must be found beside it at the end of the burst (four times at its ends)."""
    rng = np.random.default_rng(2)
    squared = []
    for _ in range(100):
        timing = np.full(50, rng.normal(scale=5e-3))
        observed = observe(np.zeros(50), timing, EVERY, 0.1, rng)
        squared.append((track(observed, np.ones((50, 52)), EVERY, 0.1)[1] - timing) ** 2)
    bound = 0.1 / (2 * 50 * np.sum(EVERY**2))
    assert 0.5 * bound < np.mean(squared) < 4 * bound


def test_cells_that_are_not_known_do_not_matter():
    rng = np.random.default_rng(3)
    t = np.arange(40)
    observed = observe(0.3 + 0.02 * t, 1e-4 * t, EVERY, 0.01, rng)
    power = np.zeros((40, 52))
    known = np.isin(CARRIERS, PILOTS)
    power[:, known] = 1
    some = track(np.where(power > 0, observed, 0), power, EVERY, 0.01)
    alone = track(observed[:, known], power[:, known], PILOTS, 0.01)
    assert np.allclose(some, alone)


def test_a_faded_symbol_is_bridged():
    rng = np.random.default_rng(4)
    t = np.arange(60)
    phase = 1 + 0.1 * t
    observed, power = observe(phase, 0 * t, PILOTS, 0.01, rng), np.ones((60, 4))
    observed[20:30] = 0
    power[20:30] = 0
    assert np.abs(errors(track(observed, power, PILOTS, 0.01)[0], phase)).max() < 0.15


def test_no_symbols_have_no_phase():
    phase, timing = track(np.zeros((0, 4), complex), np.zeros((0, 4)), PILOTS, 0.1)
    assert phase.shape == timing.shape == (0,)


@given(
    n=st.integers(1, 20), power=st.sampled_from((0.0, 1e-300, 1e-40, 1e-12, 1.0, 1e12, 1e40)),
    variance=st.sampled_from((1e-300, 1e-30, 1e-12, 1.0, 1e12, 1e30, 1e200)), seed=st.integers(0, 2**32 - 1),
)  # fmt: skip
def test_absurd_powers_and_noise_give_finite_tracks(n, power, variance, seed):
    rng = np.random.default_rng(seed)
    observed = power * observe(np.zeros(n), np.zeros(n), EVERY, 1.0, rng)
    phase, timing = track(observed, np.full((n, 52), power), EVERY, variance)
    assert np.isfinite(phase).all() and np.isfinite(timing).all()


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf, 1e300])
def test_one_absurd_cell_gives_finite_tracks(bad):
    observed = np.ones((20, 4), complex)
    observed[10, 2] = bad
    phase, timing = track(observed, np.ones((20, 4)), PILOTS, 0.1)
    assert np.isfinite(phase).all() and np.isfinite(timing).all()
