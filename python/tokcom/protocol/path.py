"""A path through a network, for simulation: bursty losses, delay, jitter, reordering, duplicates, and a bottleneck."""

from collections import deque
from dataclasses import dataclass

import numpy as np

from tokcom.errors import ParameterError


@dataclass(frozen=True)
class PathSettings:
    """A path, one way.

    Args:
        loss: share of datagrams lost on average, 0 to below 1.
        burst: mean length of bursts of lost datagrams, at least 1 / (1 - loss), which is independent loss (a
            Gilbert-Elliott chain whose bad state loses everything).
        delay_s: what every datagram takes, in seconds.
        jitter_s: mean of what comes on top, exponential; datagrams may overtake each other.
        reorder: share of datagrams that overtake those ahead by `delay_s` less.
        duplicate: share of datagrams that come twice.
        rate: bytes per second of the bottleneck; None: there is none.
        queue_bytes: of the bottleneck; what does not fit is dropped.

    Raises:
        ParameterError: a parameter is out of its range.
    """

    loss: float = 0.0
    burst: float = 1.0
    delay_s: float = 0.0
    jitter_s: float = 0.0
    reorder: float = 0.0
    duplicate: float = 0.0
    rate: float | None = None
    queue_bytes: int = 1 << 16

    def __post_init__(self) -> None:
        for name in ("loss", "reorder", "duplicate"):
            if not 0 <= getattr(self, name) < 1:
                raise ParameterError(f"{name} is {getattr(self, name)}; it must be at least 0 and below 1")
        for name in ("delay_s", "jitter_s"):
            if not 0 <= getattr(self, name) < 3600:
                raise ParameterError(f"{name} is {getattr(self, name)}; it must be 0 to 3600 seconds")
        if not self.burst >= 1:
            raise ParameterError(f"burst is {self.burst}; it must be at least 1")
        if self.rate is not None and not (self.rate > 0 and self.queue_bytes > 0):
            raise ParameterError(f"rate is {self.rate}, queue_bytes {self.queue_bytes}; both must be above 0")


class Path:
    """Says when datagrams come out.

    Args:
        settings: of the path.
        seed: of losses, jitter, reordering and duplicates.

    Attributes:
        lost, overflowed: datagrams that were lost, and that found the queue full.
    """

    def __init__(self, settings: PathSettings, seed: int = 0):
        self.settings = settings
        self._rng = np.random.default_rng(seed)
        self._bad = False
        self._free_at = 0.0
        self._queue: deque[tuple[float, int]] = deque()
        self._queued = 0
        self.lost = self.overflowed = 0

    def _loses(self) -> bool:
        """Whether the next datagram is lost: one step of the Gilbert-Elliott chain."""
        loss = self.settings.loss
        if not loss:
            return False
        # Independent losses have bursts of 1 / (1 - loss) already.
        leave = 1 / max(self.settings.burst, 1 / (1 - loss))
        enter = leave * loss / (1 - loss)
        self._bad = self._rng.random() >= leave if self._bad else self._rng.random() < enter
        return self._bad

    def arrivals(self, n_bytes: int, now: float) -> list[float]:
        """Times in seconds at which a datagram of `n_bytes` bytes, sent now, comes out: none, one or two."""
        settings, at = self.settings, now
        if settings.rate is not None:
            while self._queue and self._queue[0][0] <= now:
                self._queued -= self._queue.popleft()[1]
            if self._queued + n_bytes > settings.queue_bytes:
                self.overflowed += 1
                return []
            at = self._free_at = max(self._free_at, now) + n_bytes / settings.rate
            self._queue.append((at, n_bytes))
            self._queued += n_bytes
        if self._loses():
            self.lost += 1
            return []
        copies = 1 + (settings.duplicate > 0 and self._rng.random() < settings.duplicate)
        return [at + self._delay() for _ in range(copies)]

    def _delay(self) -> float:
        settings = self.settings
        jitter = self._rng.exponential(settings.jitter_s) if settings.jitter_s else 0.0
        if settings.reorder and self._rng.random() < settings.reorder:
            return jitter
        return settings.delay_s + jitter
