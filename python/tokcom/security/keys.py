"""Shared keys of a transmitter and its receivers, and the files that hold them."""

import os
import secrets
import stat
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path

from tokcom.errors import KeyFileError

SECRET_BYTES = 32
FIRST_WORDS = "tokcom-key-1"
"""Words before the secret in a key file: its type and version."""


@dataclass(frozen=True)
class Key:
    """Shared key of 256 bits; printing it does not show its secret.

    Args:
        secret: 32 bytes.

    Attributes:
        id: 16 bits derived from the secret, which do not reveal it; the header of a burst names the key by them.

    Raises:
        KeyFileError: the secret has another length.
    """

    secret: bytes = field(repr=False)

    def __post_init__(self) -> None:
        if len(self.secret) != SECRET_BYTES:
            raise KeyFileError(f"the secret has {len(self.secret)} bytes; it must have {SECRET_BYTES}")

    @cached_property
    def id(self) -> int:
        return int.from_bytes(self.derive("id", 2), "big")

    def derive(self, purpose: str, length: int = SECRET_BYTES) -> bytes:
        """Derive bytes for one purpose (HKDF-SHA256, RFC 5869); those for different purposes are independent."""
        # Imported where it is used: without a key no cipher is needed.
        from cryptography.hazmat.primitives.hashes import SHA256
        from cryptography.hazmat.primitives.kdf.hkdf import HKDF

        return HKDF(SHA256(), length, salt=None, info=f"tokcom {purpose}".encode()).derive(self.secret)


def new_key() -> Key:
    """Generate a key from the system's random numbers."""
    return Key(secrets.token_bytes(SECRET_BYTES))


def save_key(key: Key, path: str | Path) -> None:
    """Write a key to a new file that its owner alone may read.

    Raises:
        KeyFileError: there is such a file already, or it cannot be written.
    """
    write_secret_file(path, FIRST_WORDS, key.secret)


def load_key(path: str | Path) -> Key:
    """Read a key.

    Raises:
        KeyFileError: the file cannot be read, may be read by others than its owner, or holds no key.
    """
    return Key(read_secret_file(path, FIRST_WORDS, "tokcom keys new"))


def write_secret_file(path: str | Path, first: str, secret: bytes) -> None:
    """Write what a secret is, one word, and the secret to a new file that its owner alone may read.

    Raises:
        KeyFileError: there is such a file already, or it cannot be written.
    """
    try:
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    except FileExistsError as error:
        raise KeyFileError(f"{path} exists; keys are not overwritten, name another file") from error
    except OSError as error:
        raise KeyFileError(f"{path} cannot be written: {error.strerror or error}") from error
    try:
        with os.fdopen(descriptor, "w", encoding="ascii") as file:
            file.write(f"{first} {secret.hex()}\n")
    except OSError as error:
        os.unlink(path)
        raise KeyFileError(f"{path} cannot be written: {error.strerror or error}") from error


def read_secret_file(path: str | Path, first: str, command: str) -> bytes:
    """Read a secret of SECRET_BYTES that `write_secret_file` has written; `command` makes such files.

    Raises:
        KeyFileError: the file cannot be read, may be read by others than its owner, or holds no such secret.
    """
    try:
        with open(path, encoding="ascii") as file:
            mode = stat.S_IMODE(os.fstat(file.fileno()).st_mode)
            if os.name == "posix" and mode & 0o077:
                raise KeyFileError(f"{path} has mode {mode:03o}, so others may read the key; chmod 600 {path}")
            words = file.read(200).split()
    except UnicodeDecodeError as error:
        raise KeyFileError(f"{path} holds no key: it is not text") from error
    except OSError as error:
        raise KeyFileError(f"{path} cannot be read: {error.strerror or error}") from error
    try:
        word, digits = words
        if word != first or len(digits) != 2 * SECRET_BYTES:
            raise ValueError
        return bytes.fromhex(digits)
    except ValueError as error:
        raise KeyFileError(
            f"{path} holds no key: '{first}' and {2 * SECRET_BYTES} hexadecimal digits belong there, as `{command}` "
            "writes them"
        ) from error
