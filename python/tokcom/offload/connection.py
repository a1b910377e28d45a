"""A device's connection to an edge server: every request has a deadline, and a server that fails is left alone."""

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import count
from secrets import randbits
from threading import Lock
from typing import TypeVar

from tokcom.errors import MessageError, ParameterError, TransportError
from tokcom.offload.address import EdgeAddress, use_keys, zmq_module
from tokcom.offload.messages import (
    HELLO,
    PING,
    REFUSED,
    WELCOME,
    ServedModel,
    read_refusal,
    read_welcome,
)  # fmt: skip
from tokcom.offload.wire import MAX_MESSAGE, Reader, begin, opened, require_kind

Answer = TypeVar("Answer")

FIRST_REST_S, LONGEST_REST_S = 1.0, 30.0
"""Seconds for which a server is not asked after a failure; they double with each further one."""
MAX_WAITING = 64
MAX_STRAY = 256
"""Messages read while one request waits; a server that sends more is lying."""


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
        bytes_sent, bytes_received: bytes of messages.
    """

    asked: int = 0
    answered: int = 0
    unreachable: int = 0
    late: int = 0
    refused: int = 0
    lies: int = 0
    spared: int = 0
    bytes_sent: int = 0
    bytes_received: int = 0


@dataclass
class _Rest:
    """Time during which a failed server is not asked, after a number of failures without an answer between them."""

    until: float = 0.0
    failures: int = 0
    reason: str = ""
    pinged: float = 0.0


class EdgeConnection:
    """Connection of a device; usable from several threads, one request at a time.

    After a failure (no connection, no answer in time, a refusal, an invalid answer) the server rests: requests fail at
    once. It is asked again once it has answered a heartbeat and the rest is over, which doubles with each further
    failure.

    Args:
        address: address of the server, as in `EdgeAddress.of`.
        deadline_s: seconds from a request to its answer, 0.001 to 600; None for the address's.
        told: called with a sentence when the server fails, and when it answers again.

    Raises:
        TransportError: the address is invalid, or pyzmq is missing.
        KeyFileError: a key cannot be read.
        ParameterError: the deadline is out of its range.
    """

    def __init__(
        self, address: str | EdgeAddress, deadline_s: float | None = None,
        told: Callable[[str], None] = lambda said: None,
    ):  # fmt: skip
        self.address = EdgeAddress.of(address) if isinstance(address, str) else address
        deadline_s = self.address.deadline_s if deadline_s is None else deadline_s
        if not 0.001 <= deadline_s <= 600:
            raise ParameterError(f"deadline_s is {deadline_s}; it must be 0.001 to 600 seconds")
        zmq = zmq_module()
        self.deadline_s, self._told = deadline_s, told
        self.counters = EdgeCounters()
        self._numbers = count(randbits(62))
        self._turn, self._rest = Lock(), _Rest()
        self._socket = zmq.Context.instance().socket(zmq.DEALER)
        for option, value in (
            (zmq.SNDHWM, MAX_WAITING), (zmq.RCVHWM, MAX_WAITING), (zmq.LINGER, 0), (zmq.MAXMSGSIZE, MAX_MESSAGE),
            # Requests wait nowhere but in a connection that stands: what is late is of no use.
            (zmq.IMMEDIATE, 1), (zmq.RECONNECT_IVL, 100), (zmq.RECONNECT_IVL_MAX, 2000),
            (zmq.HEARTBEAT_IVL, 1000), (zmq.HEARTBEAT_TIMEOUT, 3000),
        ):  # fmt: skip
            self._socket.setsockopt(option, value)
        if self.address.own is not None:
            use_keys(self._socket, self.address.own, self.address.server)
        try:
            self._socket.connect(self.address.endpoint)
        except zmq.ZMQError as error:
            self._socket.close()
            raise TransportError(f"ZeroMQ address {self.address.endpoint!r}: {error}") from None

    @property
    def resting(self) -> str:
        """Why the server is not asked at present; empty if it is."""
        return self._rest.reason

    def models(self) -> list[ServedModel]:
        """Ask for the models that the server has.

        Raises:
            TransportError: it does not answer in time, or not as it must.
        """

        def read(kind: int, reader: Reader) -> list[ServedModel]:
            require_kind(kind, WELCOME)
            return read_welcome(reader)

        return self.ask([lambda number: begin(HELLO, number)], [read])[0]

    def ask(
        self, requests: Sequence[Callable[[int], bytes]], readers: Sequence[Callable[[int, Reader], Answer]]
    ) -> list[Answer]:
        """Make requests together, and wait for all answers until the deadline.

        Args:
            requests: per request, a function from its number to its bytes.
            readers: per request, a function from kind and rest of its answer to what it tells; it raises MessageError
                if that is invalid.

        Raises:
            TransportError: the server rests, or has failed just now.
        """
        with self._turn:
            until = time.monotonic() + self.deadline_s
            self._require_awake()
            self.counters.asked += len(requests)
            try:
                answers = self._asked(requests, readers, until)
            except _Failure as failure:
                self._fail(failure.kind, len(requests), str(failure))
                raise TransportError(f"edge server {self.address.endpoint} {failure}") from None
            self.counters.answered += len(requests)
            if self._rest.failures:
                self._told(f"edge server {self.address.endpoint} answers again")
            self._rest = _Rest()
            return answers

    def close(self) -> None:
        """Close the connection."""
        with self._turn:
            self._socket.close()

    def _require_awake(self) -> None:
        """Raise TransportError while the server rests; meanwhile, send heartbeats and look for their answers."""
        rest = self._rest
        if not rest.reason:
            return
        heard = False
        for _ in range(MAX_STRAY):
            if not self._socket.poll(0):
                break
            self._received()
            heard = True
        now = time.monotonic()
        if heard and now >= rest.until:
            rest.reason = ""
            return
        if now - rest.pinged >= FIRST_REST_S:
            rest.pinged = now
            self._sent(begin(PING, 0))
        self.counters.spared += 1
        raise TransportError(f"edge server {self.address.endpoint} {rest.reason}; it is asked again later")

    def _asked(self, requests: Sequence, readers: Sequence, until: float) -> list:
        zmq = zmq_module()
        numbers = [next(self._numbers) for _ in requests]
        for number, request in zip(numbers, requests, strict=True):
            if not self._socket.poll(_ms_left(until), zmq.POLLOUT) or not self._sent(request(number)):
                raise _Failure("unreachable", "cannot be reached")
        waiting = dict(zip(numbers, range(len(numbers)), strict=True))
        answers: list = [None] * len(numbers)
        for _ in range(MAX_STRAY + len(numbers)):
            if not waiting:
                return answers
            if not self._socket.poll(_ms_left(until)):
                raise _Failure("late", f"does not answer within {self.deadline_s:g} s")
            try:
                kind, number, reader = opened(self._received())
                if number not in waiting:  # the answer to a heartbeat, or to a request given up before
                    continue
                place = waiting.pop(number)
                if kind == REFUSED:
                    reason, text = read_refusal(reader)
                    raise _Failure("refused", f"refuses ({reason}): {text[:500]}")
                answers[place] = readers[place](kind, reader)
            except MessageError as error:
                raise _Failure("lies", f"gives an invalid answer: {error}") from None
        raise _Failure("lies", f"sends more than {MAX_STRAY} messages that nobody asked for")

    def _sent(self, message: bytes) -> bool:
        zmq = zmq_module()
        try:
            self._socket.send(message, zmq.NOBLOCK)
        except zmq.Again:
            return False
        self.counters.bytes_sent += len(message)
        return True

    def _received(self) -> bytes:
        parts = self._socket.recv_multipart()
        self.counters.bytes_received += sum(map(len, parts))
        return parts[0] if len(parts) == 1 else b""

    def _fail(self, kind: str, requests: int, reason: str) -> None:
        setattr(self.counters, kind, getattr(self.counters, kind) + requests)
        failures, now = self._rest.failures, time.monotonic()
        if not failures:
            self._told(f"edge server {self.address.endpoint} {reason}")
        # 2^5 is beyond the longest rest.
        rest_s = min(FIRST_REST_S * 2 ** min(failures, 5), LONGEST_REST_S)
        self._rest = _Rest(now + rest_s, failures + 1, reason, now)
        self._sent(begin(PING, 0))


class _Failure(Exception):
    """Failure of a server; `kind` is the counter that counts it."""

    def __init__(self, kind: str, message: str):
        super().__init__(message)
        self.kind = kind


def _ms_left(until: float) -> int:
    """Whole milliseconds until a time, at least 0."""
    return max(0, int(1000 * (until - time.monotonic()) + 0.999))
