"""Time stamps of a stream: times of reception of samples, and samples missing between two stamps."""

from collections.abc import Sequence
from dataclasses import dataclass
from math import floor, isfinite

from tokcom.errors import ParameterError

TOLERANCE = 0.5
"""Tolerance of a stamp in samples."""
LATEST = 1 << 40
"""Largest valid number of seconds in a stamp."""


@dataclass(frozen=True)
class Stamp:
    """Time of a sample.

    Attributes:
        index: index of the sample in the stream.
        seconds: whole seconds.
        fraction: fraction of a second, 0 to 1.
    """

    index: int
    seconds: int
    fraction: float


def stamp_of(index: int, value: object) -> Stamp:
    """Parse the value of an rx_time tag: whole seconds and their fraction.

    Raises:
        ParameterError: the value is not two such numbers.
    """
    pair = list(value) if isinstance(value, Sequence) and not isinstance(value, str) else []
    if len(pair) != 2 or not all(isinstance(part, int | float) and isfinite(part) for part in pair):
        raise ParameterError(f"the time is {value!r}; it must be whole seconds and their fraction, two numbers")
    if not 0 <= pair[0] < LATEST or not 0 <= pair[1] < 1:
        raise ParameterError(
            f"the time is {value!r}; seconds must be 0 to {LATEST}, the fraction at least 0 and below 1"
        )
    return Stamp(index, int(pair[0]), float(pair[1]) + float(pair[0]) % 1)


class StreamClock:
    """Clock of a stream, from its stamps.

    If the radio does not report the sample rate, it is learnt from the stamps: samples missing between the first two go
    unnoticed, and later the highest rate is the right one.
    """

    def __init__(self) -> None:
        self.reset()

    def reset(self) -> None:
        """Forget stamps and rate."""
        self._last: Stamp | None = None
        self._rate: float | None = None
        self._told = False

    def set_rate(self, rate: float) -> bool:
        """Set the sample rate in Hz, as reported by the radio; return whether it changes a known one.

        Raises:
            ParameterError: the rate is not positive.
        """
        if not (isfinite(rate) and rate > 0):
            raise ParameterError(f"the sample rate is {rate}; it must be positive")
        changed = self._told and rate != self._rate
        if changed:
            self._last = None
        self._rate, self._told = rate, True
        return changed

    def stamp(self, stamp: Stamp) -> float:
        """Process a stamp.

        Returns:
            Number of samples missing before it, of either sign; 0 if it is as expected to within half a sample, and NaN
            for the first stamp.
        """
        last, self._last = self._last, stamp
        if last is None:
            return float("nan")
        count = stamp.index - last.index
        elapsed = (stamp.seconds - last.seconds) + (stamp.fraction - last.fraction)
        if not self._told and count > 0 and elapsed > 0:
            learnt = count / elapsed
            if self._rate is None or learnt * (1 + TOLERANCE / count) > self._rate:
                self._rate = learnt
                return 0.0
        missing = elapsed * self._rate - count if self._rate else float(-count)
        return missing if abs(missing) > TOLERANCE else 0.0

    def time_of(self, index: int) -> tuple[int, float] | None:
        """Compute the time of reception of a sample, whole seconds and their fraction; None without stamp or rate."""
        if self._last is None or self._rate is None:
            return None
        fraction = self._last.fraction + (index - self._last.index) / self._rate
        whole = floor(fraction)
        return self._last.seconds + whole, fraction - whole
