import numpy as np
import pytest

from tokcom.adaptation.power import PowerBudget
from tokcom.errors import ParameterError


def test_the_mean_is_kept_whatever_is_asked_for():
    rng, budget = np.random.default_rng(0), PowerBudget(0.0, 3.0)
    energy = airtime = 0.0
    for _ in range(2000):
        length = int(rng.integers(1000, 9000))
        power = min(rng.uniform(-6, 6), budget.highest_db(length))
        assert power <= 3.0
        budget.spend(length, power)
        energy, airtime = energy + length * 10 ** (power / 10), airtime + length
    assert energy <= airtime * (1 + 1e-9)


def test_what_was_saved_can_be_spent_up_to_the_peak():
    budget = PowerBudget(0.0, 3.0)
    assert budget.highest_db(1000) == pytest.approx(0)
    budget.spend(1000, -3.0103)
    assert budget.highest_db(1000) == pytest.approx(10 * np.log10(1.5), abs=1e-4)
    assert budget.highest_db(10) == 3.0


def test_a_peak_below_the_mean_is_refused():
    with pytest.raises(ParameterError, match="peak_db is -1"):
        PowerBudget(0, -1)
