import numpy as np
import pytest

from tokcom.adaptation.power import PowerBudget, allocate_power
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


def test_powers_fill_up_as_water_does():
    """Errors that fall exponentially with power: the best powers are log(size / level), or none, in closed form."""
    rng = np.random.default_rng(0)
    sizes, level = rng.uniform(0.5, 20, 12), 0.8
    powers = np.linspace(0.001, 5, 4000)
    best = np.maximum(np.log(sizes / level), 0.001)
    bound = float((sizes * np.exp(-best)).sum())
    errors = sizes[:, None] * np.exp(-powers)
    found, mean, least = allocate_power(errors, 10 * np.log10(powers), bound)
    assert 10 ** (found / 10) == pytest.approx(best, abs=0.01)
    assert least <= mean == pytest.approx(best.mean(), abs=2e-3) and mean - least < 2e-3


def test_few_packets_get_the_best_powers_there_are():
    rng = np.random.default_rng(1)
    levels = np.array([-6.0, -3.0, 0.0, 3.0])
    for _ in range(20):
        errors = np.sort(rng.uniform(0, 1, (4, 4)), axis=1)[:, ::-1]
        bound = rng.uniform(0.3, 2)
        grids = np.stack(np.meshgrid(*[range(4)] * 4, indexing="ij"), axis=-1).reshape(-1, 4)
        spent, energy = errors[np.arange(4), grids].sum(axis=1), (10 ** (levels / 10))[grids].mean(axis=1)
        _, mean, least = allocate_power(errors, levels, bound)
        if not (spent <= bound).any():
            assert mean == np.inf
            continue
        assert least - 1e-9 <= energy[spent <= bound].min() <= mean + 1e-9


def test_tables_that_do_not_fit_are_refused():
    with pytest.raises(ParameterError, match=r"errors \(3, 2\) and levels \(3,\) do not match"):
        allocate_power(np.ones((3, 2)), np.zeros(3), 1.0)
