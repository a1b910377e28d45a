"""Signatures (Ed25519, RFC 8032) by which one end knows that another one has vouched for some bytes."""

from functools import lru_cache

from tokcom.errors import KeyFileError
from tokcom.security.agreement import PrivateKey

SIGNER_WORDS = "tokcom-signer-1"
"""Ahead of a signer's public key in text."""
SIGNATURE_WORDS = "tokcom-signature-1"
"""Ahead of a signature in a file."""
SIGNATURE_BYTES, SIGNER_BYTES = 64, 32


def signer_of(own: PrivateKey) -> bytes:
    """Compute the public key, 32 bytes, by which signatures of a private key are checked. It is derived from the same
    secret as, but is not, the public key of agreements."""
    return _signing_key(own.secret).public_key().public_bytes_raw()


def signer_text(signer: bytes) -> str:
    """Write a signer's public key as a line of text."""
    return f"{SIGNER_WORDS}:{signer.hex()}"


def read_signer(text: str) -> bytes:
    """Read a signer's public key, the inverse of `signer_text`.

    Raises:
        KeyFileError: the text is not a signer's.
    """
    words, _, digits = text.strip().partition(":")
    try:
        if words != SIGNER_WORDS or len(digits) != 2 * SIGNER_BYTES:
            raise ValueError
        return bytes.fromhex(digits)
    except ValueError:
        raise KeyFileError(
            f"{text.strip()[:100]!r} is not a signer: '{SIGNER_WORDS}:' and {2 * SIGNER_BYTES} hexadecimal digits, as "
            "`tokcom models sign` writes them"
        ) from None


def sign(own: PrivateKey, purpose: str, content: bytes) -> str:
    """Sign bytes for one purpose; return a line of text with signer and signature."""
    signature = _signing_key(own.secret).sign(_bound(purpose, content))
    return f"{SIGNATURE_WORDS} {signer_of(own).hex()} {signature.hex()}\n"


def verified(line: str, purpose: str, content: bytes) -> bytes:
    """Return the signer of bytes, from the line that `sign` wrote.

    Raises:
        KeyFileError: it is no such line, or the signature is not of these bytes.
    """
    from cryptography.exceptions import InvalidSignature
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

    try:
        words, signer, signature = line.split()
        keys = bytes.fromhex(signer), bytes.fromhex(signature)
        if words != SIGNATURE_WORDS or (len(keys[0]), len(keys[1])) != (SIGNER_BYTES, SIGNATURE_BYTES):
            raise ValueError
        Ed25519PublicKey.from_public_bytes(keys[0]).verify(keys[1], _bound(purpose, content))
    except ValueError:
        raise KeyFileError(f"{line[:100]!r} is not a signature") from None
    except InvalidSignature:
        raise KeyFileError(
            "the signature is not of this content: it was changed, or signed for something else"
        ) from None
    return keys[0]


def _bound(purpose: str, content: bytes) -> bytes:
    return f"tokcom {purpose}\0".encode() + content


@lru_cache(maxsize=8)
def _signing_key(secret: bytes) -> object:
    # Imported where it is used: who signs nothing needs no cipher.
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
    from cryptography.hazmat.primitives.hashes import SHA256
    from cryptography.hazmat.primitives.kdf.hkdf import HKDF

    return Ed25519PrivateKey.from_private_bytes(HKDF(SHA256(), 32, salt=None, info=b"tokcom signature").derive(secret))
