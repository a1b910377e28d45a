"""The Halton sequence on the positions of a grid: any first ones are spread evenly over it.

Only integers are used, so that both ends of a link compute the same order.
"""

from functools import lru_cache

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
