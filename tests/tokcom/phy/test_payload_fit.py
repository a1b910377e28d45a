import numpy as np
import pytest
from scipy.special import logsumexp

from tokcom.phy.payload_fit import (
    FACTORS,
    HALF_DISTANCES,
    KNOWN,
    LOG_RATIOS,
    POWER_VARIANCES,
    _likelihoods,
    excess,
    nearest_distances,
    noise_levels,
)

pytestmark = pytest.mark.filterwarnings("error")

ORDERS = (1, 2, 4, 8, 16)
orders = pytest.mark.parametrize("order", ORDERS, ids=["BPSK", "QPSK", "16-QAM", "64-QAM", "256-QAM"])


def circular(rng, *shape):
    return (rng.normal(size=shape) + 1j * rng.normal(size=shape)) * np.sqrt(0.5)


def points(order):
    half = HALF_DISTANCES[order]
    if order == 1:
        return np.array([-1.0, 1.0])
    levels = (2 * np.arange(order) - (order - 1)) * half
    return (levels[:, None] + 1j * levels).ravel()


def a_payload(order, esn0_db, n=40, seed=0, louder=1.0):
    """Cells behind a channel of random gains, in noise that is `louder` than the one returned."""
    rng = np.random.default_rng(seed)
    sent = rng.choice(points(order), (n, 52))
    reference = circular(rng, 1, 52) + 0.5 + np.zeros((n, 1))
    noise = np.full((n, 52), 10 ** (-esn0_db / 10))
    cells = reference * sent + np.sqrt(noise * louder) * circular(rng, n, 52)
    known, kinds = np.zeros((n, 52), np.complex64), np.full((n, 52), order, np.uint8)
    known[:, ::13], kinds[:, ::13] = sent[:, ::13], KNOWN
    return [cells.astype(np.complex64), reference.astype(np.complex64), noise, known, kinds]


@orders
def test_constellations_have_unit_mean_power(order):
    assert np.mean(np.abs(points(order)) ** 2) == pytest.approx(1)


@pytest.mark.parametrize("order", [2, 4, 16])
@pytest.mark.parametrize("log_ratio", [-2.0, 0.0, 1.0, 3.0])
def test_distances_from_the_nearest_level_are_those_of_a_simulation(order, log_ratio):
    rng = np.random.default_rng(order)
    ratio = 2.0**log_ratio
    levels = (2 * np.arange(order) - (order - 1)) * ratio
    received = rng.choice(levels, 200000) + rng.normal(size=200000)
    squared = np.min((received[:, None] - levels) ** 2, axis=1)
    column = int(np.flatnonzero(np.isclose(LOG_RATIOS, log_ratio))[0])
    mean, variance = nearest_distances()[:, order, column]
    assert mean == pytest.approx(squared.mean(), rel=0.05) and variance == pytest.approx(squared.var(), rel=0.12)


@orders
@pytest.mark.parametrize("esn0_db", [0, 8, 20, 35])
def test_noise_as_it_is_said_to_be_leaves_no_excess(order, esn0_db):
    more, variance = (each[0] for each in excess(*a_payload(order, esn0_db)))
    assert abs(more.sum()) < 4 * np.sqrt(variance.sum())
    assert np.mean(more**2) == pytest.approx(variance.mean(), rel=0.3)


@orders
def test_more_noise_than_is_said_shows(order):
    more, variance = (each[0] for each in excess(*a_payload(order, 25, louder=1.5)))
    assert more.sum() > 5 * np.sqrt(variance.sum())


@orders
@pytest.mark.parametrize("esn0_db", [0, 10, 30])
def test_the_power_is_that_of_signal_and_noise(order, esn0_db):
    assert POWER_VARIANCES[order] == pytest.approx(np.var(np.abs(points(order)) ** 2), abs=1e-12)
    parts = a_payload(order, esn0_db)
    more, variance = (each[1] for each in excess(*parts))
    assert abs(more.sum()) < 4.5 * np.sqrt(variance.sum())
    assert np.mean(more**2) == pytest.approx(variance.mean(), rel=0.25, abs=1e-3)
    parts[0] = 0.8 * parts[0]
    more, variance = (each[1] for each in excess(*parts))
    assert more.sum() < -5 * np.sqrt(variance.sum())


@orders
def test_likelihoods_are_those_of_the_mixture_of_all_points(order):
    cells, reference, noise, known, kinds = a_payload(order, 12, n=3)
    out, nearest, apart = np.empty((*cells.shape, len(FACTORS)), np.float32), *np.empty((2, *cells.shape))
    _likelihoods(cells, reference, noise, known, kinds, out, nearest, apart)
    sent = points(order)
    for t, k in ((0, 1), (1, 20), (2, 51)):
        variance = noise[t, k] * FACTORS
        distance = np.abs(cells[t, k] - reference[t, k] * sent) ** 2
        exact = logsumexp(-distance[:, None] / variance, axis=0) - np.log(len(sent) * variance)
        assert np.allclose(out[t, k], exact, rtol=1e-4, atol=1e-3)
        between = np.abs(sent[:, None] - sent) + 9 * np.eye(len(sent))
        assert nearest[t, k] == pytest.approx(distance.min() / noise[t, k], rel=1e-4)
        assert apart[t, k] == pytest.approx((np.abs(reference[t, k]) * between.min()) ** 2 / noise[t, k], rel=1e-4)
    assert nearest[0, 0] == pytest.approx(np.abs(cells[0, 0] - reference[0, 0] * known[0, 0]) ** 2 / noise[0, 0])
    assert (apart[:, ::13] == 0).all()


@orders
def test_symbols_and_carriers_that_are_hit_are_told_by_how_much(order):
    """Five symbols in a burst of noise, and a carrier from the middle on, at 20 dB."""
    parts = a_payload(order, 20, n=60, seed=3)
    rng = np.random.default_rng(4)
    louder = np.ones((60, 52))
    louder[20:25] = 30.0
    louder[30:, 7] = 100.0
    parts[0] = (parts[0] + np.sqrt(parts[2] * (louder - 1)) * circular(rng, 60, 52)).astype(np.complex64)
    factor = noise_levels(*parts).factor
    usual = (louder == 1) & (parts[4] == KNOWN)
    assert 0.7 < np.exp(np.log(factor[usual]).mean()) < 1.3 and np.quantile(factor[usual], 0.99) < 3
    assert 10 < factor[20:25].mean() < 90
    assert factor[33:, 7].mean() > 15


@orders
@pytest.mark.parametrize("louder", [1.0, 1.4, 2.0, 2.8, 5.7, 40.0])
def test_levels_are_told_between_their_steps(order, louder):
    parts = a_payload(order, 20, n=60, seed=5, louder=louder)
    factor = noise_levels(*parts).factor[parts[4] == KNOWN]
    assert np.median(factor) == pytest.approx(louder, rel=0.12)


@pytest.mark.parametrize("order", [2, 4], ids=["QPSK", "16-QAM"])
def test_of_cells_that_stray_the_odds_between_points_are_those_of_the_mixture(order):
    """Twelve carriers of every tenth symbol are hit by 100 times the noise, as by another burst's short training."""
    n = 60
    parts = a_payload(order, 18, n=n, seed=6)
    cells, reference, noise, _, kinds = parts
    rng = np.random.default_rng(7)
    hit = np.zeros((n, 52), bool)
    hit[5::10, 2::4] = True
    hit[5::10, -1] = False
    parts[0] = (cells + hit * np.sqrt(99 * noise) * circular(rng, n, 52)).astype(np.complex64)
    factor = noise_levels(*parts).factor
    distance = np.abs(parts[0][..., None] / reference[..., None] - points(order)) ** 2
    scale = np.abs(reference) ** 2 / noise
    nearest = distance.min(axis=2) * scale
    apart = 4 * HALF_DISTANCES[order] ** 2 * scale
    told = apart / factor

    def log_mixture(squared):
        return np.log(0.75 * np.exp(-squared) + 0.0025 * np.exp(-squared / 100) + 1e-300)

    rows = np.zeros((n, 52), bool)
    rows[5::10] = kinds[5::10] != KNOWN
    odds = log_mixture(nearest) - log_mixture(nearest + apart)
    assert np.abs(told - odds)[rows].mean() < 1.5 and np.abs(told - odds)[rows].max() < 6
    # As certain as noise alone would allow, they would be wrong by more than all others together.
    assert apart[rows].max() > 30 and told[rows].max() < 15


def test_the_right_description_has_more_evidence():
    cells, reference, noise, known, kinds = a_payload(4, 15)
    right = noise_levels(cells, reference, noise, known, kinds).evidence
    for wrong in (reference * np.exp(0.4j), 0.7 * reference, np.roll(reference, 1, axis=1)):
        assert noise_levels(cells, wrong.astype(np.complex64), noise, known, kinds).evidence < right - 50
