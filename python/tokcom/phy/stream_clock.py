"""Time stamps of a stream: when a sample was received, and whether samples are missing between two stamps."""

from collections.abc import Sequence
from dataclasses import dataclass
from math import floor, isfinite

from tokcom.errors import ParameterError

TOLERANCE = 0.5
"""Samples by which a stamp may differ from what is expected."""
LATEST = 1 << 40
"""Seconds beyond which a stamp is none."""


@dataclass(frozen=True)
class Stamp:
    """The time of a sample.

    Attributes:
        index: of the sample in the stream.
        seconds: whole seconds.
        fraction: of a second, 0 to 1.
    """

    index: int
    seconds: int
    fraction: float


def stamp_of(index: int, value: object) -> Stamp:
    """A stamp from the value of an rx_time tag: whole seconds and their fraction.

    Raises:
        ParameterError: the value is something else.
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
    """Follows the stamps of a stream.

    Where nobody tells the sample rate it is learnt from the stamps: between the first two of them no sample can be seen
    to be missing, and later the highest rate is right.
    """

    def __init__(self) -> None:
        self.reset()

    def reset(self) -> None:
        """Forget stamps and rate."""
        self._last: Stamp | None = None
        self._rate: float | None = None
        self._told = False

    def set_rate(self, rate: float) -> bool:
        """Take over a sample rate in Hz that the radio tells; returns whether another one held until now.

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
        """Take over a stamp.

        Returns:
            Samples missing ahead of it, a number of either sign; 0 where it is the expected one to half a sample, and
            NaN where it is the first stamp, so that nothing is expected.
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
        """Whole seconds, and their fraction, at which a sample was received; None where no stamp and rate tell it."""
        if self._last is None or self._rate is None:
            return None
        fraction = self._last.fraction + (index - self._last.index) / self._rate
        whole = floor(fraction)
        return self._last.seconds + whole, fraction - whole
