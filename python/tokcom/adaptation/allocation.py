"""Allocation of an MCS to each packet: the fewest symbols whose expected token errors stay within a bound.

Two families of allocations are searched. Those of `allocate_two_groups` fit in the base of the header; the search is
exhaustive, so its result is optimal. `allocate_freely` chooses the MCS of every packet independently, a multiple-choice
knapsack problem, by Lagrangian relaxation and repair, and returns an upper bound on its distance from the optimum.
"""

from dataclasses import dataclass

import numpy as np

from tokcom.errors import ParameterError
from tokcom.packets.mcs_map import LIGHTER, MCS_COUNT, MCS_NOT_SENT, SHARES, two_groups

COLUMNS = np.array([*range(MCS_COUNT), MCS_NOT_SENT], np.uint8)
"""MCS of each column in a table of errors."""
FUTILE = 0.02
"""Share by which errors may exceed their minimum, for a shorter burst, if the bound cannot be met: in a fade that
nothing survives, the most robust MCS only takes longest."""
_LIGHTER_COLUMN = np.array([MCS_COUNT if index == MCS_NOT_SENT else index for index in LIGHTER])


@dataclass(frozen=True)
class Allocation:
    """Allocation of MCS to a frame's packets.

    Attributes:
        mcs: uint8 (n_packets,), MCS of each packet.
        layout: index of the chosen layout.
        symbols: total number of constellation symbols.
        errors: expected number of wrong tokens.
        gap: upper bound on the symbols that the optimum of the same family saves; 0 if this is the optimum.
        feasible: whether the errors are within the bound. If not, they are the minimum, or up to a share of FUTILE
            above it if that is shorter.
    """

    mcs: np.ndarray
    layout: int
    symbols: int
    errors: float
    gap: float
    feasible: bool


def allocate_two_groups(errors: np.ndarray, symbols: np.ndarray, bound: float, allowed: np.ndarray) -> Allocation:
    """Find the best allocation of the form *first packets one MCS, the others the next lighter one*.

    Args:
        errors: float (n_layouts, n_packets, n_mcs + 1), expected wrong tokens per packet for each of `COLUMNS`.
        symbols: int (n_mcs + 1,), symbols per packet; 0 in the last column.
        bound: upper bound on the frame's expected wrong tokens.
        allowed: bool (n_mcs + 1,), columns that may be used.

    Raises:
        ParameterError: the tables' shapes do not match, or no MCS is allowed.
    """
    _check(errors, symbols, allowed)
    n_packets = errors.shape[1]
    cumulated = np.concatenate([np.zeros_like(errors[:, :1]), errors.cumsum(axis=1)], axis=1)
    first = np.flatnonzero(allowed[:MCS_COUNT])
    second = _LIGHTER_COLUMN[first]
    lengths = np.array([n_packets, *(n_packets * share // SHARES for share in range(1, SHARES))])
    heavy = cumulated[:, lengths][:, :, first]
    light = (cumulated[:, -1:] - cumulated[:, lengths])[:, :, second]
    total = heavy + light
    cost = lengths[:, None] * symbols[first] + (n_packets - lengths[:, None]) * symbols[second]
    # An empty first group is encoded by the second one's MCS.
    usable = (lengths[:, None] == n_packets) | ((lengths[:, None] > 0) & allowed[second])
    cost = np.broadcast_to(np.where(usable, cost, np.iinfo(np.int64).max), total.shape)
    within = (total <= bound) & usable
    feasible = bool(within.any())
    if not feasible:
        within = (total <= np.where(usable, total, np.inf).min() * (1 + FUTILE)) & usable
    least = cost[within].min()
    place = np.where(within & (cost == least), total, np.inf).argmin()
    layout, share, row = np.unravel_index(place, total.shape)
    mcs = two_groups(int(first[row]), int(share), n_packets)
    return Allocation(
        mcs, int(layout), int(cost[layout, share, row]), float(total[layout, share, row]), 0.0, feasible
    )  # fmt: skip


def allocate_freely(errors: np.ndarray, symbols: np.ndarray, bound: float, allowed: np.ndarray) -> Allocation:
    """Choose the MCS of each packet independently: Lagrangian relaxation of the multiple-choice knapsack, then greedy
    repair.

    The price of an error is found by bisection; the value of the relaxation is a lower bound on the symbols, which
    bounds the gap.

    Args:
        errors: float (n_packets, n_mcs + 1), as for `allocate_two_groups`, for one layout.
        symbols, bound, allowed: as there.

    Raises:
        ParameterError: the tables' shapes do not match, or no MCS is allowed.
    """
    _check(errors[None], symbols, allowed)
    columns = np.flatnonzero(allowed)
    table, cost = errors[:, columns], symbols[columns].astype(float)
    choice, relaxed, feasible = cheapest_choices(table, cost, bound)
    # Symbols are integers.
    gap = max(0.0, cost[choice].sum() - np.ceil(relaxed - 1e-6))
    return _allocation(columns, choice, table, cost, gap, feasible)


def cheapest_choices(table: np.ndarray, cost: np.ndarray, bound: float) -> tuple[np.ndarray, float, bool]:
    """Choose one column per row so that errors stay within a bound at the least total cost.

    Args:
        table: float (n_rows, n_choices), errors of each choice.
        cost: float (n_choices,), cost of each choice, the same in all rows.
        bound: upper bound on the sum of errors. If it cannot be met, the minimum of errors plus a share of FUTILE.

    Returns:
        The choices, int (n_rows,); a lower bound on the optimal cost; whether the bound is met.
    """
    rows = np.arange(len(table))

    def priced(price: float) -> np.ndarray:
        return (cost + price * table).argmin(axis=1)

    fewest = table.argmin(axis=1)
    feasible = bool(table[rows, fewest].sum() <= bound)
    if not feasible:
        bound = table[rows, fewest].sum() * (1 + FUTILE)
    low, high = 0.0, 1.0
    while table[rows, priced(high)].sum() > bound and high < 1e12:
        low, high = high, high * 4
    choice = priced(high)
    if table[rows, choice].sum() > bound:
        choice = fewest
    relaxed = -np.inf
    for _ in range(50):
        price = (low + high) / 2
        trial = priced(price)
        spent = table[rows, trial].sum()
        relaxed = max(relaxed, cost[trial].sum() + price * (spent - bound))
        if spent <= bound:
            high = price
            if cost[trial].sum() <= cost[choice].sum():
                choice = trial
        else:
            low = price
    return _lightened(choice, table, cost, bound), relaxed, feasible


def _lightened(choice: np.ndarray, table: np.ndarray, cost: np.ndarray, bound: float) -> np.ndarray:
    """Use the slack of the bound greedily: while a step fits, take the one that saves most symbols per error."""
    choice, rows = choice.copy(), np.arange(len(table))
    left = bound - table[rows, choice].sum()
    while True:
        saved = cost[choice][:, None] - cost[None]
        added = table - table[rows, choice][:, None]
        fits = (saved > 0) & (added <= left)
        if not fits.any():
            return choice
        worth = np.where(fits, saved / np.maximum(added, 1e-12), -np.inf)
        row, column = np.unravel_index(worth.argmax(), worth.shape)
        left -= added[row, column]
        choice[row] = column


def _allocation(columns, choice, table, cost, gap, feasible) -> Allocation:
    spent = table[np.arange(len(table)), choice].sum()
    return Allocation(COLUMNS[columns[choice]], 0, int(cost[choice].sum()), float(spent), float(gap), feasible)


def _check(errors: np.ndarray, symbols: np.ndarray, allowed: np.ndarray) -> None:
    if errors.ndim != 3 or errors.shape[2] != len(COLUMNS) or not symbols.shape == allowed.shape == (len(COLUMNS),):
        raise ParameterError(
            f"errors {errors.shape}, symbols {symbols.shape} and allowed {allowed.shape} do not fit {MCS_COUNT} MCS"
        )
    if not allowed[:MCS_COUNT].any():
        raise ParameterError("no MCS is allowed")
