"""Requests to a server that may fail: each has a deadline, and a server that fails is left alone."""

import time
from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import dataclass
from threading import Lock
from typing import TypeVar

from tokcom.errors import ParameterError, TransportError

Answer = TypeVar("Answer")

FIRST_REST_S, LONGEST_REST_S = 1.0, 30.0
"""Seconds for which a server is not asked after a failure; they double with each further one."""


@dataclass
class EdgeCounters:
    """Counts of a connection.

    Attributes:
        asked: requests to the server.
        answered: valid answers in time.
        unreachable: requests for which there was no connection.
        late: requests without an answer in time.
        refused: requests that the server refused.
        lies: invalid answers.
        spared: requests not made, because the server had failed shortly before.
        repeated: requests made again within their deadline, because what served them had gone.
        bytes_sent, bytes_received: bytes of messages.
    """

    asked: int = 0
    answered: int = 0
    unreachable: int = 0
    late: int = 0
    refused: int = 0
    lies: int = 0
    spared: int = 0
    repeated: int = 0
    bytes_sent: int = 0
    bytes_received: int = 0


class Failure(Exception):
    """Failure of a server; `kind` is the counter that counts it."""

    def __init__(self, kind: str, message: str):
        super().__init__(message)
        self.kind = kind


@dataclass
class _Rest:
    """Time during which a failed server is not asked, after a number of failures without an answer between them."""

    until: float = 0.0
    failures: int = 0
    reason: str = ""
    pinged: float = 0.0


class ServerConnection(ABC):
    """Connection to a server; usable from several threads, one request at a time.

    After a failure (no connection, no answer in time, a refusal, an invalid answer) the server rests: requests fail at
    once. It is asked again once it has been heard of and the rest is over, which doubles with each further failure.

    Args:
        name: name of the server, for messages.
        deadline_s: seconds from a request to its answer, 0.001 to 600.
        told: called with a sentence when the server fails, and when it answers again.

    Raises:
        ParameterError: the deadline is out of its range.
    """

    def __init__(self, name: str, deadline_s: float, told: Callable[[str], None]):
        if not 0.001 <= deadline_s <= 600:
            raise ParameterError(f"deadline_s is {deadline_s}; it must be 0.001 to 600 seconds")
        self.deadline_s, self.counters = deadline_s, EdgeCounters()
        self._name, self._told, self._turn, self._rest = name, told, Lock(), _Rest()

    @property
    def resting(self) -> str:
        """Why the server is not asked at present; empty if it is."""
        return self._rest.reason

    def attempt(self, requests: int, work: Callable[[float], list[Answer]]) -> list[Answer]:
        """Make requests together, and wait for all answers until the deadline.

        Args:
            requests: number of requests.
            work: makes them, and returns their answers; it is given `time.monotonic()` of the deadline, and raises
                `Failure`.

        Raises:
            TransportError: the server rests, or has failed just now.
        """
        with self._turn:
            until = time.monotonic() + self.deadline_s
            self._require_awake()
            self.counters.asked += requests
            try:
                answers = work(until)
            except Failure as failure:
                self._fail(failure.kind, requests, str(failure))
                raise TransportError(f"edge server {self._name} {failure}") from None
            self.counters.answered += requests
            if self._rest.failures:
                self._told(f"edge server {self._name} answers again")
            self._rest = _Rest()
            return answers

    @abstractmethod
    def close(self) -> None:
        """Close the connection."""

    @abstractmethod
    def _heard(self) -> bool:
        """Whether there has been a sign of life from a server that rests."""

    def _ping(self) -> None:
        """Ask a server that rests for a sign of life."""
        return

    def _require_awake(self) -> None:
        """Raise TransportError while the server rests; meanwhile, ask for signs of life."""
        rest = self._rest
        if not rest.reason:
            return
        heard, now = self._heard(), time.monotonic()
        if heard and now >= rest.until:
            rest.reason = ""
            return
        if now - rest.pinged >= FIRST_REST_S:
            rest.pinged = now
            self._ping()
        self.counters.spared += 1
        raise TransportError(f"edge server {self._name} {rest.reason}; it is asked again later")

    def _fail(self, kind: str, requests: int, reason: str) -> None:
        setattr(self.counters, kind, getattr(self.counters, kind) + requests)
        failures, now = self._rest.failures, time.monotonic()
        if not failures:
            self._told(f"edge server {self._name} {reason}")
        # 2^5 is beyond the longest rest.
        rest_s = min(FIRST_REST_S * 2 ** min(failures, 5), LONGEST_REST_S)
        self._rest = _Rest(now + rest_s, failures + 1, reason, now)
        self._ping()
