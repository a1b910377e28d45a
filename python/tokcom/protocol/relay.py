"""The paper's intermediate router: under overload the packets that receivers can guess best are dropped first."""

from collections import deque
from collections.abc import Hashable
from dataclasses import dataclass

import numpy as np

from tokcom.errors import DatagramError, ParameterError
from tokcom.protocol.datagrams import CLASSES, class_of
from tokcom.protocol.token_bucket import TokenBucket

SUREST, RANDOM, TAIL = "surest", "random", "tail"
DROPS = (SUREST, RANDOM, TAIL)
"""Policies of a full queue: drop a datagram of the surest class held, which is also the last to go on; a random one; or
the latest."""


@dataclass
class RelayCounters:
    """Counters of a relay.

    Attributes:
        passed: datagrams that went on.
        dropped: those that did not, by class.
        refused: datagrams that do not belong to the token protocol.
    """

    passed: int
    dropped: list[int]
    refused: int


class DropQueue:
    """A bounded queue ahead of a token bucket.

    Args:
        rate: bytes per second that go on.
        queue_bytes: that may wait, at least 1.
        drop: what is dropped where more come, one of DROPS.
        burst: bytes that go on at once after a rest.
        seed: of random dropping.

    Raises:
        ParameterError: a parameter is out of its range.
    """

    def __init__(
        self, rate: float, queue_bytes: int = 1 << 16, drop: str = SUREST, burst: float = 3000.0, seed: int = 0
    ):  # fmt: skip
        if drop not in DROPS:
            raise ParameterError(f"drop is {drop!r}; it must be one of {', '.join(DROPS)}")
        if queue_bytes < 1:
            raise ParameterError(f"queue_bytes is {queue_bytes}; it must be at least 1")
        self._bucket = TokenBucket(rate, burst)
        self._queue_bytes, self._drop = queue_bytes, drop
        self._rng = np.random.default_rng(seed)
        # One queue for each class keeps their order; tickets keep the order among classes.
        self._waiting: list[deque[tuple[int, bytes, Hashable]]] = [deque() for _ in range(CLASSES)]
        self._ticket, self.n_bytes = 0, 0
        self.counters = RelayCounters(0, [0] * CLASSES, 0)

    def __len__(self) -> int:
        return sum(map(len, self._waiting))

    def put(self, datagram: bytes, to: Hashable) -> None:
        """Take a datagram to be forwarded to an address; one that is not of the token protocol is dropped."""
        try:
            priority = class_of(datagram)
        except DatagramError:
            self.counters.refused += 1
            return
        if self._drop == TAIL and self.n_bytes + len(datagram) > self._queue_bytes:
            self.counters.dropped[priority] += 1
            return
        self._waiting[priority].append((self._ticket, datagram, to))
        self._ticket += 1
        self.n_bytes += len(datagram)
        while self.n_bytes > self._queue_bytes:
            self._drop_one()

    def _drop_one(self) -> None:
        if self._drop == RANDOM:
            number = int(self._rng.integers(len(self)))
            priority = next(i for i in range(CLASSES) if number < sum(map(len, self._waiting[: i + 1])))
            queue = self._waiting[priority]
            place = number - sum(map(len, self._waiting[:priority]))
        else:
            # The one that has waited longest: what is asked for again is young.
            priority = max(i for i in range(CLASSES) if self._waiting[i])
            queue, place = self._waiting[priority], 0
        self.n_bytes -= len(queue[place][1])
        del queue[place]
        self.counters.dropped[priority] += 1

    def _next(self) -> deque:
        held = [queue for queue in self._waiting if queue]
        # A sure packet that goes ahead of others takes the place of one of them, which is then dropped.
        return held[0] if self._drop == SUREST else min(held, key=lambda queue: queue[0][0])

    def poll(self, now: float) -> list[tuple[bytes, Hashable]]:
        """Datagrams that go on now, and where to: in the order in which they came, with "surest" class by class."""
        out = []
        while len(self):
            queue = self._next()
            if not self._bucket.take(len(queue[0][1]), now):
                break
            _, datagram, to = queue.popleft()
            self.n_bytes -= len(datagram)
            self.counters.passed += 1
            out.append((datagram, to))
        return out

    def next_time(self, now: float) -> float | None:
        """Time in seconds at which the next datagram may be forwarded; None: nothing waits."""
        return now + self._bucket.wait(len(self._next()[0][1]), now) if len(self) else None
