"""Es/N0 at which a tenth of the packets is lost."""

from collections.abc import Callable

import numpy as np

PER = 0.1
HIGHEST_DB = 36.0
STEP_DB = 0.25


def threshold(per: Callable[[float], float], low_db: float, high_db: float = HIGHEST_DB) -> float | None:
    """Find the Es/N0 in dB for a packet error rate of PER by bisection and logarithmic interpolation between the last
    two.

    Args:
        per: packet error rate at an Es/N0 in dB, with the same draws at each.
        low_db: lower end of the search, where more packets are lost.
        high_db: upper end of the search.

    Returns:
        Es/N0 rounded to two places; None if too many packets are lost even at `high_db`.
    """
    low, high = [low_db, None], [high_db, per(high_db)]
    if high[1] > PER:
        return None
    # Most thresholds are near the lower end.
    step = 2.0
    while low[0] + step < high[0]:
        rate = per(low[0] + step)
        if rate <= PER:
            high = [low[0] + step, rate]
            break
        low, step = [low[0] + step, rate], 2 * step
    while high[0] - low[0] > STEP_DB or low[1] is None:
        middle = (low[0] + high[0]) / 2
        rate = per(middle)
        if rate <= PER:
            high = [middle, rate]
        else:
            low = [middle, rate]
        if high[0] - low[0] < STEP_DB / 8:
            return round(high[0], 2)
    above, below = np.log(low[1]), np.log(max(high[1], 1e-4))
    return round(low[0] + (high[0] - low[0]) * float((above - np.log(PER)) / (above - below)), 2)
