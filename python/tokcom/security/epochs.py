"""Epochs: a counter of a transmitter's starts with a key, which never repeats, across restarts and power failures."""

import fcntl
import os
from pathlib import Path
from typing import TextIO

from tokcom.errors import KeyFileError
from tokcom.packets.seal import EPOCHS


def next_epoch(path: str | Path) -> int:
    """Take the next epoch from the counter in a file; it is on disk before it is used. A new file begins at 0.

    Raises:
        KeyFileError: the counter cannot be read or written, or is used up.
    """
    try:
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT, 0o600)
        with os.fdopen(descriptor, "r+", encoding="ascii", errors="replace") as file:
            _settle(Path(path).absolute().parent)
            return _take_next(path, file)
    except OSError as error:
        raise KeyFileError(f"{path} cannot be read or written: {error.strerror or error}") from error


def _take_next(path: str | Path, file: TextIO) -> int:
    # Two programs that transmit with one key must not interleave.
    fcntl.flock(file, fcntl.LOCK_EX)
    text = file.read(40).strip()
    if text and not (text.isascii() and text.isdigit()):
        raise KeyFileError(f"{path} holds {text!r}, which is not a count of epochs; make a new key")
    epoch = int(text or 0)
    if epoch >= EPOCHS:
        raise KeyFileError(f"{path}: all {EPOCHS} epochs of this key are used; make a new one with `tokcom keys new`")
    file.seek(0)
    file.write(f"{epoch + 1}\n")
    file.truncate()
    file.flush()
    os.fsync(file.fileno())
    return epoch


def _settle(folder: Path) -> None:
    """Flush a folder's directory to disk, so that a new counter survives a power failure."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
