import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tokcom.phy.channel_estimate import DELAYS, N_TAPS, ROUNDS, best_window, fit_channel, inverse_factor
from tokcom.phy.numerology import CARRIERS

pytestmark = pytest.mark.filterwarnings("error")


def estimate(observed, variance):
    """Response, variance of its error, and powers of the taps."""
    response, powers = np.empty(52, complex), np.empty(N_TAPS)
    error = fit_channel(observed, variance, ROUNDS, response, powers)
    return response, error, powers


def circular(rng, *shape):
    return (rng.normal(size=shape) + 1j * rng.normal(size=shape)) * np.sqrt(0.5)


def unit(rng, n):
    return np.exp(2j * np.pi * rng.random(n))


def paths(delays, gains):
    return np.exp(-2j * np.pi * np.outer(CARRIERS, delays) / 64) @ gains


def errors(esn0_db, draw, n=300):
    """Mean squared error, in units of the noise on the observation, and what the estimate says it is."""
    rng = np.random.default_rng(round(esn0_db) + 10)
    variance = 10 ** (-esn0_db / 10)
    true, told = [], []
    for _ in range(n):
        channel = draw(rng)
        response, error, _ = estimate(channel + np.sqrt(variance) * circular(rng, 52), variance)
        true.append(np.mean(np.abs(response - channel) ** 2) / variance)
        told.append(error / variance)
    return np.mean(true), np.mean(told)


@given(taps=st.integers(1, 16), first=st.integers(-6, 10), scale=st.floats(1e-6, 1e6), seed=st.integers(0, 2**32 - 1))
def test_a_channel_of_any_taps_comes_back(taps, first, scale, seed):
    """Also where it begins before the window, and where it ends beyond the cyclic prefix."""
    gains = circular(np.random.default_rng(seed), taps) / np.sqrt(taps)
    true = scale * paths(first + np.arange(taps), gains)
    got = estimate(true, 1e-9 * scale**2)[0]
    assert np.max(np.abs(got - true)) < 1e-3 * np.sqrt(np.mean(np.abs(true) ** 2)) + 1e-30


@pytest.mark.parametrize("esn0_db", [10, 20, 30])
@pytest.mark.parametrize("delays", [(4,), (4, 8), (4, 16), (4, 20)])
def test_few_paths_cost_little_more_than_their_number(esn0_db, delays):
    """Of 52 dimensions of noise, the least-squares estimate with known delays leaves as many as there are paths."""
    true, told = errors(esn0_db, lambda rng: paths(np.array(delays), unit(rng, len(delays))))
    assert true < (len(delays) + 4) / 52
    assert 0.4 * true < told < 1.3 * true


@pytest.mark.parametrize("esn0_db", [0, 10, 20])
def test_a_path_between_two_samples_costs_no_more_than_twenty_taps(esn0_db):
    true, _ = errors(esn0_db, lambda rng: paths([4 + rng.uniform(-0.5, 0.5)], unit(rng, 1)))
    assert true < 20 / 52


@pytest.mark.parametrize("esn0_db", [0, 10, 20])
def test_a_dense_channel_costs_no_more_than_its_taps(esn0_db):
    def draw(rng):
        return paths(4 + np.arange(10), circular(rng, 10) * np.sqrt(np.exp(-np.arange(10) / 3) / 3.5))

    assert errors(esn0_db, draw)[0] < 16 / 52


def test_the_powers_are_those_of_the_taps():
    rng = np.random.default_rng(5)
    _, _, found = estimate(paths([4, 18], [1, 0.5j]) + 0.03 * circular(rng, 52), 9e-4)
    powers = dict(zip(DELAYS.tolist(), found, strict=True))
    assert powers[4] == pytest.approx(1, rel=0.1) and powers[18] == pytest.approx(0.25, rel=0.2)
    assert sum(powers.values()) < 1.35


@pytest.mark.parametrize("variance", [1e-30, 1e-3, 1.0, 1e30])
def test_silence_is_no_channel(variance):
    assert np.allclose(estimate(np.zeros(52, complex), variance)[0], 0)


@pytest.mark.parametrize("variance", [1e-30, 1e-12, 1e12, 1e30])
def test_estimates_are_finite_whatever_the_noise_is_said_to_be(variance):
    response, error, _ = estimate(paths([4, 5, 6], circular(np.random.default_rng(0), 3)), variance)
    assert np.isfinite(response).all() and np.abs(response).max() < 10 and np.isfinite(error)


@given(n=st.integers(1, 33), seed=st.integers(0, 2**32 - 1))
def test_the_inverse_of_a_factor_makes_numpys_inverse(n, seed):
    root = circular(np.random.default_rng(seed), n, n)
    matrix = root @ root.conj().T + np.eye(n)
    real, imag = np.tril(matrix.real), np.tril(matrix.imag)
    inverse_factor(real, imag)
    factor = real + 1j * imag
    assert np.array_equal(factor, np.tril(factor))
    assert np.allclose(factor.conj().T @ factor, np.linalg.inv(matrix), atol=1e-8)


@pytest.mark.parametrize(
    ("delays", "move"), [((4,), 0), ((4, 16), 0), ((4, 17), 1), ((4, 20), 4), ((-3, 9), -3), ((-3, 4), -3)]
)
def test_windows_move_no_further_than_keeps_all_paths_within_the_prefix(delays, move):
    powers = np.isin(DELAYS, delays) / len(delays)
    assert best_window(powers, 1e-6) == move


def test_windows_stay_where_what_they_lose_does_not_matter():
    powers = (DELAYS == 4) + 1e-4 * (DELAYS == 22)
    assert best_window(powers, 1e-3) == 0 != best_window(powers, 1e-7)


def test_of_paths_further_apart_than_the_prefix_the_stronger_is_kept_whole():
    powers = 1.0 * (DELAYS == 0) + 0.1 * (DELAYS == 24)
    assert -8 <= best_window(powers, 1e-9) <= 0
