"""Admission of devices to an encrypted edge server: ZeroMQ's authentication protocol (RFC 27, ZAP)."""

from collections.abc import Collection

ENDPOINT = "inproc://zeromq.zap.01"
"""Address, fixed by the protocol, at which a socket's context asks whether to accept a connection."""


class Doorkeeper:
    """Answers whether to accept a connection, by the device's public key.

    Args:
        context: ZeroMQ context of the server's sockets.
        trusted: public keys, 32 bytes each; None for any.
    """

    def __init__(self, context: object, trusted: Collection[bytes] | None):
        import zmq

        self._trusted = None if trusted is None else frozenset(trusted)
        self.socket = context.socket(zmq.REP)
        self.socket.linger = 0
        self.socket.bind(ENDPOINT)
        self.refused = 0

    def answer(self) -> None:
        """Answer one question that waits at the socket."""
        version, number, *_, mechanism, credentials = self.socket.recv_multipart()
        known = mechanism == b"CURVE" and (self._trusted is None or credentials in self._trusted)
        self.refused += not known
        status, text = (b"200", b"OK") if known else (b"400", b"unknown public key")
        self.socket.send_multipart([version, number, status, text, b"", b""])

    def close(self) -> None:
        """Close the socket."""
        self.socket.close()
