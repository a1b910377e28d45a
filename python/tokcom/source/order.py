"""Order in which tokens are coded: distant positions first, then those between, more at each turn.

Distant tokens depend little on each other, so they can be coded in parallel; tokens coded late have neighbours on all
sides. A fixed quasi-random order is as good as an adaptive one (M2T, arXiv:2304.07313). Only integers are used, so that
both ends compute the same order.
"""

from itertools import pairwise

import numpy as np

from tokcom.errors import ParameterError
from tokcom.packets.halton import halton_order


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
