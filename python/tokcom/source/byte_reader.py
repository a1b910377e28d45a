"""Parts that the formats of coded files share: a magic, a version, fields, and a CRC-32 of all of them."""

import struct
import zlib

from tokcom.errors import SourceError


def string_bytes(text: str) -> bytes:
    """Serialize a text, truncated to at most 255 bytes of whole characters, after one byte of length."""
    data = text.encode("utf-8", "replace")[:255].decode("utf-8", "ignore").encode()
    return struct.pack("<B", len(data)) + data


def with_crc(header: bytes) -> bytes:
    """Append a header's CRC-32."""
    return header + struct.pack("<I", zlib.crc32(header))


class ByteReader:
    """Reader of numbers, strings and bytes; errors name the missing part.

    Args:
        data: the file.
    """

    def __init__(self, data: bytes):
        self._data, self.position = data, 0

    def require(self, length: int, what: str) -> None:
        """Raise SourceError unless that many bytes follow."""
        if length > len(self._data) - self.position:
            raise SourceError(f"it ends after {len(self._data)} bytes, within {what}")

    def take(self, length: int, what: str) -> bytes:
        """Read bytes."""
        self.require(length, what)
        self.position += length
        return self._data[self.position - length : self.position]

    def numbers(self, form: str, what: str) -> tuple[int, ...]:
        """Read numbers in a format of `struct`."""
        return struct.unpack(form, self.take(struct.calcsize(form), what))

    def string(self, what: str) -> str:
        """Read a string from `string_bytes`."""
        (length,) = self.numbers("<B", what)
        try:
            return self.take(length, what).decode()
        except UnicodeDecodeError:
            raise SourceError(f"{what} is not valid UTF-8") from None

    def require_format(self, magic: bytes, version: int, what: str) -> None:
        """Read a magic and a version; raise SourceError unless they are these."""
        if self.take(len(magic), "its magic") != magic:
            raise SourceError(f"not a file of {what}: it begins with {self._data[: len(magic)].hex(' ')}")
        (found,) = self.numbers("<B", "its version")
        if found != version:
            raise SourceError(f"written in version {found} of the format; this program reads version {version}")

    def require_crc(self) -> None:
        """Read a CRC-32; raise SourceError unless it is that of everything before it."""
        crc = zlib.crc32(self._data[: self.position])
        if self.numbers("<I", "its CRC") != (crc,):
            raise SourceError("its header is corrupt: the CRC fails")
