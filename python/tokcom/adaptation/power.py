"""How strong a burst may be, under a mean and a peak."""

import numpy as np

from tokcom.errors import ParameterError


class PowerBudget:
    """Energy saved by weak bursts may be spent on strong ones later.

    Args:
        mean_db: mean power over time, in dB.
        peak_db: largest power of a burst, at least the mean.
        memory: samples of mean power that can be saved up at most.

    Raises:
        ParameterError: the peak is below the mean.
    """

    def __init__(self, mean_db: float = 0.0, peak_db: float = 3.0, memory: float = 1e5):
        if not peak_db >= mean_db:
            raise ParameterError(f"peak_db is {peak_db}; it must be at least mean_db, {mean_db}")
        self.mean_db, self.peak_db, self._memory = mean_db, peak_db, memory
        self.saved = 0.0
        """Energy in hand, in samples of power 0 dB."""

    def highest_db(self, airtime: int) -> float:
        """Largest power in dB of a burst of so many samples."""
        mean = 10 ** (self.mean_db / 10)
        return min(self.peak_db, 10 * float(np.log10(mean + self.saved / max(airtime, 1))))

    def spend(self, airtime: int, power_db: float) -> None:
        """A burst of so many samples is sent."""
        mean = 10 ** (self.mean_db / 10)
        saved = self.saved + airtime * (mean - 10 ** (power_db / 10))
        self.saved = float(np.clip(saved, 0.0, self._memory * mean))
