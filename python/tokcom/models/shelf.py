"""Models as files that travel: versions, signatures, and folders that are filled piece by piece."""

import hashlib
import os
import shutil
import time
from collections.abc import Collection, Iterable
from dataclasses import dataclass, field, replace
from pathlib import Path

from tokcom.errors import KeyFileError, ModelError
from tokcom.models.card import LABELS, Card, file_hash
from tokcom.models.codebooks import codebook
from tokcom.models.installed import model_card
from tokcom.offload.files import MAX_FILE, ModelEntry, ModelFile, Piece
from tokcom.packets.codebook import DIGITS
from tokcom.security.agreement import PrivateKey
from tokcom.security.signatures import sign, signer_text, verified

CARD, SIGNATURE = "card.json", "card.sig"
PURPOSE = "model card"
"""Purpose of signatures of cards."""
MAX_CARD = 1 << 20
"""Limit on the bytes of a card."""
UNFINISHED = ".unfinished"
"""End of the names of folders that are being filled."""
IDLE_S = 600.0
"""Seconds after which a model that was not given whole is forgotten."""


def model_entry(model: str) -> ModelEntry:
    """Describe an installed model whose files are whole.

    Raises:
        ModelError: it does not exist, or a file is missing or is not the card's.
    """
    card = model_card(model)
    number = codebook(model).id if "tokenizer" in card.content else 0
    hashes = {CARD: file_hash(card.folder / CARD)} | _named_hashes(card)
    card.files()
    if (card.folder / SIGNATURE).is_file():
        hashes[SIGNATURE] = file_hash(card.folder / SIGNATURE)
    files = tuple(
        ModelFile(name, (card.folder / name).stat().st_size, bytes.fromhex(sha256)) for name, sha256 in hashes.items()
    )
    return ModelEntry(files[0].sha256, _plain_name(card.folder.name), number, files)


def sign_model(model: str, own: PrivateKey) -> str:
    """Check a model's files and write a signature of its card beside it; return the signer as text.

    Raises:
        ModelError: as of `model_entry`, or it cannot be written.
    """
    model_entry(model)
    folder = model_card(model).folder
    line = sign(own, PURPOSE, (folder / CARD).read_bytes())
    try:
        (folder / SIGNATURE).write_text(line, encoding="ascii")
    except OSError as error:
        raise ModelError(f"{folder / SIGNATURE} cannot be written: {error.strerror or error}") from None
    return signer_text(verified(line, PURPOSE, (folder / CARD).read_bytes()))


def verify_folder(folder: Path, signers: Collection[bytes] = ()) -> bytes | None:
    """Check that a model's files are those of its card, and the signature of the card.

    Args:
        folder: the model's folder.
        signers: those of whom one must have signed it; empty: a signature need not be there, but must hold.

    Returns:
        The signer; None if nobody has signed it.

    Raises:
        ModelError: a file is missing or another one, or no signer that is trusted has signed the card.
    """
    Card.read(folder).files()
    return _verified_signer(folder, signers)


def _verified_signer(folder: Path, signers: Collection[bytes]) -> bytes | None:
    """Check the signature of a model's card, as `verify_folder` does."""
    path = folder / SIGNATURE
    if not path.is_file():
        if signers:
            raise ModelError(f"{folder}: nobody has signed this model; `tokcom models sign` does")
        return None
    try:
        signer = verified(
            path.read_text(encoding="ascii", errors="replace")[:300], PURPOSE, (folder / CARD).read_bytes()
        )
    except KeyFileError as error:
        raise ModelError(f"{path}: {error}") from None
    if signers and signer not in signers:
        raise ModelError(f"{folder}: the model is signed by {signer_text(signer)}, which is not trusted here")
    return signer


class Delivery:
    """A model that arrives piece by piece, in order, in a folder of its own beside where it will be.

    The card comes first. A delivery that was interrupted goes on behind the bytes that are there.

    Args:
        entry: what arrives.
        target: folder of models.
        signers: as in `verify_folder`.
        from_start: whether bytes of a former delivery are dropped.

    Raises:
        ModelError: the entry is not that of a model, or the folder cannot be made.
    """

    def __init__(
        self, entry: ModelEntry, target: Path, signers: Collection[bytes] = (), from_start: bool = False
    ):  # fmt: skip
        if entry.files[0].name != CARD or entry.files[0].sha256 != entry.version or entry.files[0].size > MAX_CARD:
            raise ModelError(f"model {entry.name}: it must begin with its {CARD}, of at most {MAX_CARD} bytes")
        self.entry, self._target, self._signers = entry, target, frozenset(signers)
        self._folder = target / f".{entry.name[:40]}-{entry.version.hex()[:16]}{UNFINISHED}"
        self._agreed = False
        self._hashes: dict[int, hashlib._Hash] = {}
        if from_start:
            self.discard()
        try:
            self._folder.mkdir(parents=True, exist_ok=True)
            for each in entry.files:  # bytes of a former delivery count
                path = self._folder / each.name
                if path.exists() and path.stat().st_size > each.size:
                    path.unlink()
        except OSError as error:
            raise ModelError(f"{self._folder} cannot be made: {error.strerror or error}") from None

    def wanted(self) -> tuple[int, int, int] | None:
        """Return file, first byte and number of bytes that are still to come of the first file that is not whole; None
        if all are there.

        Raises:
            ModelError: the card, once it is there, is not that of such a model.
        """
        for number, each in enumerate(self.entry.files):
            path = self._folder / each.name
            there = path.stat().st_size if path.exists() else 0
            if there < each.size:
                if number and not self._agreed:
                    self._require_card()
                return number, there, each.size - there
        return None

    def take(self, file: int, start: int, content: bytes) -> None:
        """Put a piece behind those that are there.

        Raises:
            ModelError: it is not the piece that is wanted, or it cannot be written.
        """
        wanted = self.wanted()
        if wanted is None or (file, start) != wanted[:2] or not 0 < len(content) <= wanted[2]:
            raise ModelError(f"model {self.entry.name}: a piece came that is not the next one")
        try:
            with (self._folder / self.entry.files[file].name).open("ab") as stream:
                stream.write(content)
            if not start:
                self._hashes[file] = hashlib.sha256()
            if file in self._hashes:  # otherwise, its first bytes are those of a former delivery
                self._hashes[file].update(content)
        except OSError as error:
            raise ModelError(f"{self._folder} cannot be written: {error.strerror or error}") from None

    def finish(self) -> Path:
        """Check all hashes and the signature, and put the model into its place; return its folder.

        A model of the same name but another version stays: the new one's name then ends in "@" and its version.

        Raises:
            ModelError: a check fails, after which nothing is left of the delivery.
        """
        try:
            self._require_card()
            for number, each in enumerate(self.entry.files):
                known = self._hashes.get(number)
                arrived = known.hexdigest() if known else file_hash(self._folder / each.name)
                if arrived != each.sha256.hex():
                    raise ModelError(f"model {self.entry.name}: {each.name} arrived with another hash")
            _verified_signer(self._folder, self._signers)
        except ModelError:
            self.discard()
            raise
        place = self._target / self.entry.name
        if place.exists() and not _holds(place, self.entry.version):
            place = self._target / f"{self.entry.name}@{self.entry.version.hex()[:DIGITS]}"
        if place.exists():  # this version is there already
            self.discard()
            return place
        try:
            os.replace(self._folder, place)
        except OSError as error:
            raise ModelError(f"{place} cannot be made: {error.strerror or error}") from None
        return place

    def discard(self) -> None:
        """Delete what has arrived."""
        shutil.rmtree(self._folder, ignore_errors=True)

    def _require_card(self) -> None:
        """Raise ModelError unless the card names the files of the entry, by name and hash."""
        card = Card.read(self._folder)
        if file_hash(self._folder / CARD) != self.entry.version.hex():
            raise ModelError(f"model {self.entry.name}: its card arrived with another hash")
        offered = {each.name: each.sha256.hex() for each in self.entry.files[1:] if each.name != SIGNATURE}
        if offered != _named_hashes(card):
            raise ModelError(f"model {self.entry.name}: its card names other files than were offered")
        self._agreed = True


@dataclass
class ModelShelf:
    """Models that a server gives away, and takes (`offload.files.Shelf`).

    Attributes:
        models: names or folders of those that it gives away.
        target: folder for those that it is given; None to take none.
        signers: those of whom one must have signed a model that it takes.
        max_bytes: limit on the bytes of a model that it takes.
    """

    models: Iterable[str] = ()
    target: Path | None = None
    signers: Collection[bytes] = ()
    max_bytes: int = MAX_FILE
    _entries: dict[bytes, tuple[ModelEntry, Path]] = field(default_factory=dict)
    _arriving: "_Arrival | None" = None

    def __post_init__(self) -> None:
        for model in self.models:
            entry = model_entry(model)
            self._entries[entry.version] = entry, model_card(model).folder

    def entries(self) -> list[ModelEntry]:
        """Models that can be had."""
        return [entry for entry, _ in self._entries.values()]

    def read(self, piece: Piece) -> bytes:
        """Read a piece of a file.

        Raises:
            ModelError: there is no such model, file or place in it.
        """
        entry, folder = self._entries.get(piece.version, (None, None))
        if entry is None or piece.file >= len(entry.files):
            raise ModelError(f"no model of version {piece.version.hex()[:DIGITS]} with a file {piece.file} is here")
        chosen = entry.files[piece.file]
        if piece.start + piece.length > chosen.size:
            raise ModelError(f"{chosen.name} has {chosen.size} bytes; {piece.length} from {piece.start} were asked for")
        try:
            with (folder / chosen.name).open("rb") as stream:
                stream.seek(piece.start)
                content = stream.read(piece.length)
        except OSError as error:
            raise ModelError(f"{chosen.name} cannot be read: {error.strerror or error}") from None
        if len(content) != piece.length:
            raise ModelError(f"{chosen.name} has changed meanwhile")
        return content

    def offer(self, device: bytes, entry: ModelEntry) -> None:
        """Accept to be given a model by a device.

        Raises:
            ModelError: no models are taken, or not this one.
        """
        if self.target is None:
            raise ModelError("this server takes no models; it must be started with --accept")
        if entry.size > self.max_bytes:
            raise ModelError(f"model {entry.name} has {entry.size} bytes; at most {self.max_bytes} are taken")
        now, arriving = time.monotonic(), self._arriving
        if arriving is not None:
            if now - arriving.last <= IDLE_S and arriving.device != device:
                raise ModelError("another model is being given to this server; try again later")
            arriving.delivery.discard()
        self._arriving = _Arrival(device, Delivery(entry, self.target, self.signers, from_start=True), now)

    def put(self, device: bytes, piece: Piece) -> None:
        """Take the next piece; behind the last one the whole is checked, and can be had from then on.

        Raises:
            ModelError: nothing was offered, it is another piece, or a check fails.
        """
        arriving = self._arriving
        if arriving is None or arriving.device != device or arriving.delivery.entry.version != piece.version:
            raise ModelError("offer a model before its pieces")
        delivery, arriving.last = arriving.delivery, time.monotonic()
        try:
            delivery.take(piece.file, piece.start, piece.content)
            if delivery.wanted() is None:
                self._arriving = None
                # Its files were hashed as they came: the thread that talks to devices has no time to read them again.
                entry, folder = delivery.entry, delivery.finish()
                number = codebook(str(folder)).id if "tokenizer" in Card.read(folder).content else 0
                self._entries[entry.version] = replace(entry, codebook_id=number), folder
        except ModelError:
            if self._arriving is not None:
                self._arriving = None
                delivery.discard()
            raise


@dataclass
class _Arrival:
    """A model that a device gives to a server, and the time of its last piece."""

    device: bytes
    delivery: Delivery
    last: float


def _named_hashes(card: Card) -> dict[str, str]:
    """Return the hashes of a card's files by name, none of which is looked at.

    Raises:
        ModelError: the card does not name them.
    """
    named = {}
    for part in (*([LABELS] if LABELS in card.content else []), *card.parts):
        try:
            entry = card.part(part)
            weights = {part: {"file": entry["weights"], "sha256": entry["sha256"]}}
            files = entry["onnx"] if "onnx" in entry else weights
            named |= {str(each["file"]): str(each["sha256"]) for each in files.values()}
        except (AttributeError, TypeError, KeyError) as error:
            raise ModelError(f"{card.folder / CARD}: the files of its {part}: {error!r}") from None
    return named


def _holds(folder: Path, version: bytes) -> bool:
    path = folder / CARD
    return path.is_file() and file_hash(path) == version.hex()


def _plain_name(name: str) -> str:
    """Return a model's name without the version that a folder's name may end in."""
    return name.partition("@")[0]
