"""Keys agreed on by two ends that know each other's public keys: X25519 (RFC 7748), and files that hold its keys.

Each end keeps a private key and pins the other's public key: it takes no other. Both then have a shared key without
ever sending one (`shared_key`); or, where they can exchange two messages, one for a session that nobody can make again
once the session's private keys are gone (`session_key`).
"""

from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path

from tokcom.errors import KeyFileError
from tokcom.security.keys import SECRET_BYTES, Key, read_secret_file, write_secret_file

FIRST_WORDS = "tokcom-private-1"
"""Ahead of the private key in a file: what it is, and its version."""
PUBLIC_WORDS = "tokcom-public-1"
"""Ahead of a public key in text or in a file."""


@dataclass(frozen=True)
class PrivateKey:
    """One end's private key. It is shown by nothing that prints it.

    Args:
        secret: 32 bytes, of which all are allowed.

    Raises:
        KeyFileError: the secret has another length.
    """

    secret: bytes = field(repr=False)

    def __post_init__(self) -> None:
        if len(self.secret) != SECRET_BYTES:
            raise KeyFileError(f"a private key of {len(self.secret)} bytes is here; it has {SECRET_BYTES}")

    @cached_property
    def public(self) -> bytes:
        """The public key, 32 bytes."""
        return self._key.public_key().public_bytes_raw()

    def agree(self, public: bytes) -> bytes:
        """32 bytes that only this end and the holder of the other private key can compute.

        Raises:
            KeyFileError: the public key is invalid.
        """
        from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PublicKey

        try:
            return self._key.exchange(X25519PublicKey.from_public_bytes(public))
        except ValueError as error:
            raise KeyFileError(f"{public.hex()} is no public key of another end: {error or 'a weak one'}") from None

    @cached_property
    def _key(self) -> object:
        # Imported where it is used: who has no key needs no cipher.
        from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey

        return X25519PrivateKey.from_private_bytes(self.secret)


def shared_key(own: PrivateKey, public: bytes) -> Key:
    """The key of two ends, from one's private key and the other's public one; the same at both.

    Raises:
        KeyFileError: the public key is invalid, or one's own.
    """
    return _key_of(own.agree(public), _pair(own, public), "pinned")


def direction_of(own: PrivateKey, public: bytes) -> int:
    """The direction in which an end transmits with the key of two ends: 0 or 1, and the other's is the other."""
    return int(_pair(own, public)[0] != own.public)


def session_key(own: PrivateKey, own_session: PrivateKey, public: bytes, session_public: bytes) -> Key:
    """The key of a session, for which each end generates a private key, sends the public one to the other end, and
    discards it.

    It depends on all four agreements between keys of either end, as in Noise's pattern KK: computing it takes a pinned
    private key, and even both pinned ones do not reveal it later. The first packet whose tag holds proves that the
    other end has it.

    Args:
        own: this end's private key.
        own_session: made for this session alone.
        public: the other end's pinned public key.
        session_public: what came from the other end.

    Raises:
        KeyFileError: a public key is invalid, or one's own.
    """
    pair = _pair(own, public)
    mixed = own.agree(session_public), own_session.agree(public)
    if pair[0] != own.public:
        mixed = mixed[::-1]
    sessions = (own_session.public, session_public) if pair[0] == own.public else (session_public, own_session.public)
    if session_public == own_session.public:
        raise KeyFileError("the session's public key is one's own, sent back")
    agreed = own_session.agree(session_public) + b"".join(mixed) + own.agree(public)
    return _key_of(agreed, (*pair, *sessions), "session")


def save_private_key(key: PrivateKey, path: str | Path) -> None:
    """Write a private key to a new file that its owner alone may read.

    Raises:
        KeyFileError: there is such a file already, or it cannot be written.
    """
    write_secret_file(path, FIRST_WORDS, key.secret)


def load_private_key(path: str | Path) -> PrivateKey:
    """Read a private key.

    Raises:
        KeyFileError: the file cannot be read, may be read by others than its owner, or holds no private key.
    """
    return PrivateKey(read_secret_file(path, FIRST_WORDS, "tokcom keys new --private"))


def public_text(public: bytes) -> str:
    """A public key as a line of text, which may be read aloud."""
    return f"{PUBLIC_WORDS}:{public.hex()}"


def public_of(text: str) -> bytes:
    """The public key that a line of text tells; the inverse of `public_text`.

    Raises:
        KeyFileError: it tells none.
    """
    words, _, digits = text.strip().partition(":")
    try:
        if words != PUBLIC_WORDS or len(digits) != 2 * SECRET_BYTES:
            raise ValueError
        return bytes.fromhex(digits)
    except ValueError:
        raise KeyFileError(
            f"{text.strip()[:100]!r} is no public key: '{PUBLIC_WORDS}:' and {2 * SECRET_BYTES} hexadecimal digits, as "
            "`tokcom keys show` writes them"
        ) from None


def _pair(own: PrivateKey, public: bytes) -> tuple[bytes, bytes]:
    """The public keys of both ends, in one order at both."""
    if own.public == public:
        raise KeyFileError("the public key is one's own; pin the other end's")
    return min(own.public, public), max(own.public, public)


def _key_of(agreed: bytes, said: tuple[bytes, ...], purpose: str) -> Key:
    """A key from what was agreed on, bound to all public keys that were said (HKDF-SHA256, RFC 5869)."""
    from cryptography.hazmat.primitives.hashes import SHA256
    from cryptography.hazmat.primitives.kdf.hkdf import HKDF

    info = f"tokcom {purpose}".encode() + b"".join(said)
    return Key(HKDF(SHA256(), SECRET_BYTES, salt=None, info=info).derive(agreed))
