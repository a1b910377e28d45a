"""The token protocol in QUIC datagrams (RFC 9221), by aioquic: encrypted, and through whatever lets QUIC pass.

QUIC has a congestion control and a handshake of its own beneath the session's; both ends know a certificate.
"""

import asyncio
import ssl
from collections.abc import Awaitable, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path

import numpy as np

from tokcom.errors import TransportError
from tokcom.frame import Payload
from tokcom.protocol.incoming import ReceivedFrame
from tokcom.protocol.receiver import Question, Receiver
from tokcom.protocol.sender import Sender

try:
    from aioquic.asyncio import QuicConnectionProtocol, connect, serve
    from aioquic.quic.configuration import QuicConfiguration
    from aioquic.quic.events import ConnectionTerminated, DatagramFrameReceived, QuicEvent
    from cryptography.exceptions import UnsupportedAlgorithm
except ImportError as missing:
    raise TransportError("QUIC needs the Python package aioquic: pip install 'tokcom[network]'") from missing

PROTOCOL = "tokcom-1"
FRAME_BYTES = 1500
"""Longest datagram frame that is taken."""
QUIC_MTU = 1100
"""Bytes of a datagram within a QUIC packet of 1200: give `SenderSettings` this."""


class _Connection(QuicConnectionProtocol):
    """A connection that carries datagrams."""

    def write(self, datagrams: list[bytes]) -> None:
        """Put datagrams on their way."""
        for datagram in datagrams:
            self._quic.send_datagram_frame(datagram)
        if datagrams:
            self.transmit()


class QuicSender(_Connection):
    """A sender at the end of a QUIC connection, from `connect_quic`."""

    sender: Sender
    _session_timer: asyncio.TimerHandle | None = None

    def wake_at(self, time: float | None) -> None:
        """Call `pump` at a time."""
        if self._session_timer is not None:
            self._session_timer.cancel()
        loop = asyncio.get_running_loop()
        self._session_timer = None if time is None else loop.call_at(max(time, loop.time() + 0.0005), self.pump)

    def offer(self, frame: Payload, bits: np.ndarray | None = None) -> None:
        """Queue a frame; see `Sender.offer`."""
        self.sender.offer(frame, asyncio.get_running_loop().time(), bits)
        self.pump()

    def quic_event_received(self, event: QuicEvent) -> None:
        """Take what QUIC brings."""
        if isinstance(event, DatagramFrameReceived):
            self.sender.receive(event.data, asyncio.get_running_loop().time())
            self.pump()
        elif isinstance(event, ConnectionTerminated):
            self.wake_at(None)

    def pump(self) -> None:
        """Send what is due."""
        now = asyncio.get_running_loop().time()
        self.write(self.sender.poll(now))
        self.wake_at(self.sender.next_time(now))


@contextmanager
def _readable(file: Path, content: str) -> Iterator[None]:
    try:
        yield
    except (OSError, ValueError, TypeError, IndexError, UnsupportedAlgorithm) as error:
        reason = error.strerror if isinstance(error, OSError) and not isinstance(error, ssl.SSLError) else None
        raise TransportError(
            f"{file}: no {content} can be read: {reason or 'it holds none'}; give a PEM file"
        ) from None


@asynccontextmanager
async def connect_quic(sender: Sender, host: str, port: int, certificate: Path):
    """A connection to a receiver, as a `QuicSender`.

    Args:
        sender: the protocol, with an `mtu` of at most QUIC_MTU.
        host, port: of the receiver.
        certificate: file of the certificate that the receiver's must follow from, PEM.

    Raises:
        TransportError: there is no answer, or another certificate; or the file holds none.
    """
    configuration = QuicConfiguration(
        is_client=True, alpn_protocols=[PROTOCOL], max_datagram_frame_size=FRAME_BYTES, server_name=host
    )
    # aioquic reads the file only when the server's certificate has come.
    with _readable(certificate, "certificate"):
        ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT).load_verify_locations(certificate)
    configuration.load_verify_locations(str(certificate))
    try:
        async with connect(host, port, configuration=configuration, create_protocol=QuicSender) as end:
            end.sender = sender
            yield end
            end.wake_at(None)
    except ConnectionError as error:
        raise TransportError(f"{host}:{port} does not answer by QUIC, or with another certificate: {error}") from None


async def serve_quic(
    receiver: Receiver, host: str, port: int, certificate: Path, key: Path,
    deliver: Callable[[ReceivedFrame], None],
    judge: Callable[[Question], Awaitable[np.ndarray]] | None = None,
):  # fmt: skip
    """Receive at a QUIC server, which `close` ends.

    Args:
        receiver: the protocol.
        host, port: to bind to.
        certificate, key: files of the server's certificate and its key, PEM.
        deliver, judge: see `udp.UdpReceiver`.

    Raises:
        TransportError: a file does not hold what it should.
    """
    ends: dict[int, _Connection] = {}
    tasks: set[asyncio.Task] = set()
    timer: asyncio.TimerHandle | None = None

    async def ask(question: Question) -> None:
        wanted = np.zeros(0, int) if judge is None else await judge(question)
        receiver.answer(question.session, question.frame_id, wanted, asyncio.get_running_loop().time())
        pump()

    def pump() -> None:
        loop = asyncio.get_running_loop()
        for report, address in receiver.poll(loop.time()):
            if address[1] in ends:
                ends[address[1]].write([report])
        while receiver.questions:
            task = loop.create_task(ask(receiver.questions.popleft()))
            tasks.add(task)
            task.add_done_callback(tasks.discard)
        while receiver.frames:
            deliver(receiver.frames.popleft())
        # Frames are due whether or not their sender is still connected.
        nonlocal timer
        if timer is not None:
            timer.cancel()
        due = receiver.next_time()
        timer = None if due is None else loop.call_at(max(due, loop.time() + 0.0005), pump)

    class _QuicReceiver(_Connection):
        def quic_event_received(self, event: QuicEvent) -> None:
            if isinstance(event, DatagramFrameReceived):
                ends[id(self)] = self
                reply = receiver.receive(event.data, ("quic", id(self)), asyncio.get_running_loop().time())
                self.write([] if reply is None else [reply])
                pump()
            elif isinstance(event, ConnectionTerminated):
                ends.pop(id(self), None)

    configuration = QuicConfiguration(
        is_client=False, alpn_protocols=[PROTOCOL], max_datagram_frame_size=FRAME_BYTES
    )  # fmt: skip
    with _readable(certificate, "certificate"):
        configuration.load_cert_chain(str(certificate))
    with _readable(key, "private key without password"):
        configuration.load_cert_chain(str(certificate), str(key))
    return await serve(host, port, configuration=configuration, create_protocol=_QuicReceiver)
