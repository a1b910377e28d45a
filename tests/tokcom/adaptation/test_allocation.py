import itertools

import numpy as np
import pytest

from tokcom.adaptation.allocation import COLUMNS, FUTILE, allocate_freely, allocate_two_groups
from tokcom.errors import ParameterError
from tokcom.packets.mcs_map import MCS_COUNT, SHARES, two_groups

SYMBOLS = np.array([124, 93, 83, 62, 47, 42, 31, 24, 21, 21, 16, 14, 12, 11, 8, 0])
ALL = np.ones(len(COLUMNS), bool)


def tables(seed, n_packets, n_layouts=1):
    """Errors that grow towards lighter schemes, as real ones do, but for some noise."""
    rng = np.random.default_rng(seed)
    middle = rng.uniform(0, 14, (n_layouts, n_packets, 1))
    errors = 4 / (1 + np.exp(-(np.arange(len(COLUMNS)) - middle) / 1.5))
    return errors * rng.uniform(0.9, 1.1, errors.shape)


def spent(errors, mcs):
    column = np.where(mcs == 15, MCS_COUNT, mcs)
    return errors[np.arange(len(mcs)), column].sum(), SYMBOLS[column].sum()


@pytest.mark.parametrize("seed", range(6))
@pytest.mark.parametrize("n_packets", [1, 5, 40])
def test_two_groups_are_the_best_of_all_that_the_header_can_say(seed, n_packets):
    errors = tables(seed, n_packets, 3)
    bound = np.random.default_rng(seed).uniform(0.02, 0.5) * 4 * n_packets
    every = [
        (*spent(errors[layout], two_groups(first, share, n_packets))[::-1], layout)
        for layout in range(3)
        for first in range(MCS_COUNT)
        for share in range(SHARES)
    ]
    found = allocate_two_groups(errors, SYMBOLS, bound, ALL)
    good = [each for each in every if each[1] <= bound + 1e-12]
    if good:
        assert found.feasible and found.symbols == min(good)[0]
    else:
        fewest = min(each[1] for each in every)
        assert not found.feasible
        assert found.symbols == min(each[0] for each in every if each[1] <= fewest * (1 + FUTILE) + 1e-12)
    assert spent(errors[found.layout], found.mcs) == pytest.approx((found.errors, found.symbols))


@pytest.mark.parametrize("seed", range(12))
def test_the_gap_of_the_free_choice_holds_against_all_choices(seed):
    rng = np.random.default_rng(seed)
    errors = tables(seed, 4)[0]
    allowed = np.zeros(len(COLUMNS), bool)
    allowed[rng.permutation(len(COLUMNS))[:6]] = allowed[3] = True
    bound = rng.uniform(0.05, 0.6) * 16
    columns = np.flatnonzero(allowed)
    every = [spent(errors, COLUMNS[list(each)]) for each in itertools.product(columns, repeat=4)]
    best = min((cost for wrong, cost in every if wrong <= bound), default=None)
    found = allocate_freely(errors, SYMBOLS, bound, allowed)
    assert spent(errors, found.mcs) == pytest.approx((found.errors, found.symbols))
    if best is None:
        bound = min(wrong for wrong, _ in every) * (1 + FUTILE)
        best = min(cost for wrong, cost in every if wrong <= bound)
    else:
        assert found.feasible
    assert found.errors <= bound + 1e-9
    assert best <= found.symbols <= best + found.gap + 1e-6


def test_the_gap_is_small_for_a_picture():
    for seed in range(5):
        errors = tables(seed, 64)[0]
        found = allocate_freely(errors, SYMBOLS, 60.0, ALL)
        assert found.feasible and found.gap <= 0.02 * found.symbols


def test_more_errors_allowed_never_cost_more():
    errors = tables(3, 64, 8)
    for solve in (lambda bound: allocate_two_groups(errors, SYMBOLS, bound, ALL),
                  lambda bound: allocate_freely(errors[0], SYMBOLS, bound, ALL)):  # fmt: skip
        costs = [solve(bound).symbols for bound in (2, 8, 32, 128, 300)]
        assert costs == sorted(costs, reverse=True)


def test_columns_that_are_not_allowed_are_not_used():
    errors = tables(0, 64, 2)
    allowed = ALL.copy()
    allowed[[MCS_COUNT, 10, 11]] = False
    for found in (
        allocate_two_groups(errors, SYMBOLS, 100, allowed),
        allocate_freely(errors[0], SYMBOLS, 100, allowed),
    ):
        assert not np.isin(found.mcs, [10, 11, 15]).any()


def test_tables_that_do_not_fit_are_refused():
    with pytest.raises(ParameterError, match="no MCS is allowed"):
        allocate_two_groups(tables(0, 4), SYMBOLS, 1, np.zeros(len(COLUMNS), bool))
    with pytest.raises(ParameterError, match=r"do not fit 15 MCS"):
        allocate_two_groups(tables(0, 4), SYMBOLS[:-1], 1, ALL)
