import numpy as np
import pytest

from tokcom.phy.cell_distances import LOG_RATIOS, POWER_VARIANCES, excess, nearest_distances

pytestmark = pytest.mark.filterwarnings("error")

orders = pytest.mark.parametrize("order", (1, 2, 4, 8, 16), ids=["BPSK", "QPSK", "16-QAM", "64-QAM", "256-QAM"])


@orders
def test_constellations_have_unit_mean_power(order, points):
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
def test_noise_as_it_is_said_to_be_leaves_no_excess(order, esn0_db, a_payload):
    more, variance = (each[0] for each in excess(*a_payload(order, esn0_db)))
    assert abs(more.sum()) < 4 * np.sqrt(variance.sum())
    assert np.mean(more**2) == pytest.approx(variance.mean(), rel=0.3)


@orders
def test_more_noise_than_is_said_shows(order, a_payload):
    more, variance = (each[0] for each in excess(*a_payload(order, 25, louder=1.5)))
    assert more.sum() > 5 * np.sqrt(variance.sum())


@orders
@pytest.mark.parametrize("esn0_db", [0, 10, 30])
def test_the_power_is_that_of_signal_and_noise(order, esn0_db, points, a_payload):
    assert POWER_VARIANCES[order] == pytest.approx(np.var(np.abs(points(order)) ** 2), abs=1e-12)
    parts = a_payload(order, esn0_db)
    more, variance = (each[1] for each in excess(*parts))
    assert abs(more.sum()) < 4.5 * np.sqrt(variance.sum())
    assert np.mean(more**2) == pytest.approx(variance.mean(), rel=0.25, abs=1e-3)
    parts[0] = 0.8 * parts[0]
    more, variance = (each[1] for each in excess(*parts))
    assert more.sum() < -5 * np.sqrt(variance.sum())
