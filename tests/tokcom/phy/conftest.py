import numpy as np
import pytest

from tokcom.phy.cell_distances import HALF_DISTANCES, KNOWN


@pytest.fixture
def circular():
    """Draws circular Gaussian noise of unit power."""

    def draw(rng, *shape):
        return (rng.normal(size=shape) + 1j * rng.normal(size=shape)) * np.sqrt(0.5)

    return draw


@pytest.fixture
def points():
    """Makes the points of a constellation, by its levels per component; 1 for BPSK."""

    def make(order):
        half = HALF_DISTANCES[order]
        if order == 1:
            return np.array([-1.0, 1.0])
        levels = (2 * np.arange(order) - (order - 1)) * half
        return (levels[:, None] + 1j * levels).ravel()

    return make


@pytest.fixture
def a_payload(circular, points):
    """Makes cells behind a channel of random gains, in noise that is `louder` than the one returned."""

    def make(order, esn0_db, n=40, seed=0, louder=1.0):
        rng = np.random.default_rng(seed)
        sent = rng.choice(points(order), (n, 52))
        reference = circular(rng, 1, 52) + 0.5 + np.zeros((n, 1))
        noise = np.full((n, 52), 10 ** (-esn0_db / 10))
        cells = reference * sent + np.sqrt(noise * louder) * circular(rng, n, 52)
        known, kinds = np.zeros((n, 52), np.complex64), np.full((n, 52), order, np.uint8)
        known[:, ::13], kinds[:, ::13] = sent[:, ::13], KNOWN
        return [cells.astype(np.complex64), reference.astype(np.complex64), noise, known, kinds]

    return make
