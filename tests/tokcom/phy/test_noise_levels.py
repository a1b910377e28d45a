import numpy as np
import pytest

from tokcom.phy.cell_distances import HALF_DISTANCES, KNOWN
from tokcom.phy.noise_levels import noise_levels

pytestmark = pytest.mark.filterwarnings("error")

orders = pytest.mark.parametrize("order", (1, 2, 4, 8, 16), ids=["BPSK", "QPSK", "16-QAM", "64-QAM", "256-QAM"])


@orders
def test_symbols_and_carriers_that_are_hit_are_told_by_how_much(order, a_payload, circular):
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
def test_levels_are_told_between_their_steps(order, louder, a_payload):
    parts = a_payload(order, 20, n=60, seed=5, louder=louder)
    factor = noise_levels(*parts).factor[parts[4] == KNOWN]
    assert np.median(factor) == pytest.approx(louder, rel=0.12)


@pytest.mark.parametrize("order", [2, 4], ids=["QPSK", "16-QAM"])
def test_of_cells_that_stray_the_odds_between_points_are_those_of_the_mixture(order, points, a_payload, circular):
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


def test_the_right_description_has_more_evidence(a_payload):
    cells, reference, noise, known, kinds = a_payload(4, 15)
    right = noise_levels(cells, reference, noise, known, kinds).evidence
    for wrong in (reference * np.exp(0.4j), 0.7 * reference, np.roll(reference, 1, axis=1)):
        assert noise_levels(cells, wrong.astype(np.complex64), noise, known, kinds).evidence < right - 50
