import numpy as np
import pytest
from scipy.stats import norm

from tokcom_lab.membership import membership_advantage


def test_what_is_alike_cannot_be_told_apart():
    rng = np.random.default_rng(0)
    found = membership_advantage(rng.standard_normal(4000), rng.standard_normal(3000))
    assert abs(found["advantage"]) < 4 * found["standard_error"] and abs(found["auc"] - 0.5) < 0.03


def test_the_advantage_is_that_of_the_best_threshold():
    """Of two normal laws a deviation of 1.5 apart: 2 Phi(0.75) - 1, and an AUC of Phi(1.5 / sqrt 2)."""
    rng = np.random.default_rng(1)
    found = membership_advantage(rng.standard_normal(5000) - 1.5, rng.standard_normal(5000))
    assert found["advantage"] == pytest.approx(2 * norm.cdf(0.75) - 1, abs=4 * found["standard_error"])
    assert found["auc"] == pytest.approx(norm.cdf(1.5 / np.sqrt(2)), abs=0.02)
