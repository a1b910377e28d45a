"""Model cards: description, data, licence and figures of a model, and the hashes of its weights."""

import hashlib
import json
from dataclasses import dataclass
from pathlib import Path

from tokcom.errors import ModelError

FORMAT = 1
LABELS = "labels"
"""Key of a card's labels, other numbers for the words of its codebook."""
CONTEXT = "context"
"""Name of the part that predicts tokens."""
SMALL_CONTEXT = "small_context"
"""Name of the part that predicts them on a device too small for CONTEXT."""
FOLLOWING = "following"
"""Name of the part that predicts tokens of a frame from those of the frame before."""
TEXT = "text"
"""Name of the part that encodes the sentences that the context model is told."""
CONCEALING = "concealing"
"""Name of the part that decodes pictures of which tokens were lost."""
THINNED = "thinned"
"""Name of the part that decodes pictures of which only some tokens were sent."""
CONDITIONS = "conditions"
"""Name of the part that maps sentences to what the context is told, if that was trained with labels."""


@dataclass(frozen=True)
class Card:
    """Card of a model: its folder and the content of card.json.

    The card's keys: `format`, `name`, `modality`, `description`, `licence`, `data`, `classes`, and for each part
    (`tokenizer`, `context`, `classifier`, or any other) an object of `family`, `config`, `weights`, `sha256`,
    `figures`, `training`.
    `labels`, if there are semantic labels, has `command` instead of `training`. Entries that depend on a part name the
    hash of its weights: `labels` and `context` have `tokenizer`; `acceptance` and `residual`, in `context`, have
    `context`; `residual`, in `following`, has `following`. A model that was exported has `onnx` in its parts: `file`
    and `sha256` of each graph by what it computes, in place of the weights' file.
    """

    folder: Path
    content: dict

    @classmethod
    def read(cls, folder: Path) -> "Card":
        """Read the card of a model's folder.

        Raises:
            ModelError: the card is missing, invalid, or written by a newer version.
        """
        path = folder / "card.json"
        try:
            content = json.loads(path.read_text(encoding="utf-8"), parse_constant=_refuse)
        except FileNotFoundError:
            raise ModelError(f"{path}: no such file; a model's folder holds a card.json") from None
        except (OSError, ValueError, RecursionError) as error:
            raise ModelError(f"{path}: the card cannot be read: {error}") from None
        if not isinstance(content, dict) or not isinstance(content.get("format"), int):
            raise ModelError(f"{path}: not a model card: it has no format number")
        if content["format"] > FORMAT:
            raise ModelError(
                f"{path}: the card has format {content['format']}, this version reads up to {FORMAT}; update gr-tokcom"
            )
        missing = [key for key in ("name", "modality", "licence", "classes") if key not in content]
        if missing:
            raise ModelError(f"{path}: the card lacks {', '.join(missing)}")
        return cls(folder, content)

    @property
    def name(self) -> str:
        return self.content["name"]

    @property
    def classes(self) -> tuple[str, ...]:
        return tuple(self.content["classes"])

    @property
    def parts(self) -> tuple[str, ...]:
        """Names of the model's parts."""
        return tuple(
            name
            for name, entry in self.content.items()
            if isinstance(entry, dict) and "family" in entry and name != LABELS
        )

    def part(self, part: str) -> dict:
        """Return the card's object for one part.

        Raises:
            ModelError: the model has no such part, or the object is incomplete.
        """
        if part not in self.content:
            raise ModelError(f"model {self.name} has no {part}; it has {', '.join(self.parts) or 'none'}")
        missing = [key for key in ("family", "config", "weights", "sha256") if key not in self.content[part]]
        if missing:
            raise ModelError(f"{self.folder / 'card.json'}: its {part} lacks {', '.join(missing)}")
        return self.content[part]

    def summary(self) -> dict:
        """Summarise the card for a list of models: name; picture and tokens, as shapes ("64 x 64"; of a row, "64"), and
        words of the codebook, None without a tokenizer of pictures; classes; megabytes on disk; parts."""
        config = self.content.get("tokenizer", {}).get("config", {})
        side, patch, row = (config.get(name) for name in ("image_size", "patch_size", "n_tokens"))
        whole = isinstance(side, int)
        tokens = str(row) if isinstance(row, int) else None
        if whole and isinstance(patch, int) and patch > 0:
            tokens = f"{side // patch} x {side // patch}"
        entries = [self.content[part] for part in (*self.parts, LABELS) if part in self.content]
        names = [entry.get("weights") for entry in entries]
        names += [each["file"] for entry in entries for each in entry.get("onnx", {}).values()]
        files = [self.folder / str(name) for name in names]
        return {
            "name": self.name,
            "picture": f"{side} x {side}" if whole else None,
            "tokens": tokens if whole else None,
            "words": config.get("codebook_size"),
            "classes": len(self.classes),
            "megabytes": round(sum(file.stat().st_size for file in files if file.is_file()) / 1e6, 1),
            "parts": list(self.parts),
        }

    def require_bound(self, what: str, entry: dict, part: str, command: str) -> None:
        """Raise ModelError unless an entry that depends on a part was made for its present weights.

        Args:
            what: name of the entry, for the message.
            entry: the card's object; its key `part` is the hash of the weights for which it was made.
            part: the part; nothing is checked if the model lacks it.
            command: command that makes a new one.
        """
        if part in self.content and entry.get(part) != self.part(part)["sha256"]:
            raise ModelError(f"model {self.name}: its {what} for another {part}; run `{command}`")

    def weights(self, part: str) -> Path:
        """Check the weights file of one part and return its path.

        Raises:
            ModelError: the file is missing or does not match the card.
        """
        entry = self.part(part)
        path = self.folder / entry["weights"]
        if "onnx" in entry and not path.exists():
            raise ModelError(
                f"{path}: no such file; this model is an export for ONNX Runtime, without weights for PyTorch: take "
                "device onnx, or the model that it was made of"
            )
        return self._checked(path, entry["sha256"])

    def onnx(self, part: str) -> dict[str, Path]:
        """The checked ONNX files of one part, by what they compute.

        Raises:
            ModelError: it has none, or a file is missing or is not the one that the card describes.
        """
        entry = self.part(part).get("onnx")
        if entry is None:
            raise ModelError(
                f"model {self.name} has no ONNX files for its {part}; `./run models export {self.name}` writes a model "
                "that has"
            )
        try:
            files = {name: (self.folder / each["file"], str(each["sha256"])) for name, each in entry.items()}
        except (AttributeError, TypeError, KeyError) as error:
            raise ModelError(f"{self.folder / 'card.json'}: the ONNX files of its {part}: {error!r}") from None
        return {name: self._checked(*each) for name, each in files.items()}

    def files(self) -> list[Path]:
        """The checked files of all parts and of the labels, be they for PyTorch or for ONNX Runtime.

        Raises:
            ModelError: as of `weights` and `onnx`.
        """
        found = [self.weights(LABELS)] if LABELS in self.content else []
        for part in self.parts:
            found += self.onnx(part).values() if "onnx" in self.part(part) else [self.weights(part)]
        return found

    def _checked(self, path: Path, sha256: str) -> Path:
        if not path.is_file():
            raise ModelError(f"{path}: no such file; model {self.name} is incomplete, fetch it again")
        found = file_hash(path)
        if found != sha256:
            raise ModelError(
                f"{path}: sha256 is {found[:12]}…, the card says {sha256[:12]}…; "
                "the file is truncated or is not the card's: fetch it again"
            )
        return path


def _refuse(constant: str) -> float:
    """Refuse NaN and infinity, which Python reads but JSON does not have."""
    raise ValueError(f"{constant} is not a JSON number")


def file_hash(path: Path) -> str:
    """Compute the SHA-256 of a file, in hexadecimal."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
