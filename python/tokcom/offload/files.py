"""Messages by which models travel between machines, in pieces.

| kind | from | content |
|---|---|---|
| CATALOGUE, SHELF | device, server | the models that can be had |
| FETCH, PIECE | device, server | a piece of a file |
| OFFER, PUT, GO_ON | device, device, server | a model for the server; a piece of a file; the next is awaited |

A model's version is the SHA-256 of its card, which names the hashes of all other files.
"""

import re
import struct
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from tokcom.errors import MessageError, ParameterError
from tokcom.offload.wire import Reader, begin, in_range

CATALOGUE, SHELF, FETCH, PIECE, OFFER, PUT, GO_ON = range(16, 23)

MAX_MODELS, MAX_FILES, MAX_FILE, MAX_NAME = 256, 32, 8 << 30, 80
PIECE_BYTES = 1 << 20
"""Largest piece of a file in one message."""
NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._@-]*")
"""Names of models and files: no path can be made of them."""

_COUNT = struct.Struct("<H")
_MODEL = struct.Struct("<32sIBH")
_FILE = struct.Struct("<BQ32s")
_FETCH = struct.Struct("<32sBQI")
_PIECE = struct.Struct("<QI")


@dataclass(frozen=True)
class ModelFile:
    """A file of a model.

    Attributes:
        name: its name, without folder.
        size: its bytes.
        sha256: its hash, 32 bytes.
    """

    name: str
    size: int
    sha256: bytes


@dataclass(frozen=True)
class ModelEntry:
    """A version of a model that can be had.

    Attributes:
        version: SHA-256 of its card, 32 bytes.
        name: name of the model, for people.
        codebook_id: id of its codebook on the air; 0 for none.
        files: its files, the card first.
    """

    version: bytes
    name: str
    codebook_id: int
    files: tuple[ModelFile, ...]

    @property
    def size(self) -> int:
        """Bytes of all files."""
        return sum(each.size for each in self.files)

    def encode(self) -> bytes:
        """Bytes of the entry."""
        name = _name_bytes(self.name)
        parts = [_MODEL.pack(self.version, self.codebook_id, len(name), len(self.files)), name]
        for each in self.files:
            label = _name_bytes(each.name)
            parts += [_FILE.pack(len(label), each.size, each.sha256), label]
        return b"".join(parts)

    @classmethod
    def decode(cls, reader: Reader) -> "ModelEntry":
        """Read an entry; raises MessageError if it is invalid."""
        version, codebook, length, count = reader.numbers(_MODEL)
        name, files = _name(reader, length), []
        in_range("the number of files", count, 1, MAX_FILES)
        for _ in range(count):
            label, size, sha256 = reader.numbers(_FILE)
            in_range("the size of a file", size, 0, MAX_FILE)
            files.append(ModelFile(_name(reader, label), size, sha256))
        if len({each.name for each in files}) != count:
            raise MessageError("two files of a model have one name")
        return cls(version, name, codebook, tuple(files))


def _name_bytes(name: str) -> bytes:
    if len(name) > MAX_NAME or not NAME.fullmatch(name):
        raise ParameterError(
            f"{name!r} cannot be sent as a name; it must have at most {MAX_NAME} letters, digits, '.', '_', '@' and '-'"
        )
    return name.encode()


def _name(reader: Reader, length: int) -> str:
    name = reader.text(in_range("the length of a name", length, 1, MAX_NAME))
    if not NAME.fullmatch(name):
        raise MessageError(f"{name!r} is not the name of a model or a file")
    return name


def shelf_bytes(entries: Sequence[ModelEntry], number: int) -> bytes:
    """Bytes of a SHELF."""
    return begin(SHELF, number) + _COUNT.pack(len(entries)) + b"".join(each.encode() for each in entries)


def read_shelf(reader: Reader) -> list[ModelEntry]:
    """Read a SHELF; raises MessageError if it is invalid."""
    (count,) = reader.numbers(_COUNT)
    in_range("the number of models", count, 0, MAX_MODELS)
    found = [ModelEntry.decode(reader) for _ in range(count)]
    reader.end()
    return found


@dataclass(frozen=True)
class Piece:
    """A piece of a model's file, asked for or sent.

    Attributes:
        version: of the model.
        file: number of the file in its entry.
        start: first byte.
        length: number of bytes, 1 to PIECE_BYTES.
        content: the bytes; empty if they are asked for.
    """

    version: bytes
    file: int
    start: int
    length: int
    content: bytes = b""

    def fetch_bytes(self, number: int) -> bytes:
        """Bytes of a FETCH."""
        return begin(FETCH, number) + _FETCH.pack(self.version, self.file, self.start, self.length)

    def put_bytes(self, number: int) -> bytes:
        """Bytes of a PUT."""
        return begin(PUT, number) + _FETCH.pack(self.version, self.file, self.start, self.length) + self.content

    @classmethod
    def decode(cls, reader: Reader, with_content: bool) -> "Piece":
        """Read a FETCH or a PUT; raises MessageError if it is invalid."""
        version, file, start, length = reader.numbers(_FETCH)
        in_range("the length of a piece", length, 1, PIECE_BYTES)
        in_range("the start of a piece", start, 0, MAX_FILE)
        content = reader.bytes(length) if with_content else b""
        reader.end()
        return cls(version, file, start, length, content)


def piece_bytes(start: int, content: bytes, number: int) -> bytes:
    """Bytes of a PIECE."""
    return begin(PIECE, number) + _PIECE.pack(start, len(content)) + content


def read_piece(reader: Reader, start: int, length: int) -> bytes:
    """Read the PIECE that was asked for; raises MessageError if it is another."""
    found = reader.numbers(_PIECE)
    if found != (start, length):
        raise MessageError(f"a piece of {found[1]} bytes from {found[0]} came; {length} from {start} were asked for")
    content = reader.bytes(length)
    reader.end()
    return content


class Shelf(Protocol):
    """Models that a server gives away, and where it puts those that it is given.

    All methods raise a TokcomError if a request is refused; its message goes to the device.
    """

    def entries(self) -> list[ModelEntry]:
        """Models that can be had."""

    def read(self, piece: Piece) -> bytes:
        """Read a piece of a file."""

    def offer(self, device: bytes, entry: ModelEntry) -> None:
        """Accept to be given a model by a device."""

    def put(self, device: bytes, piece: Piece) -> None:
        """Take the next piece of it; the last one is followed by checks of the whole."""


def shelf_reply(shelf: Shelf, device: bytes, kind: int, number: int, reader: Reader) -> bytes:
    """Answer one of the requests of this module.

    Raises:
        MessageError: the request is invalid.
        TokcomError: it is refused.
    """
    if kind == CATALOGUE:
        reader.end()
        return shelf_bytes(shelf.entries()[:MAX_MODELS], number)
    if kind == FETCH:
        piece = Piece.decode(reader, False)
        return piece_bytes(piece.start, shelf.read(piece), number)
    if kind == OFFER:
        entry = ModelEntry.decode(reader)
        reader.end()
        shelf.offer(device, entry)
    else:
        shelf.put(device, Piece.decode(reader, True))
    return begin(GO_ON, number)


REQUESTS = (CATALOGUE, FETCH, OFFER, PUT)
"""Kinds of requests that a shelf answers."""
