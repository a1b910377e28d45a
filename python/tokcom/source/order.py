"""Order in which tokens are coded: distant positions first, then those between, more at each turn.

Distant tokens depend little on each other, so they can be coded in parallel; tokens coded late have neighbours on all
sides. A fixed quasi-random order is as good as an adaptive one (M2T, arXiv:2304.07313). Only integers are used, so that
both ends compute the same order.
"""

from functools import lru_cache
from itertools import pairwise

import numpy as np

from tokcom.errors import ParameterError

BASES = (2, 3, 5, 7)
"""Bases of the Halton sequence, one per axis of the grid."""


@lru_cache(maxsize=16)
def halton_order(grid: tuple[int, ...]) -> np.ndarray:
    """List the positions of a grid in the order in which the Halton sequence first visits them.

    Args:
        grid: lengths of the sides, at most four.

    Returns:
        int64 (places,), row-major indices, each once; read-only.

    Raises:
        ParameterError: the grid has more axes.
    """
    if len(grid) > len(BASES):
        raise ParameterError(f"the grid has {len(grid)} axes; coding supports at most {len(BASES)}")
    places = int(np.prod(grid))
    found: dict[int, None] = {}
    # After some periods of every base the sequence has visited nearly all positions; append the rest.
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
    """Compute the radical inverse of a number, scaled to 0 … side - 1."""
    reversed_digits, power = 0, 1
    while number:
        number, digit = divmod(number, base)
        reversed_digits, power = reversed_digits * base + digit, power * base
    return reversed_digits * side // power


def split_turns(places: np.ndarray, turns: int) -> list[np.ndarray]:
    """Split positions into turns: few at first, more as the context grows.

    After a share x of the turns, 5x² / (4 + x²) of the positions are coded, which is 1 - cos(πx/2) within .002.

    Args:
        places: int (n,), positions in order.
        turns: at least 1.

    Returns:
        At most `turns` non-empty arrays, each sorted, which together hold `places`.
    """
    ends = [len(places) * 5 * turn**2 // (4 * turns**2 + turn**2) for turn in range(turns + 1)]
    return [np.sort(places[start:end]) for start, end in pairwise(ends) if end > start]


def independent_places(grid: tuple[int, ...], blocks: int) -> list[np.ndarray]:
    """Divide the positions of a grid among blocks that are decoded independently; each block's are in order.

    Each block is a region, because neighbours predict each other best: equal parts of the grid's Z-order curve.

    Raises:
        ParameterError: there are fewer positions than blocks.
    """
    order = halton_order(grid)
    if not 1 <= blocks <= len(order):
        raise ParameterError(f"blocks is {blocks}; a frame of {len(order)} tokens has 1 to {len(order)}")
    regions = np.empty(len(order), int)
    for number, places in enumerate(np.array_split(_z_order(grid), blocks)):
        regions[places] = number
    return [order[regions[order] == number] for number in range(blocks)]


def _z_order(grid: tuple[int, ...]) -> np.ndarray:
    """Sort the positions of a grid by the interleaved bits of their coordinates."""
    axes = np.unravel_index(np.arange(np.prod(grid)), grid)
    keys = np.zeros(len(axes[0]), np.int64)
    for bit in reversed(range(max(grid).bit_length())):
        for axis in axes:
            keys = keys << 1 | axis >> bit & 1
    return np.argsort(keys, kind="stable")
