"""Power of bursts under limits on mean and peak, and allocation of power to packets."""

import numpy as np

from tokcom.adaptation.allocation import cheapest_choices
from tokcom.errors import ParameterError


def allocate_power(errors: np.ndarray, levels_db: np.ndarray, bound: float) -> tuple[np.ndarray, float, float]:
    """Allocate power to a frame's packets so that the expected token errors stay within a bound at the least energy:
    water-filling over the expected loss.

    Args:
        errors: float (n_packets, n_levels), expected wrong tokens per packet at each level.
        levels_db: float (n_levels,), powers in dB, including the peak.
        bound: upper bound on the frame's expected wrong tokens.

    Returns:
        Power of each packet in dB, float64 (n_packets,); their mean linear power, infinite if no powers meet the bound;
        a lower bound on the optimal mean power.

    Raises:
        ParameterError: the shapes of the tables do not match.
    """
    levels = np.asarray(levels_db, float)
    if errors.ndim != 2 or not errors.size or levels.shape != errors.shape[1:]:
        raise ParameterError(
            f"errors {errors.shape} and levels {levels.shape} do not match; one column per level is needed"
        )
    cost = 10 ** (levels / 10)
    choice, relaxed, feasible = cheapest_choices(errors, cost, bound)
    mean = float(cost[choice].mean()) if feasible else np.inf
    return levels[choice], mean, float(relaxed / len(errors))


class PowerBudget:
    """Power budget: energy saved by weak bursts may be spent on strong ones later.

    Args:
        mean_db: limit on the mean power over time, in dB.
        peak_db: largest power of a burst in dB, at least mean_db.
        memory: upper bound on the savings, in samples of mean power.

    Raises:
        ParameterError: the peak is below the mean.
    """

    def __init__(self, mean_db: float = 0.0, peak_db: float = 3.0, memory: float = 1e5):
        if not peak_db >= mean_db:
            raise ParameterError(f"peak_db is {peak_db}; it must be at least mean_db, {mean_db}")
        self.mean_db, self.peak_db, self._memory = mean_db, peak_db, memory
        self.saved = 0.0
        """Energy available, in samples of power 0 dB."""

    def highest_db(self, airtime: int) -> float:
        """Return the largest power in dB of a burst of `airtime` samples."""
        mean = 10 ** (self.mean_db / 10)
        return min(self.peak_db, 10 * float(np.log10(mean + self.saved / max(airtime, 1))))

    def spend(self, airtime: int, power_db: float) -> None:
        """Deduct the energy of a burst of `airtime` samples."""
        mean = 10 ** (self.mean_db / 10)
        saved = self.saved + airtime * (mean - 10 ** (power_db / 10))
        self.saved = float(np.clip(saved, 0.0, self._memory * mean))
