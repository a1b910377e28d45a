"""The order in which tokens are coded: places far apart first, then those between, more at each turn.

What is far apart tells little of each other, so it may be coded side by side; what is coded late has neighbours on all
sides. A fixed quasi-random order is as good as a chosen one (M2T, arXiv:2304.07313). Integers alone: both ends must
find the same.
"""

from functools import lru_cache
from itertools import pairwise

import numpy as np

from tokcom.errors import ParameterError

BASES = (2, 3, 5, 7)
"""Of the Halton sequence, by axis of the grid."""


@lru_cache(maxsize=16)
def halton_order(grid: tuple[int, ...]) -> np.ndarray:
    """Places of a grid in the order in which the Halton sequence first falls on them.

    Args:
        grid: sides, at most four.

    Returns:
        int64 (places,), row-major indices, each once; not to be written to.

    Raises:
        ParameterError: a grid of more axes.
    """
    if len(grid) > len(BASES):
        raise ParameterError(f"the grid has {len(grid)} axes; the order of coding knows at most {len(BASES)}")
    places = int(np.prod(grid))
    found: dict[int, None] = {}
    # Beyond some turns of every base the sequence has been nearly everywhere; what it left out follows.
    for number in range(1, 16 * places + 1):
        if len(found) == places:
            break
        place = 0
        for side, base in zip(grid, BASES, strict=False):
            place = place * side + _scaled_inverse(number, base, side)
        found.setdefault(place)
    for place in range(places):
        found.setdefault(place)
    order = np.fromiter(found, np.int64, places)
    order.flags.writeable = False
    return order


def _scaled_inverse(number: int, base: int, side: int) -> int:
    """The radical inverse of a number, in 0 to side - 1."""
    reversed_digits, power = 0, 1
    while number:
        number, digit = divmod(number, base)
        reversed_digits, power = reversed_digits * base + digit, power * base
    return reversed_digits * side // power


def split_turns(places: np.ndarray, turns: int) -> list[np.ndarray]:
    """Places by turn: few at first, more as there is more to predict them from.

    After the share x of the turns, 5x² / (4 + x²) of the places are coded, which is 1 - cos(πx/2) within .002.

    Args:
        places: int (n,), in order.
        turns: at least 1.

    Returns:
        arrays that are not empty and together are `places`, each sorted; at most `turns`.
    """
    ends = [len(places) * 5 * turn**2 // (4 * turns**2 + turn**2) for turn in range(turns + 1)]
    return [np.sort(places[start:end]) for start, end in pairwise(ends) if end > start]


def independent_places(grid: tuple[int, ...], blocks: int) -> list[np.ndarray]:
    """Places of each of several blocks that are decoded without each other, in order.

    Each is a region, for neighbours tell the most of each other: equal parts of the grid's Z-order curve.

    Raises:
        ParameterError: fewer places than blocks.
    """
    order = halton_order(grid)
    if not 1 <= blocks <= len(order):
        raise ParameterError(f"{blocks} blocks of a frame of {len(order)} tokens; it must be 1 to {len(order)}")
    regions = np.empty(len(order), int)
    for number, places in enumerate(np.array_split(_z_order(grid), blocks)):
        regions[places] = number
    return [order[regions[order] == number] for number in range(blocks)]


def _z_order(grid: tuple[int, ...]) -> np.ndarray:
    """Places of a grid by the interleaved bits of their coordinates."""
    axes = np.unravel_index(np.arange(np.prod(grid)), grid)
    keys = np.zeros(len(axes[0]), np.int64)
    for bit in reversed(range(max(grid).bit_length())):
        for axis in axes:
            keys = keys << 1 | axis >> bit & 1
    return np.argsort(keys, kind="stable")
