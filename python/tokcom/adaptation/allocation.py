"""An MCS for each packet: the fewest symbols whose expected token errors stay within a bound.

Two families of answers are searched. `two_groups` holds those that the header's base can name by itself, and is
searched in full: what it returns is the best of them. `free_choice` gives every packet an MCS of its own, a
multiple-choice knapsack, by Lagrangian relaxation and a repair; it says how far from the best it can be at most.
"""

from dataclasses import dataclass

import numpy as np

from tokcom.errors import ParameterError
from tokcom.packets.mcs_map import LIGHTER, MCS_COUNT, MCS_NOT_SENT, SHARES, two_groups

COLUMNS = np.array([*range(MCS_COUNT), MCS_NOT_SENT], np.uint8)
"""MCS of each column of a table of errors."""
FUTILE = 0.02
"""Where the bound cannot be met, so much more than the fewest errors is let pass for a shorter burst: in a fade that
nothing survives, the most robust MCS only takes longest."""
_LIGHTER_COLUMN = np.array([MCS_COUNT if index == MCS_NOT_SENT else index for index in LIGHTER])


@dataclass(frozen=True)
class Allocation:
    """MCS of a frame's packets.

    Attributes:
        mcs: uint8 (n_packets,).
        layout: which of the layouts offered.
        symbols: constellation symbols of all packets.
        errors: expected wrong tokens.
        gap: symbols by which the best answer of the same family may be shorter; 0 where this is it.
        feasible: whether the errors are within the bound. If not, they are the fewest there can be, or up to a
            FUTILE share more where that is shorter.
    """

    mcs: np.ndarray
    layout: int
    symbols: int
    errors: float
    gap: float
    feasible: bool


def allocate_two_groups(errors: np.ndarray, symbols: np.ndarray, bound: float, allowed: np.ndarray) -> Allocation:
    """The best answer of the form *first packets one MCS, the others the next lighter one*.

    Args:
        errors: float (n_layouts, n_packets, n_mcs + 1), expected wrong tokens of each packet under each of `COLUMNS`.
        symbols: int (n_mcs + 1,), of a packet; 0 in the last column.
        bound: expected wrong tokens of the frame.
        allowed: bool (n_mcs + 1,), columns that may be used.

    Raises:
        ParameterError: the tables do not fit each other, or no MCS is allowed.
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
    # An empty first group is said by the second one's MCS.
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
    """An MCS for each packet by itself: Lagrangian relaxation of the multiple-choice knapsack, then greedy repair.

    The price of an error is found by bisection; the relaxation's value is a lower bound on the symbols, so that the
    gap is known.

    Args:
        errors: float (n_packets, n_mcs + 1), as for `allocate_two_groups`, of one layout.
        symbols, bound, allowed: as there.

    Raises:
        ParameterError: the tables do not fit each other, or no MCS is allowed.
    """
    _check(errors[None], symbols, allowed)
    columns = np.flatnonzero(allowed)
    table, cost = errors[:, columns], symbols[columns].astype(float)
    choice, relaxed, feasible = cheapest_choices(table, cost, bound)
    # Symbols come whole.
    gap = max(0.0, cost[choice].sum() - np.ceil(relaxed - 1e-6))
    return _allocation(columns, choice, table, cost, gap, feasible)


def cheapest_choices(table: np.ndarray, cost: np.ndarray, bound: float) -> tuple[np.ndarray, float, bool]:
    """One choice for each row so that errors stay within a bound and all choices together cost least.

    Args:
        table: float (n_rows, n_choices), errors of each.
        cost: float (n_choices,), of each choice, the same in all rows.
        bound: of the errors' sum. Where it cannot be met, the fewest errors there can be and a FUTILE share more.

    Returns:
        int (n_rows,), the choices; a lower bound on what the best ones cost; whether the bound is met.
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
    """Spend what the bound leaves over: the step that saves most symbols an error, as long as one fits."""
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
