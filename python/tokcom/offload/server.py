"""An edge server: priors and tokenizers for devices that are too small for them, over ZeroMQ."""

import threading
import time
from collections.abc import Collection, Iterable
from dataclasses import dataclass

from tokcom.errors import MessageError, ParameterError, TokcomError, TransportError
from tokcom.offload.address import is_local, use_keys, zmq_module
from tokcom.offload.draft_messages import DRAFTS, DraftRequest
from tokcom.offload.files import REQUESTS as FILE_REQUESTS
from tokcom.offload.files import Shelf, shelf_reply
from tokcom.offload.messages import (
    HELLO,
    PING,
    PONG,
    REQUESTS,
    refusal_bytes,
    welcome_bytes,
)  # fmt: skip
from tokcom.offload.trust import Doorkeeper
from tokcom.offload.wire import Reader, begin, opened
from tokcom.offload.work import EdgeModel, Job, JobQueue, ServerCounters, work_off
from tokcom.packets.codebook import codebook_id
from tokcom.security.agreement import PrivateKey

MAX_WAITING = 16
"""Messages that wait in a socket in each direction, for each device."""
MAX_REQUEST = 16 << 20
"""Limit on the bytes of a request; a connection that sends more is closed."""
READERS = REQUESTS | {DRAFTS: DraftRequest.decode}
"""Reader of each kind of request for work."""
HEARTBEAT_MS = 1000
"""Milliseconds between heartbeats of connections; one that misses three is closed."""


@dataclass(frozen=True)
class ServerSettings:
    """Settings of a server.

    Args:
        batch: frames computed together, at least 1.
        wait_s: seconds that a request waits for others to be computed with, at least 0.
        queue: largest number of requests that wait, at least 1.
        per_device: largest number of requests of one device that wait, at least 1.

    Raises:
        ParameterError: a parameter is out of its range.
    """

    batch: int = 8
    wait_s: float = 0.005
    queue: int = 64
    per_device: int = 16

    def __post_init__(self) -> None:
        for name in ("batch", "queue", "per_device"):
            if getattr(self, name) < 1:
                raise ParameterError(f"{name} is {getattr(self, name)}; it must be at least 1")
        if not 0 <= self.wait_s <= 60:
            raise ParameterError(f"wait_s is {self.wait_s}; it must be 0 to 60 seconds")


class EdgeServer:
    """Server of models. It works in two threads from `start` to `stop`: one talks to devices, one computes.

    Args:
        models: the models.
        endpoint: ZeroMQ endpoint to bind to, such as tcp://127.0.0.1:5570; port 0 takes any that is free.
        settings: settings.
        own: private key; connections are then encrypted. None: only devices on this machine can be served.
        trusted: public keys of the devices that are let in, with `own`; None for any.
        shelf: models that are given away or taken as files; None for none.

    Raises:
        TransportError: the endpoint cannot be used, is open to other machines without a key, or pyzmq is missing.
        ParameterError: two models have the same codebook.
    """

    def __init__(
        self, models: Iterable[EdgeModel], endpoint: str, settings: ServerSettings | None = None, *,
        own: PrivateKey | None = None, trusted: Collection[bytes] | None = None, shelf: Shelf | None = None,
    ):  # fmt: skip
        zmq, settings = zmq_module(), settings or ServerSettings()
        self.models: dict[int, EdgeModel] = {}
        for model in models:
            if self.models.setdefault(codebook_id(model.codebook), model) is not model:
                raise ParameterError(f"two models have the codebook {model.codebook}; serve one of them")
        if own is None and not is_local(endpoint):
            raise TransportError(
                f"{endpoint} is open to other machines: give the server a key (tokcom keys new --private), or serve "
                "at 127.0.0.1"
            )
        self.counters, self._shelf = ServerCounters(), shelf
        self._queue = JobQueue(settings.queue, settings.per_device, settings.batch, settings.wait_s)
        self._context = zmq.Context()
        self._door = None if own is None else Doorkeeper(self._context, trusted)
        self._devices = self._socket(zmq.ROUTER)
        if own is not None:
            use_keys(self._devices, own)
        try:
            self._devices.bind(endpoint)
        except zmq.ZMQError as error:
            self._context.destroy(0)
            raise TransportError(f"ZeroMQ address {endpoint!r}: {error}") from None
        self.endpoint: str = self._devices.getsockopt_string(zmq.LAST_ENDPOINT)
        self._results = self._socket(zmq.PULL)
        self._results.bind("inproc://results")
        self._stopping = self._ended = False
        self._threads: list[threading.Thread] = []

    def _socket(self, kind: int):
        zmq = zmq_module()
        made = self._context.socket(kind)
        for option, value in (
            (zmq.SNDHWM, MAX_WAITING), (zmq.RCVHWM, MAX_WAITING), (zmq.LINGER, 0), (zmq.MAXMSGSIZE, MAX_REQUEST),
            (zmq.HEARTBEAT_IVL, HEARTBEAT_MS), (zmq.HEARTBEAT_TIMEOUT, 3 * HEARTBEAT_MS),
        ):  # fmt: skip
            made.setsockopt(option, value)
        return made

    @property
    def refused_devices(self) -> int:
        """Number of connections refused for an unknown key."""
        return 0 if self._door is None else self._door.refused

    def __enter__(self) -> "EdgeServer":
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    def start(self) -> None:
        """Begin to serve."""
        self._threads = [
            threading.Thread(target=target, name=f"edge {name}", daemon=True)
            for name, target in (("talk", self._talk), ("work", self._work))
        ]
        for thread in self._threads:
            thread.start()

    def stop(self, grace_s: float = 5.0) -> bool:
        """Refuse new requests, answer those that wait, and end.

        Args:
            grace_s: seconds for the requests that wait.

        Returns:
            Whether all were answered.
        """
        self._stopping = True
        self._queue.close()
        talk, work = self._threads or (None, None)
        if work is not None:
            work.join(grace_s)
        done = work is None or not work.is_alive()
        self._ended = True
        if talk is not None:
            talk.join(grace_s)
        if talk is None:
            self._context.destroy(0)
        return done

    def _work(self) -> None:
        zmq = zmq_module()
        results = self._context.socket(zmq.PUSH)
        results.linger = 0
        results.connect("inproc://results")

        def answer(device: bytes, message: bytes) -> None:
            results.send_multipart([device, message])

        def refuse(job: Job, reason: str, text: str) -> None:
            self.counters.refused[reason] += 1
            results.send_multipart([job.reply[0], refusal_bytes(reason, text, job.reply[1])])

        try:
            work_off(self._queue, self.models, self.counters, answer, refuse)
        except zmq.ZMQError:  # the server ended before the computation
            pass
        finally:
            results.close()

    def _talk(self) -> None:
        zmq = zmq_module()
        poller = zmq.Poller()
        for socket in (self._devices, self._results, *([self._door.socket] if self._door else [])):
            poller.register(socket, zmq.POLLIN)
        while not self._ended or self._results.poll(0):
            ready = dict(poller.poll(50))
            if self._door is not None and self._door.socket in ready:
                self._door.answer()
            if self._results in ready:
                device, message = self._results.recv_multipart()
                self.counters.answered += 1
                self._send(device, message)
            if self._devices in ready:
                self._receive()
        if self._door is not None:
            self._door.close()
        self._context.destroy(0)

    def _receive(self) -> None:
        device, *parts = self._devices.recv_multipart()
        if len(parts) != 1:
            self.counters.invalid += 1
            return
        number = 0
        try:
            kind, number, reader = opened(parts[0])
            reply = self._reply(device, kind, number, reader)
        except MessageError as error:
            self.counters.invalid += 1
            reply = refusal_bytes("invalid", str(error), number)
        except Exception as error:  # whatever a device has found, the others are served
            self.counters.invalid += 1
            reply = refusal_bytes("failed", f"{type(error).__name__}: {error}", number)
        if reply is not None:
            self._send(device, reply)

    def _reply(self, device: bytes, kind: int, number: int, reader: Reader) -> bytes | None:
        """Return the answer to a message, or None if it comes later or is not due.

        Raises:
            MessageError: the message is invalid.
        """
        if kind == PING:
            return begin(PONG, number)
        if kind == HELLO:
            return welcome_bytes([model.told() for model in self.models.values()], number)
        if kind in FILE_REQUESTS:
            return self._shelf_reply(device, kind, number, reader)
        if kind not in READERS:
            raise MessageError(f"messages of kind {kind} are not for a server")
        self.counters.requests += 1
        arrived = time.monotonic()
        request = READERS[kind](reader)
        model = self.models.get(request.codebook_id)
        if model is None:
            return self._refused("unknown", f"codebook 0x{request.codebook_id:08x} is not served", number)
        try:
            model.require(request)
        except TokcomError as error:
            return self._refused("invalid", str(error), number)
        if self._stopping:
            return self._refused("stopping", "the server is about to stop", number)
        if not self._queue.put(Job((device, number), request, arrived + request.deadline_ms / 1000)):
            return self._refused("busy", f"{len(self._queue)} requests wait", number)
        return None

    def _shelf_reply(self, device: bytes, kind: int, number: int, reader: Reader) -> bytes:
        if self._shelf is None:
            return self._refused("unknown", "this server gives no models away; it must be started with --share", number)
        try:
            return shelf_reply(self._shelf, device, kind, number, reader)
        except MessageError:
            raise
        except TokcomError as error:
            return self._refused("invalid", str(error), number)

    def _refused(self, reason: str, text: str, number: int) -> bytes:
        self.counters.refused[reason] += 1
        return refusal_bytes(reason, text, number)

    def _send(self, device: bytes, message: bytes) -> None:
        zmq = zmq_module()
        try:
            self._devices.send_multipart([device, message], zmq.NOBLOCK, copy=False)
        except zmq.ZMQError:  # the device is gone, or does not read its answers
            self.counters.refused["unread"] += 1
