"""Es/N0 at which a curve falls to a value."""

from collections.abc import Iterable
from itertools import pairwise

import numpy as np

LEAST = 1e-6
"""Value of points without errors where logarithms are interpolated."""


def esn0_at(points: Iterable[tuple[float, float]], value: float, logarithmic: bool = False) -> float | None:
    """Find the Es/N0 in dB at which a curve first falls to a value, by interpolation; None if it never does.

    Args:
        points: Es/N0 in dB and value, in any order.
        value: the value, above 0.
        logarithmic: interpolate the value's logarithm.
    """
    for (esn0_db, before), (next_db, after) in pairwise(sorted(points)):
        if before >= value > after:
            low, middle, high = after, value, before
            if logarithmic:
                low, middle, high = np.log((max(after, LEAST), value, before))
            return float(esn0_db + (high - middle) / (high - low) * (next_db - esn0_db))
    return None
