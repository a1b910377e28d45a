"""A device's connection to an edge server over ZeroMQ."""

import time
from collections.abc import Callable, Sequence
from itertools import count
from secrets import randbits
from weakref import finalize

from tokcom.errors import MessageError, TransportError
from tokcom.offload.address import EdgeAddress, use_keys, zmq_module
from tokcom.offload.attempts import Answer, Failure, ServerConnection
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

MAX_WAITING = 64
MAX_STRAY = 256
"""Messages read while one request waits; a server that sends more is lying."""


class EdgeConnection(ServerConnection):
    """Connection of a device to `tokcom serve`, with heartbeats.

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
        if self.address.is_http:
            raise TransportError(
                f"{self.address.endpoint} is of a model over HTTP; this takes tokcom serve, tcp://HOST:PORT"
            )
        super().__init__(self.address.endpoint, self.address.deadline_s if deadline_s is None else deadline_s, told)
        zmq = zmq_module()
        self._numbers = count(randbits(62))
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
        # A prior is dropped without a word, and its connection with it: the socket must not outlive them.
        finalize(self, self._socket.close)

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
        return self.attempt(len(requests), lambda until: self._asked(requests, readers, until))

    def close(self) -> None:
        """Close the connection."""
        with self._turn:
            self._socket.close()

    def _heard(self) -> bool:
        heard = False
        for _ in range(MAX_STRAY):
            if not self._socket.poll(0):
                break
            self._received()
            heard = True
        return heard

    def _ping(self) -> None:
        self._sent(begin(PING, 0))

    def _asked(self, requests: Sequence, readers: Sequence, until: float) -> list:
        zmq = zmq_module()
        numbers = [next(self._numbers) for _ in requests]
        for number, request in zip(numbers, requests, strict=True):
            if not self._socket.poll(_ms_left(until), zmq.POLLOUT) or not self._sent(request(number)):
                raise Failure("unreachable", "cannot be reached")
        waiting = dict(zip(numbers, range(len(numbers)), strict=True))
        answers: list = [None] * len(numbers)
        for _ in range(MAX_STRAY + len(numbers)):
            if not waiting:
                return answers
            if not self._socket.poll(_ms_left(until)):
                raise Failure("late", f"does not answer within {self.deadline_s:g} s")
            try:
                kind, number, reader = opened(self._received())
                if number not in waiting:  # the answer to a heartbeat, or to a request given up before
                    continue
                place = waiting.pop(number)
                if kind == REFUSED:
                    reason, text = read_refusal(reader)
                    raise Failure("refused", f"refuses ({reason}): {text[:500]}")
                answers[place] = readers[place](kind, reader)
            except MessageError as error:
                raise Failure("lies", f"gives an invalid answer: {error}") from None
        raise Failure("lies", f"sends more than {MAX_STRAY} messages that nobody asked for")

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


def _ms_left(until: float) -> int:
    """Whole milliseconds until a time, at least 0."""
    return max(0, int(1000 * (until - time.monotonic()) + 0.999))
