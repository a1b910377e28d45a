import numpy as np
import pytest
from scipy.special import logsumexp

from tokcom.phy.noise_likelihoods import FACTORS, fill_likelihoods

pytestmark = pytest.mark.filterwarnings("error")

orders = pytest.mark.parametrize("order", (1, 2, 4, 8, 16), ids=["BPSK", "QPSK", "16-QAM", "64-QAM", "256-QAM"])


@orders
def test_likelihoods_are_those_of_the_mixture_of_all_points(order, points, a_payload):
    cells, reference, noise, known, kinds = a_payload(order, 12, n=3)
    out, nearest, apart = np.empty((*cells.shape, len(FACTORS)), np.float32), *np.empty((2, *cells.shape))
    fill_likelihoods(cells, reference, noise, known, kinds, out, nearest, apart)
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
