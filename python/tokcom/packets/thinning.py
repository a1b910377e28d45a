"""Rules that say which of a frame's tokens are sent; the receiver's model fills in the others.

A rule is signalled in a few bytes, from which both ends compute the same places by whole numbers:

- spread: the first places of the Halton order, which are evenly distributed.
- checkerboard: one colour of a checkerboard before the other, each in the Halton order.
- regions: the frame is divided into REGIONS_PER_SIDE² regions, each of a level that says how densely its tokens are
  sent. It costs REGION_BITS bits per region, where a map of all tokens would cost one bit per token.
- places: a map of all tokens.

Every rule has a number of tokens, which it meets exactly. A burst's header carries it (docs/air-interface.md, element
8).
"""

import struct
from dataclasses import dataclass
from math import prod

import numpy as np

from tokcom.errors import ParameterError
from tokcom.packets.bits import bits_to_tokens, tokens_to_bits
from tokcom.packets.halton import halton_order

RULES = "spread", "checkerboard", "regions", "places"
REGIONS_PER_SIDE, REGION_BITS = 4, 2
DENSITIES = (8, 4, 2, 1)
"""Relative density of the tokens of a region, by its level."""
HEAD_BYTES = 3
"""One byte of the rule and two of the number of tokens."""
MAX_THINNED = 1 << 12
"""Largest number of tokens of a frame of which only some are sent; a header's rule costs the receiver time."""


@dataclass(frozen=True)
class Thinning:
    """A rule and its parameters.

    Args:
        rule: one of RULES.
        count: number of tokens that are sent, 1 to MAX_THINNED.
        levels: level of each region, REGIONS_PER_SIDE² of 0 to 3; empty for other rules than "regions".
        places: places of the tokens, increasing; empty for other rules than "places".

    Raises:
        ParameterError: a parameter is out of its range.
    """

    rule: str
    count: int
    levels: tuple[int, ...] = ()
    places: tuple[int, ...] = ()

    def __post_init__(self) -> None:
        if self.rule not in RULES:
            raise ParameterError(f"rule is {self.rule!r}; it must be one of {', '.join(RULES)}")
        if not 1 <= self.count <= MAX_THINNED:
            raise ParameterError(f"count is {self.count}; it must be 1 to {MAX_THINNED}")
        wanted = REGIONS_PER_SIDE**2 if self.rule == "regions" else 0
        if len(self.levels) != wanted or not all(0 <= level < len(DENSITIES) for level in self.levels):
            raise ParameterError(f"levels is {self.levels}; rule {self.rule!r} has {wanted}, each 0 to 3")
        wanted = self.count if self.rule == "places" else 0
        if len(self.places) != wanted or list(self.places) != sorted({*self.places}):
            raise ParameterError(f"{len(self.places)} places given; rule {self.rule!r} has {wanted}, increasing")

    def sent(self, grid: tuple[int, ...]) -> np.ndarray:
        """Compute the places that are sent, int64 (count,), increasing.

        Raises:
            ParameterError: the grid has fewer tokens, or more than MAX_THINNED, or is not two-dimensional for a rule
                that needs that.
        """
        size = _size(grid)
        if self.count > size or any(place >= size for place in self.places):
            raise ParameterError(f"count is {self.count}; a grid of {' x '.join(map(str, grid))} has {size} tokens")
        if self.rule == "places":
            return np.array(self.places, np.int64)
        order = halton_order(grid)
        rank = np.empty(size, np.int64)
        rank[order] = np.arange(size)
        if self.rule == "checkerboard":
            rank += size * (np.sum(np.unravel_index(np.arange(size), grid), axis=0) % 2)
        if self.rule == "regions":
            rank = _rank_by_regions(order, np.array(self.levels)[region_of(grid)])
        return np.sort(np.argsort(rank, kind="stable")[: self.count])

    def to_bytes(self, grid: tuple[int, ...]) -> bytes:
        """Serialize for a receiver that knows the grid."""
        head = struct.pack(">BH", RULES.index(self.rule), self.count)
        if self.rule == "regions":
            return head + np.packbits(tokens_to_bits(np.array(self.levels)[:, None], REGION_BITS).ravel()).tobytes()
        if self.rule == "places":
            return head + np.packbits(np.isin(np.arange(prod(grid)), self.places)).tobytes()
        return head

    @classmethod
    def from_bytes(cls, data: bytes, grid: tuple[int, ...]) -> "Thinning":
        """Parse what `to_bytes` wrote, from any origin.

        Raises:
            ParameterError: it is no rule for the grid, or not in the form that `to_bytes` writes.
        """
        if len(data) < HEAD_BYTES or data[0] >= len(RULES):
            raise ParameterError(f"no rule: {len(data)} bytes beginning with {data[:1].hex() or 'nothing'}")
        number, count = struct.unpack(">BH", data[:HEAD_BYTES])
        rule, size = RULES[number], _size(grid)
        if not 1 <= count <= size:
            raise ParameterError(f"the rule announces {count} tokens; the frame has {size}")
        if len(data) != rule_bytes(rule, grid):
            raise ParameterError(f"the rule has {len(data)} bytes; {rule!r} has {rule_bytes(rule, grid)}")
        if rule == "regions":
            region_of(grid)
        bits = np.unpackbits(np.frombuffer(data[HEAD_BYTES:], np.uint8))
        levels = places = ()
        if rule == "regions":
            levels = tuple(bits_to_tokens(bits[: REGION_BITS * REGIONS_PER_SIDE**2], REGION_BITS).tolist())
        if rule == "places":
            places = tuple(np.flatnonzero(bits).tolist())
            if len(places) != count or places[-1] >= size:
                raise ParameterError(f"the rule's map of {size} tokens holds {len(places)}; it announces {count}")
        return cls(rule, count, levels, places)


def sent_mask(thinning: bytes, grid: tuple[int, ...]) -> np.ndarray:
    """Mask of the tokens of a frame that are sent, bool (n_tokens,), by a serialized rule; all if it is empty.

    Raises:
        ParameterError: it is no rule for the grid.
    """
    mask = np.full(prod(grid), not thinning)
    if thinning:
        mask[Thinning.from_bytes(thinning, grid).sent(grid)] = True
    return mask


def packets_sent(thinning: bytes, grid: tuple[int, ...], tokens_per_packet: int) -> int:
    """Compute the number of packets that hold the tokens sent by a serialized rule; all of the frame if it is empty.

    Raises:
        ParameterError: it is no rule for the grid, sends all tokens, or does not fill whole packets.
    """
    if not thinning:
        return -(-prod(grid) // tokens_per_packet)
    count = Thinning.from_bytes(thinning, grid).count
    if count == prod(grid):
        raise ParameterError(f"the rule sends all {count} tokens; a whole frame has none")
    if count % tokens_per_packet:
        raise ParameterError(
            f"the rule sends {count} tokens, which do not fill packets of {tokens_per_packet}: thin frames for the "
            "packets in which they are sent"
        )
    return count // tokens_per_packet


def rule_bytes(rule: str, grid: tuple[int, ...]) -> int:
    """Compute the length in bytes of a signalled rule."""
    bits = {"regions": REGION_BITS * REGIONS_PER_SIDE**2, "places": prod(grid)}.get(rule, 0)
    return HEAD_BYTES + -(-bits // 8)


def _size(grid: tuple[int, ...]) -> int:
    """Number of tokens of a grid, at most MAX_THINNED."""
    if prod(grid) > MAX_THINNED:
        raise ParameterError(f"a frame of {prod(grid)} tokens must be sent whole; at most {MAX_THINNED} can be thinned")
    return prod(grid)


def region_of(grid: tuple[int, ...]) -> np.ndarray:
    """Find the region of each place of a two-dimensional grid, int64 (places,).

    Raises:
        ParameterError: the grid has not two axes of at least REGIONS_PER_SIDE places.
    """
    if len(grid) != 2 or min(grid) < REGIONS_PER_SIDE:
        raise ParameterError(f"regions need a grid of at least {REGIONS_PER_SIDE} x {REGIONS_PER_SIDE}, not {grid}")
    rows, columns = np.unravel_index(np.arange(prod(grid)), grid)
    return rows * REGIONS_PER_SIDE // grid[0] * REGIONS_PER_SIDE + columns * REGIONS_PER_SIDE // grid[1]


def _rank_by_regions(order: np.ndarray, levels: np.ndarray) -> np.ndarray:
    """Rank places so that any first ones are spread in each region, with densities in proportion to DENSITIES."""
    rank = np.empty(len(order), np.int64)
    for level, density in enumerate(DENSITIES):
        own = order[levels[order] == level]
        # Scaled so that the n-th of a share x of all places has rank n / (x density): whole numbers at both ends.
        rank[own] = (np.arange(len(own)) * len(order) * max(DENSITIES)) // (max(len(own), 1) * density)
    place = np.empty(len(order), np.int64)
    place[order] = np.arange(len(order))
    return rank * len(order) + place
