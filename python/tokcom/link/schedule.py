"""Schedule of bursts: from a first time on, at most one per period."""

import math

from tokcom.errors import ParameterError


class BurstSchedule:
    """Schedule of bursts at `first` and whole periods later. Slots in the past are skipped.

    Without a first time, the first burst goes out at once and its time is that of the first slot; without a period,
    bursts follow each other without a wait.

    Args:
        first: time in seconds before which no burst is sent, at least 0; 0 for no limit.
        period: seconds from one burst to the next, at least 0; 0 for no period.

    Raises:
        ParameterError: a parameter is out of its range.
    """

    def __init__(self, first: float = 0.0, period: float = 0.0):
        for name, value in (("tx_time", first), ("period", period)):
            if not 0 <= value < 1e12:
                raise ParameterError(f"{name} is {value}; it must be at least 0 seconds and below 1e12")
        self.period, self.first, self._next = period, first, 0

    def next_time(self, now: float) -> float:
        """Take the earliest free slot and return its time in seconds, never before `now`."""
        if not self.period:
            return max(self.first, now)
        if not self._next and not self.first:
            self.first = now
        # A slot that is due now, up to rounding, is not late.
        passed = math.ceil((now - self.first) / self.period - 1e-9)
        slot = max(self._next, passed)
        self._next = slot + 1
        return max(now, self.first + slot * self.period)
