"""Probabilities on which two machines agree although their networks' outputs differ slightly.

The log-odds of one network differ by about 1e-5 between batch sizes, kernels and runtimes. Here they are rounded to a
grid, which makes them equal unless a boundary lies between the two. The encoder therefore shifts the grid: it tries
dithers until none of its log-odds lies within a margin of a boundary, and signals the one it chose. A decoder whose
log-odds agree within that margin gets the same integers, which are all that the range coder sees.

Rounding a decision whose outcome is nearly certain costs almost nothing, so the grid is coarser there: its steps are
equal on a companded scale. The fewer boundaries, the fewer dithers must be tried and signalled.
"""

from decimal import ROUND_HALF_EVEN, Context, Decimal
from functools import cache, lru_cache

import numpy as np

from tokcom.source.decisions import LIMIT

STEPS = 4
"""Steps of the grid per unit of log-odds around 0. A coarser grid costs bits, a finer one more tries."""
SLOPES = ((0.0, 1.0), (1.0, 0.5), (2.0, 0.25), (2.875, 0.125))
"""Lines (offset, slope) whose minimum compands the absolute value of log-odds: full steps up to 2, then twice as wide
ones up to 4, four times up to 7, and eight times up to LIMIT."""
DITHERS = 64
NO_DITHER = DITHERS
"""Value that marks decisions without a suitable dither; they are coded with probability 1/2."""
PRECISION = 16
"""Probabilities are integers in units of 2**-PRECISION."""
HALF = 1 << (PRECISION - 1)
MARGIN = 1e-4
"""Largest difference between the two ends' log-odds: ten times the largest observed."""
COARSENING = "0.6"
"""Mean slope of the companded scale at the decisions of pictures and texts."""
SECTION = 2560
"""Largest number of decisions that share a dither: the more there are, the fewer dithers suit all of them."""

_FINE = STEPS * DITHERS
_LAST = 5 * _FINE
_EXACT = Context(prec=40, rounding=ROUND_HALF_EVEN)


def companded(log_odds: np.ndarray) -> np.ndarray:
    """Compress log-odds to the scale on which the grid's steps are equal, float64 of the same shape."""
    size = np.abs(log_odds)
    return np.copysign(np.minimum.reduce([offset + slope * size for offset, slope in SLOPES]), log_odds)


@cache
def probability_table() -> np.ndarray:
    """Tabulate the probability of a 1, int32, in units of 2**-PRECISION, at multiples of 1 / (STEPS * DITHERS) from -5
    to 5 on the companded scale, clipped to 1 … 2**PRECISION - 1. Computed in 40-digit decimal arithmetic, so the same
    on every machine."""
    upper = [_logistic(number) for number in range(_LAST + 1)]
    table = np.array([(1 << PRECISION) - value for value in upper[:0:-1]] + upper, np.int32)
    table = np.clip(table, 1, (1 << PRECISION) - 1)
    table.flags.writeable = False
    return table


def _logistic(number: int) -> int:
    scaled = _EXACT.divide(Decimal(number), Decimal(_FINE))
    ratio = _EXACT.exp(-max(_EXACT.divide(scaled - Decimal(offset), Decimal(slope)) for offset, slope in SLOPES))
    return int(_EXACT.divide(Decimal(1 << PRECISION), 1 + ratio).to_integral_value(ROUND_HALF_EVEN))


def probabilities(log_odds: np.ndarray, dithers: np.ndarray) -> np.ndarray:
    """Compute the probability of a 1 in units of 2**-PRECISION, int32.

    Args:
        log_odds: float64 of any shape, within LIMIT.
        dithers: int, broadcastable to log_odds: 0 to DITHERS - 1, or NO_DITHER.
    """
    steps = _rounded(companded(log_odds), dithers)
    found = probability_table()[np.clip(steps * DITHERS - dithers + _LAST, 0, 2 * _LAST)]
    return np.where(dithers == NO_DITHER, HALF, found).astype(np.int32)


def find_dither(log_odds: np.ndarray, margin: float = MARGIN) -> int:
    """Find the first dither under which log-odds (n,) with errors of at most `margin` give the same probabilities;
    NO_DITHER if there is no such dither."""
    dithers = np.arange(DITHERS)[:, None]
    low, high = (companded(np.clip(log_odds + side, -LIMIT, LIMIT))[None] for side in (-margin, margin))
    suits = (_rounded(low, dithers) == _rounded(high, dithers)).all(axis=1)
    return int(suits.argmax()) if suits.any() else NO_DITHER


def _rounded(scaled: np.ndarray, dithers: np.ndarray) -> np.ndarray:
    """Round companded log-odds to the nearest step of a grid that is shifted by dithers / DITHERS of a step."""
    return np.floor(scaled * STEPS + (dithers / DITHERS + 0.5)).astype(np.int64)


@lru_cache(maxsize=1024)
def first_suits(decisions: int) -> int:
    """Probability, in units of 2**-PRECISION, that a dither suits `decisions` decisions with a margin of MARGIN; it is
    used to code the number of the first suitable dither."""
    risk = Decimal(decisions) * Decimal(2 * STEPS) * Decimal("0.0001") * Decimal(COARSENING)
    likely = _EXACT.exp(-risk) * (1 << PRECISION)
    return min(max(int(likely.to_integral_value(ROUND_HALF_EVEN)), 1), (1 << PRECISION) - 1)
