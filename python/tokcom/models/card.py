"""Model cards: description, data, licence and figures of a model, and the hashes of its weights."""

import hashlib
import json
from dataclasses import dataclass
from pathlib import Path

from tokcom.errors import ModelError

FORMAT = 1
LABELS = "labels"
"""Key of a card's labels, other numbers for the words of its codebook."""


@dataclass(frozen=True)
class Card:
    """Card of a model: its folder and the content of card.json.

    The card's keys: `format`, `name`, `modality`, `description`, `licence`, `data`, `classes`, and for each part
    (`tokenizer`, `context`, `classifier`, or any other) an object of `family`, `config`, `weights`, `sha256`,
    `figures`, `training`.
    `labels`, if there are semantic labels, has `command` instead of `training`. Entries that depend on a part name the
    hash of its weights: `labels` and `context` have `tokenizer`; `acceptance` and `residual`, in `context`, have
    `context`.
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
        except (OSError, ValueError) as error:
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
        """Summarise the card for a list of models: name; picture and tokens, as shapes ("64 x 64"), and words of the
        codebook, None without a tokenizer of pictures; classes; megabytes on disk; parts."""
        config = self.content.get("tokenizer", {}).get("config", {})
        side, patch = config.get("image_size"), config.get("patch_size")
        known = isinstance(side, int) and isinstance(patch, int) and patch > 0
        files = [
            self.folder / str(self.content[part].get("weights"))
            for part in (*self.parts, LABELS)
            if part in self.content
        ]
        return {
            "name": self.name,
            "picture": f"{side} x {side}" if known else None,
            "tokens": f"{side // patch} x {side // patch}" if known else None,
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
        if not path.is_file():
            raise ModelError(f"{path}: no such file; model {self.name} is incomplete, fetch it again")
        found = file_hash(path)
        if found != entry["sha256"]:
            raise ModelError(
                f"{path}: sha256 is {found[:12]}…, but the card says {entry['sha256'][:12]}…; "
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
