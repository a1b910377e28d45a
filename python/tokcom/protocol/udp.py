"""The token protocol over UDP: sockets and clocks around `Sender`, `Receiver` and `DropQueue`."""

import asyncio
import contextlib
import socket
from collections.abc import Awaitable, Callable, Hashable

import numpy as np

from tokcom.errors import TransportError
from tokcom.frame import Payload
from tokcom.protocol.datagrams import HELLO, class_of, kind_of
from tokcom.protocol.incoming import ReceivedFrame
from tokcom.protocol.path import Path
from tokcom.protocol.priority import traffic_class
from tokcom.protocol.receiver import Question, Receiver
from tokcom.protocol.relay import DropQueue
from tokcom.protocol.sender import Sender

SOCKET_BYTES = 4 << 20
"""Receive buffer requested from the kernel for datagrams that wait to be read."""
AT_ONCE = 512
"""Datagrams read before timers and other tasks have their turn."""
MAX_TRAVELLING = 4096
"""Datagrams that may be on simulated paths; more are lost."""
FEWEST_S = 0.0005
"""Timers are not set shorter: pacing goes in bursts of so long."""


def resolve(host: str, port: int) -> tuple[int, tuple]:
    """Family and address of a host.

    Raises:
        TransportError: there is no such host, or no such port.
    """
    if not 0 <= port <= 65535:
        raise TransportError(f"port is {port}; it must be 0 to 65535")
    try:
        family, _, _, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_DGRAM)[0]
    except (OSError, ValueError) as error:
        raise TransportError(f"host {host!r} is not known: {error}; give a name or an address") from None
    return family, address


def _open(family: int, bind: tuple | None) -> socket.socket:
    try:
        made = socket.socket(family, socket.SOCK_DGRAM)
    except OSError as error:
        raise TransportError(f"no socket can be opened: {error.strerror}") from None
    try:
        made.setblocking(False)
        for option in (socket.SO_RCVBUF, socket.SO_SNDBUF):
            made.setsockopt(socket.SOL_SOCKET, option, SOCKET_BYTES)
        if bind is not None:
            made.bind(bind)
    except OSError as error:
        made.close()
        raise TransportError(f"address {bind} cannot be used: {error.strerror}; choose another port") from None
    return made


def _set_class(made: socket.socket, family: int, priority: int) -> None:
    """Set the DSCP of what follows; where the system does not let it, datagrams go unmarked."""
    level, option = (socket.IPPROTO_IP, socket.IP_TOS)
    if family == socket.AF_INET6:
        level, option = (socket.IPPROTO_IPV6, socket.IPV6_TCLASS)
    with contextlib.suppress(OSError):
        made.setsockopt(level, option, traffic_class(priority))


def parse_address(text: str) -> tuple[str, int]:
    """Host and port of "HOST:PORT" or "[HOST]:PORT".

    Raises:
        TransportError: the text is not of that form.
    """
    host, colon, port = text.rpartition(":")
    if not colon or not port.isdecimal() or not 0 < int(port) < 65536 or not host.strip("[]"):
        raise TransportError(f"{text!r} is no address; write HOST:PORT, as in 127.0.0.1:4000")
    return host.strip("[]"), int(port)


class _Endpoint:
    """A socket, read when there is something, and a timer."""

    def __init__(self, made: socket.socket):
        self._socket, self._loop = made, asyncio.get_running_loop()
        self._timer: asyncio.TimerHandle | None = None
        self._loop.add_reader(made.fileno(), self._read)
        self.unsent = 0
        """Datagrams that the kernel did not take."""

    @property
    def port(self) -> int:
        """The port that the socket is bound to."""
        return self._socket.getsockname()[1]

    def _read(self) -> None:
        for _ in range(AT_ONCE):
            try:
                datagram, address = self._socket.recvfrom(65536)
            except BlockingIOError:
                break
            except OSError:  # an earlier datagram found nobody at its address
                continue
            self._take(datagram, address)
        self.pump()

    def _write(self, datagram: bytes, address: tuple) -> None:
        try:
            self._socket.sendto(datagram, address)
        except OSError:
            self.unsent += 1

    def _wake_at(self, time: float | None) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        if time is not None:
            self._timer = self._loop.call_at(max(time, self._loop.time() + FEWEST_S), self.pump)

    def close(self) -> None:
        """Close the socket."""
        if self._socket.fileno() >= 0:
            self._loop.remove_reader(self._socket.fileno())
            self._wake_at(None)
            self._socket.close()

    def _take(self, datagram: bytes, address: tuple) -> None:
        raise NotImplementedError

    def pump(self) -> None:
        """Send what is due and set the timer."""
        raise NotImplementedError


class UdpSender(_Endpoint):
    """A sender at a UDP socket; made within a running loop.

    Args:
        sender: the protocol.
        host, port: of the receiver, or of a relay ahead of it.

    Raises:
        TransportError: there is no such host.
    """

    def __init__(self, sender: Sender, host: str, port: int):
        family, self._to = resolve(host, port)
        self._family = family
        self.sender = sender
        self._class = -1
        super().__init__(_open(family, None))

    def offer(self, frame: Payload, bits: np.ndarray | None = None) -> None:
        """Queue a frame; see `Sender.offer`."""
        self.sender.offer(frame, self._loop.time(), bits)
        self.pump()

    def _take(self, datagram: bytes, address: tuple) -> None:
        if address[:2] == self._to[:2]:
            self.sender.receive(datagram, self._loop.time())

    def pump(self) -> None:
        now = self._loop.time()
        for datagram in self.sender.poll(now):
            self._mark(class_of(datagram))
            self._write(datagram, self._to)
        self._wake_at(self.sender.next_time(now))

    def _mark(self, priority: int) -> None:
        if priority != self._class:
            self._class = priority
            _set_class(self._socket, self._family, priority)

    async def finish(self, timeout_s: float) -> bool:
        """Wait until the receiver wants nothing more, and end the session.

        Returns:
            Whether it came to that in time.
        """
        end = self._loop.time() + timeout_s
        while not self.sender.finished and self._loop.time() < end:
            await asyncio.sleep(0.005)
        done = self.sender.finished
        for datagram in self.sender.close():
            self._write(datagram, self._to)
        return done


class UdpReceiver(_Endpoint):
    """A receiver at a UDP socket; made within a running loop.

    Args:
        receiver: the protocol.
        host, port: to bind to; port 0: any that is free.
        deliver: called with every frame.
        judge: which packets are wanted of a frame, off the loop; None: none.

    Raises:
        TransportError: the address cannot be used.
    """

    def __init__(
        self, receiver: Receiver, host: str, port: int, deliver: Callable[[ReceivedFrame], None],
        judge: Callable[[Question], Awaitable[np.ndarray]] | None = None,
    ):  # fmt: skip
        family, address = resolve(host, port)
        self.receiver, self._deliver, self._judge = receiver, deliver, judge
        self._tasks: set[asyncio.Task] = set()
        super().__init__(_open(family, address))

    def _take(self, datagram: bytes, address: tuple) -> None:
        reply = self.receiver.receive(datagram, address, self._loop.time())
        if reply is not None:
            self._write(reply, address)

    def pump(self) -> None:
        for report, address in self.receiver.poll(self._loop.time()):
            self._write(report, address)
        while self.receiver.questions:
            task = self._loop.create_task(self._ask(self.receiver.questions.popleft()))
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)
        while self.receiver.frames:
            self._deliver(self.receiver.frames.popleft())
        self._wake_at(self.receiver.next_time())

    async def _ask(self, question: Question) -> None:
        wanted = np.zeros(0, int) if self._judge is None else await self._judge(question)
        self.receiver.answer(question.session, question.frame_id, wanted, self._loop.time())
        if self._socket.fileno() >= 0:
            self.pump()


class UdpRelay(_Endpoint):
    """A relay between senders and one receiver; made within a running loop.

    Each sender has a socket of its own on the way to the receiver, so that reports find their way back.

    Args:
        queue: what is dropped under overload.
        listen, to: host and port of this relay, and of the receiver.
        max_senders: addresses that datagrams are taken from, at most; the least recently active one makes room.
        paths: what happens to datagrams on the way there and back, for trials; None: nothing.

    Raises:
        TransportError: an address cannot be used.
    """

    def __init__(
        self, queue: DropQueue, listen: tuple[str, int], to: tuple[str, int], max_senders: int = 64,
        paths: tuple[Path, Path] | None = None,
    ):  # fmt: skip
        family, address = resolve(*listen)
        self._to_family, self._to = resolve(*to)
        self.queue, self._max_senders, self._paths = queue, max_senders, paths
        self._sockets: dict[Hashable, socket.socket] = {}
        self._travelling = 0
        super().__init__(_open(family, address))

    def _take(self, datagram: bytes, address: tuple) -> None:
        self.queue.put(datagram, address)

    def pump(self) -> None:
        now = self._loop.time()
        for datagram, address in self.queue.poll(now):
            if address not in self._sockets and kind_of(datagram) != HELLO and len(self._sockets) >= self._max_senders:
                continue
            self._travel(0, len(datagram), self._mark_and_send, datagram, address)
        self._wake_at(self.queue.next_time(now))

    def _mark_and_send(self, datagram: bytes, address: tuple) -> None:
        try:
            # The one heard of last stands last.
            onward = self._sockets.pop(address, None) or self._new_socket(address)
            self._sockets[address] = onward
            _set_class(onward, self._to_family, class_of(datagram))
            onward.sendto(datagram, self._to)
        except (OSError, TransportError):
            self.unsent += 1

    def _new_socket(self, address: tuple) -> socket.socket:
        while len(self._sockets) >= self._max_senders:
            oldest = next(iter(self._sockets))
            self._drop(self._sockets.pop(oldest))
        made = _open(self._to_family, None)
        self._loop.add_reader(made.fileno(), self._read_back, made, address)
        return made

    def _read_back(self, made: socket.socket, address: tuple) -> None:
        for _ in range(AT_ONCE):
            try:
                datagram, source = made.recvfrom(65536)
            except BlockingIOError:
                return
            except OSError:
                continue
            if source[:2] == self._to[:2]:
                self._travel(1, len(datagram), self._write, datagram, address)

    def _travel(self, way: int, n_bytes: int, send: Callable, *arguments: object) -> None:
        """Send a datagram when it has passed its path: never, once or twice."""
        if self._paths is None:
            send(*arguments)
            return
        now = self._loop.time()
        for time in self._paths[way].arrivals(n_bytes, now):
            if self._travelling < MAX_TRAVELLING:
                self._travelling += 1
                self._loop.call_at(time, self._arrive, send, arguments)

    def _arrive(self, send: Callable, arguments: tuple) -> None:
        self._travelling -= 1
        if self._socket.fileno() >= 0:
            send(*arguments)

    def _drop(self, made: socket.socket) -> None:
        self._loop.remove_reader(made.fileno())
        made.close()

    def close(self) -> None:
        """Close all sockets."""
        for made in self._sockets.values():
            self._drop(made)
        self._sockets.clear()
        super().close()
