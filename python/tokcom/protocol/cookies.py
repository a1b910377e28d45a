"""Cookies that prove that a sender receives at its address, for which the receiver keeps nothing."""

import hashlib
import hmac
import secrets

from tokcom.protocol.datagrams import COOKIE_BYTES

LIFE_S = 30.0
"""A cookie holds from this long to twice as long."""


class Cookies:
    """Makes cookies and knows its own again.

    Args:
        key: what they are made with; None: a new one of this process.
    """

    def __init__(self, key: bytes | None = None):
        self._key = key or secrets.token_bytes(32)

    def make(self, address: object, nonce: bytes, now: float) -> bytes:
        """The cookie of an address and a nonce.

        Args:
            address: where a datagram came from, as the transport tells it; equal addresses print alike.
            nonce: of the sender.
            now: seconds, of a clock that does not jump.
        """
        return self._of(address, nonce, int(now // LIFE_S))

    def holds(self, cookie: bytes, address: object, nonce: bytes, now: float) -> bool:
        """Whether a cookie is that of this address and nonce, and not too old."""
        age = int(now // LIFE_S)
        return any(hmac.compare_digest(cookie, self._of(address, nonce, each)) for each in (age, age - 1))

    def _of(self, address: object, nonce: bytes, age: int) -> bytes:
        content = nonce + age.to_bytes(8, "big", signed=True) + repr(address).encode()
        return hashlib.blake2s(content, digest_size=COOKIE_BYTES, key=self._key).digest()
