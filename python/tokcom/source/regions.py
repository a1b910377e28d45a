"""Regions of a frame, one per independent block: pieces of the grid's Z-order curve, on which neighbours, which predict
each other best, are near each other.

A frame is cut where the pieces cost about the same, so that its blocks come out about as long. Each block states where
its own piece begins and ends.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from itertools import pairwise
from math import isqrt, prod

import numpy as np

from tokcom.errors import ParameterError, SourceError
from tokcom.packets.bits import bits_per_token
from tokcom.packets.halton import halton_order

LENGTH_STEP = 0.25
"""Accuracy in bits to which the length of the longest block is searched."""


@dataclass(frozen=True)
class Region:
    """Places of a frame that one of its blocks holds.

    Attributes:
        grid: the frame's grid.
        number: number of the block, from 0.
        blocks: blocks of the frame.
        start: first place on the Z-order curve.
        end: the place after the last one.
    """

    grid: tuple[int, ...]
    number: int
    blocks: int
    start: int
    end: int

    @property
    def places(self) -> np.ndarray:
        """Positions in the frame, int64 (n,), in the order of coding."""
        order = halton_order(self.grid)
        along = z_ranks(self.grid)[order]
        return order[(self.start <= along) & (along < self.end)]

    @property
    def bounds(self) -> np.ndarray:
        """Bits with which the block states its region, uint8: its end if it is the first, its start if it is the last,
        and the number of the pair otherwise; nothing if there is no other block."""
        width = bounds_width(self.number, self.blocks, self.grid)
        if not width:
            return np.zeros(0, np.uint8)
        if self.number == 0:
            number = self.end
        elif self.number == self.blocks - 1:
            number = self.start
        else:
            number = self.end * (self.end - 1) // 2 + self.start
        return np.array(list(map(int, f"{number:0{width}b}")), np.uint8)


def bounds_width(number: int, blocks: int, grid: tuple[int, ...]) -> int:
    """Compute the number of bits with which a block states its region: for a frame of 256 tokens, 8 in the first and
    the last block, and 15 in those between."""
    count = prod(grid)
    if blocks == 1:
        return 0
    return bits_per_token(count if number in (0, blocks - 1) else count * (count - 1) // 2)


def longest_bounds(blocks: int, grid: tuple[int, ...]) -> int:
    """Compute the largest number of bits with which a block of a frame states its region."""
    return bounds_width(1 if blocks > 2 else 0, blocks, grid)


def read_region(bits: np.ndarray, number: int, blocks: int, grid: tuple[int, ...]) -> Region:
    """Parse the region that a block states.

    Args:
        bits: uint8 (n,), the block, which begins with its bounds.
        number: number of the block, from 0.
        blocks: blocks of the frame.
        grid: the frame's grid.

    Raises:
        ParameterError: the grid has fewer tokens than blocks.
        SourceError: the block is too short, or its region leaves no token for another block.
    """
    count = prod(grid)
    _require_blocks(blocks, count)
    width = bounds_width(number, blocks, grid)
    if len(bits) < width:
        raise SourceError(f"it ends after {len(bits)} of the {width} bits of its region")
    start, end = 0, count
    if width:
        stated = int("".join(map(str, bits[:width])), 2)
        if number == 0:
            end = stated
        elif number == blocks - 1:
            start = stated
        else:
            end = (1 + isqrt(1 + 8 * stated)) // 2
            start = stated - end * (end - 1) // 2
    after = blocks - 1 - number
    if not number <= start < end <= count - after:
        raise SourceError(
            f"it claims tokens {start} to {end} of the {count} on the Z-order curve, and {number} blocks before it and "
            f"{after} behind it need at least one each"
        )
    return Region(grid, number, blocks, start, end)


def split_evenly(
    costs: np.ndarray, blocks: int, grid: tuple[int, ...], width: int, most: int | None = None
) -> list[Region]:  # fmt: skip
    """Divide a frame into regions such that the longest of their blocks is as short as possible.

    Args:
        costs: float (tokens,), bits that each token takes if it is coded, by position in the frame; at least 0.
        blocks: number of regions.
        grid: the frame's grid.
        width: bits that a token takes if its block is not coded.
        most: largest number of tokens per region; None for any.

    Raises:
        ParameterError: the grid has fewer tokens than blocks, or more than they may hold.
    """
    count = prod(grid)
    _require_blocks(blocks, count)
    most = count if most is None else most
    if blocks * most < count:
        raise ParameterError(f"blocks is {blocks}; a frame of {count} tokens needs at least {-(-count // most)}")
    spent = np.concatenate([[0.0], np.cumsum(costs[np.argsort(z_ranks(grid))])])
    low, high = 0.0, float(width * count)
    while high - low > LENGTH_STEP:
        middle = (low + high) / 2
        low, high = (low, middle) if _ends(spent, blocks, width, most, middle)[-1] == count else (middle, high)
    ends = _ends(spent, blocks, width, most, high)
    return [Region(grid, number, blocks, start, end) for number, (start, end) in enumerate(pairwise([0, *ends]))]


def _ends(spent: np.ndarray, blocks: int, width: int, most: int, longest: float) -> list[int]:
    """End each region as late as a length in bits permits, at least one token after the one before and one token per
    following block before the last place; the last end is not that of the frame if the length is too short.

    Args:
        spent: float (tokens + 1,), costs of the tokens before each place.
        blocks, width, most: as in `split_evenly`.
        longest: the length.
    """
    count, ends = len(spent) - 1, [0]
    for number in range(blocks):
        start, after = ends[-1], blocks - 1 - number
        lengths = np.minimum(spent[start:] - spent[start], width * np.arange(count + 1 - start))
        fitting = int((lengths <= longest).sum()) - 1
        ends.append(start + min(max(fitting, 1), most, count - after - start))
    return ends[1:]


def overlapping(regions: Sequence[Region]) -> set[int]:
    """Find the regions that share places with another, by their numbers."""
    return {
        one.number
        for one in regions
        for other in regions
        if one.number != other.number and one.start < other.end and other.start < one.end
    }


@lru_cache(maxsize=16)
def z_ranks(grid: tuple[int, ...]) -> np.ndarray:
    """Rank the positions of a grid by the interleaved bits of their coordinates, int64 (tokens,), read-only."""
    axes = np.unravel_index(np.arange(prod(grid)), grid)
    keys = np.zeros(len(axes[0]), np.int64)
    for bit in reversed(range(max(grid).bit_length())):
        for axis in axes:
            keys = keys << 1 | axis >> bit & 1
    ranks = np.argsort(np.argsort(keys, kind="stable"))
    ranks.flags.writeable = False
    return ranks


def _require_blocks(blocks: int, count: int) -> None:
    if not 1 <= blocks <= count:
        raise ParameterError(f"blocks is {blocks}; a frame of {count} tokens has 1 to {count}")
