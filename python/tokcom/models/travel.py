"""Models between machines: asked of an edge server, or given to it."""

from collections.abc import Callable, Collection
from functools import partial
from pathlib import Path

from tokcom.errors import ModelError
from tokcom.models.installed import model_card
from tokcom.models.shelf import Delivery, model_entry
from tokcom.offload.connection import EdgeConnection
from tokcom.offload.files import (
    CATALOGUE,
    GO_ON,
    OFFER,
    PIECE,
    PIECE_BYTES,
    SHELF,
    ModelEntry,
    Piece,
    read_piece,
    read_shelf,
)
from tokcom.offload.wire import Reader, begin, require_kind

DEADLINE_S = 30.0
"""Seconds for each message of a journey."""


def available(server: str | EdgeConnection) -> list[ModelEntry]:
    """List the models that a server gives away.

    Args:
        server: its address, as in `offload.address.EdgeAddress.of`, or a connection to it.

    Raises:
        TransportError: it does not answer, or gives no models away.
    """

    def read(kind: int, reader: Reader) -> list[ModelEntry]:
        require_kind(kind, SHELF)
        return read_shelf(reader)

    return _connection(server).ask([partial(begin, CATALOGUE)], [read])[0]


def find_entry(entries: Collection[ModelEntry], wanted: str) -> ModelEntry:
    """Find a model by its name, by the beginning of its version, or by the id of its codebook, 0x and 8 digits.

    Raises:
        ModelError: there is none, or there are several.
    """
    found = [
        each
        for each in entries
        if each.name == wanted
        or (len(wanted) >= 8 and each.version.hex().startswith(wanted))
        or (each.codebook_id and f"0x{each.codebook_id:08x}" == wanted)
    ]
    if len(found) == 1:
        return found[0]
    known = ", ".join(f"{each.name} (version {each.version.hex()[:8]})" for each in entries) or "none"
    raise ModelError(f"{len(found)} models there are {wanted!r}; it has {known}")


def pull(
    server: str | EdgeConnection, wanted: str, target: Path, signers: Collection[bytes] = (),
    progress: Callable[[int, int], None] = lambda done, total: None,
) -> Path:  # fmt: skip
    """Fetch a model from a server into a folder of models; an interrupted call is continued by the next one.

    Args:
        server: as in `available`.
        wanted: as in `find_entry`.
        target: folder of models.
        signers: public keys of signers of whom one must have signed the model; empty: only its hashes are checked.
        progress: called with the bytes that have arrived, and all.

    Returns:
        The model's folder.

    Raises:
        TransportError: the server does not answer.
        ModelError: it has no such model, or what it gives is not the model that it names.
    """
    connection = _connection(server)
    entry = find_entry(available(connection), wanted)
    delivery = Delivery(entry, target, signers)
    while (place := delivery.wanted()) is not None:
        file, start, left = place
        piece = Piece(entry.version, file, start, min(left, PIECE_BYTES))
        (content,) = connection.ask([piece.fetch_bytes], [partial(_read_piece, piece)])
        delivery.take(file, start, content)
        progress(sum(each.size for each in entry.files[:file]) + start + len(content), entry.size)
    return delivery.finish()


def push(
    server: str | EdgeConnection, model: str, progress: Callable[[int, int], None] = lambda done, total: None
) -> ModelEntry:
    """Give an installed model to a server.

    Args:
        server: as in `available`.
        model: the model, by name or folder.
        progress: called with the bytes that have been sent, and all.

    Raises:
        TransportError: the server does not answer, or refuses the model.
        ModelError: the model does not exist, or is not whole.
    """
    entry, folder, connection = model_entry(model), model_card(model).folder, _connection(server)
    connection.ask([lambda number: begin(OFFER, number) + entry.encode()], [_go_on])
    done = 0
    for number, each in enumerate(entry.files):
        with (folder / each.name).open("rb") as stream:
            for start in range(0, each.size, PIECE_BYTES):
                content = stream.read(PIECE_BYTES)
                if not content:
                    raise ModelError(f"{folder / each.name} has changed meanwhile")
                piece = Piece(entry.version, number, start, len(content), content)
                connection.ask([piece.put_bytes], [_go_on])
                done += len(content)
                progress(done, entry.size)
    return entry


def _connection(server: str | EdgeConnection) -> EdgeConnection:
    return server if isinstance(server, EdgeConnection) else EdgeConnection(server, DEADLINE_S)


def _read_piece(piece: Piece, kind: int, reader: Reader) -> bytes:
    require_kind(kind, PIECE)
    return read_piece(reader, piece.start, piece.length)


def _go_on(kind: int, reader: Reader) -> None:
    require_kind(kind, GO_ON)
    reader.end()
