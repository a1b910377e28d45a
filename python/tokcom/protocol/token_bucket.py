"""A token bucket: bytes that may be sent at a rate, and in a burst."""

from tokcom.errors import ParameterError

ROUNDING = 1e-6
"""Bytes that rounding may take from the level."""


class TokenBucket:
    """Lets bytes through at a rate, after a rest up to a burst of them at once.

    Args:
        rate: bytes per second, above 0.
        burst: bytes, above 0.

    Raises:
        ParameterError: one of them is not above 0.
    """

    def __init__(self, rate: float, burst: float):
        if not (rate > 0 and burst > 0):
            raise ParameterError(f"rate is {rate}, burst {burst}; both must be above 0")
        self.rate, self.burst = rate, burst
        self._level, self._at = float(burst), None

    def _fill(self, now: float) -> None:
        # A clock that stands still or goes back fills nothing.
        if self._at is not None and now > self._at:
            self._level = min(self.burst, self._level + (now - self._at) * self.rate)
        self._at = now

    def take(self, count: int, now: float) -> bool:
        """Whether `count` bytes may go now; if so, they are taken. A datagram longer than the burst waits for a full
        bucket and leaves a debt."""
        self._fill(now)
        if self._level < min(count, self.burst) - ROUNDING:
            return False
        self._level -= count
        return True

    def wait(self, count: int, now: float) -> float:
        """Seconds until `count` bytes may go."""
        self._fill(now)
        lacking = min(count, self.burst) - self._level
        return lacking / self.rate if lacking > ROUNDING else 0.0
