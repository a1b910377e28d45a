"""Bounded reading and writing of the messages between devices and an edge server.

Numbers are little-endian. Every size is checked against a limit and against the bytes that are there before an array
is made of it; nothing in a message is executed or unpickled.
"""

import struct

import numpy as np

from tokcom.errors import MessageError

MAGIC = b"TKE1"
"""First bytes of every message: the protocol and its version."""
MAX_MESSAGE = 64 << 20
"""Limit on the bytes of a message; sockets refuse more before it is in memory."""
_HEAD = struct.Struct("<4sBQ")


class Reader:
    """Cursor over the bytes of a message that never reads beyond its end.

    Args:
        data: the bytes.
    """

    def __init__(self, data: bytes):
        self._data, self._at = data, 0

    @property
    def left(self) -> int:
        """Number of bytes that are left."""
        return len(self._data) - self._at

    def numbers(self, form: struct.Struct) -> tuple:
        """Read numbers.

        Raises:
            MessageError: the message ends before.
        """
        self._require(form.size)
        found = form.unpack_from(self._data, self._at)
        self._at += form.size
        return found

    def bytes(self, count: int) -> bytes:
        """Read bytes; raises as `numbers` does."""
        self._require(count)
        self._at += count
        return bytes(self._data[self._at - count : self._at])

    def text(self, count: int) -> str:
        """Read UTF-8 text of a number of bytes.

        Raises:
            MessageError: the message ends before, or it is not UTF-8.
        """
        try:
            return self.bytes(count).decode()
        except UnicodeDecodeError:
            raise MessageError("a text in a message is not UTF-8") from None

    def array(self, dtype: str, shape: tuple[int, ...]) -> np.ndarray:
        """Read an array, which is a view of the message; raises as `numbers` does."""
        kind = np.dtype(dtype)
        count = 1
        for side in shape:  # Python's integers do not overflow
            count *= side
        self._require(count * kind.itemsize)
        found = np.frombuffer(self._data, kind, count, self._at).reshape(shape)
        self._at += count * kind.itemsize
        return found

    def end(self) -> None:
        """Raise MessageError unless the whole message was read."""
        if self.left:
            raise MessageError(f"{self.left} bytes follow the end of a message")

    def _require(self, count: int) -> None:
        if count > self.left:
            raise MessageError(f"a message ends {count - self.left} bytes early")


def begin(kind: int, number: int) -> bytes:
    """Make the head of a message.

    Args:
        kind: what it is, 0 to 255.
        number: of the request, 64 bits; its answer has the same.
    """
    return _HEAD.pack(MAGIC, kind, number)


def opened(data: bytes) -> tuple[int, int, Reader]:
    """Read the head of a message.

    Returns:
        Kind, number, and a reader of the rest.

    Raises:
        MessageError: it is not a message of this protocol.
    """
    reader = Reader(data)
    magic, kind, number = reader.numbers(_HEAD)
    if magic != MAGIC:
        raise MessageError("not a message of this protocol and version")
    return kind, number, reader


def require_kind(kind: int, expected: int) -> None:
    """Raise MessageError unless an answer is of the kind that was asked for."""
    if kind != expected:
        raise MessageError(f"an answer is of kind {kind}, not {expected}")


def in_range(name: str, value: int, low: int, high: int) -> int:
    """Return a value from a message.

    Raises:
        MessageError: it is out of its range.
    """
    if not low <= value <= high:
        raise MessageError(f"{name} is {value} in a message; it must be {low} to {high}")
    return value
