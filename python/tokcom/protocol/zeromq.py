"""Token packets over ZeroMQ, publisher to subscribers: reliable and in order, without a way back."""

from tokcom.errors import TransportError
from tokcom.frame import Payload
from tokcom.link.arrival import Arrival
from tokcom.packets.layout import SEEDS
from tokcom.protocol.datagram_link import DatagramLink

MAX_WAITING = 64
"""Messages, one each frame, that wait at either end; of more, ZeroMQ drops the newest."""
MAX_MESSAGE = 16 << 20


def _socket(kind: str, address: str, bind: bool):
    try:
        import zmq
    except ImportError:
        raise TransportError("ZeroMQ needs the Python package pyzmq: pip install pyzmq") from None
    made = zmq.Context.instance().socket(getattr(zmq, kind))
    made.setsockopt(zmq.SNDHWM, MAX_WAITING)
    made.setsockopt(zmq.RCVHWM, MAX_WAITING)
    made.setsockopt(zmq.MAXMSGSIZE, MAX_MESSAGE)
    made.setsockopt(zmq.LINGER, 0)
    try:
        (made.bind if bind else made.connect)(address)
    except zmq.ZMQError as error:
        made.close()
        raise TransportError(f"ZeroMQ address {address!r}: {error}; write one like tcp://127.0.0.1:5555") from None
    return made


class ZmqPublisher:
    """Publishes frames, one message of several datagrams each.

    Args:
        link: makes the datagrams.
        address: to bind to, as tcp://127.0.0.1:5555.

    Raises:
        TransportError: the address cannot be used, or pyzmq is not installed.
    """

    def __init__(self, link: DatagramLink, address: str):
        self._link, self._socket = link, _socket("PUB", address, bind=True)

    @property
    def address(self) -> str:
        """Address for subscribers."""
        import zmq

        return self._socket.getsockopt_string(zmq.LAST_ENDPOINT)

    def send(self, frame: Payload) -> None:
        """Publish a frame."""
        self._socket.send_multipart(self._link.transmit(frame, frame.frame_id % SEEDS))

    def close(self) -> None:
        """Close the socket."""
        self._socket.close()


class ZmqSubscriber:
    """Subscribes to a publisher.

    Args:
        link: reads the datagrams.
        address: of the publisher.

    Raises:
        TransportError: the address cannot be used, or pyzmq is not installed.
    """

    def __init__(self, link: DatagramLink, address: str):
        self._link, self._socket = link, _socket("SUB", address, bind=False)
        self._socket.subscribe(b"")

    def receive(self, timeout_s: float) -> list[Arrival]:
        """The packets of the next message; an empty list if none comes in time."""
        if not self._socket.poll(round(1000 * timeout_s)):
            return []
        return self._link.receive(self._socket.recv_multipart())

    def close(self) -> None:
        """Close the socket."""
        self._socket.close()
