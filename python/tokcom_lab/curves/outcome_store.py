"""Outcomes of frames on disk: each is measured once, however often a benchmark is stopped or enlarged."""

import hashlib
import json
from collections.abc import Sequence
from functools import cache
from pathlib import Path

import tokcom
from tokcom.models.zoo import model_card

CACHE = ".cache/outcomes"
SELDOM = ("cli", "doctor", "recording")
"""Rooms of the library whose changes leave outcomes alone."""


class OutcomeStore:
    """Outcomes by all that determines them, one per line of a file.

    Args:
        family: what all of them depend on, as JSON has it: model, settings, revision of the code.
        folder: where the file is; None: nothing is kept on disk.
    """

    def __init__(self, family: object, folder: str | Path | None = CACHE):
        self._path = None if folder is None else Path(folder) / f"{_digest(family)}.jsonl"
        self._known: dict[str, list] = {}
        if self._path is not None and self._path.exists():
            for line in self._path.read_text(encoding="utf-8").splitlines():
                try:
                    key, outcome = json.loads(line)
                except ValueError:
                    continue  # the run ended while it was written
                self._known[key] = outcome

    def get(self, key: object) -> list | None:
        """The outcome under a key; None where it has not been measured."""
        return self._known.get(_digest(key))

    def add(self, key: object, outcome: Sequence[float | None]) -> None:
        """Keep an outcome."""
        digest = _digest(key)
        self._known[digest] = list(outcome)
        if self._path is None:
            return
        try:
            self._path.parent.mkdir(parents=True, exist_ok=True)
            with self._path.open("a", encoding="utf-8") as file:
                file.write(json.dumps([digest, self._known[digest]]) + "\n")
        except OSError:
            # Without the file a run that is stopped starts over, that is all.
            self._path = None


def _digest(value: object) -> str:
    return hashlib.sha256(json.dumps(value, sort_keys=True).encode()).hexdigest()[:24]


def made_of(model: str) -> list[str]:
    """Hashes of a model and of the code that measures with it: outcomes of others do not count."""
    return [hashlib.sha256(json.dumps(model_card(model).content, sort_keys=True).encode()).hexdigest(), _code()]


@cache
def _code() -> str:
    library, here = Path(tokcom.__file__).parent, Path(__file__).parent
    digest = hashlib.sha256()
    for root in (library, here):
        for path in sorted([*root.rglob("*.py"), *root.rglob("*.json")]):
            inside = path.relative_to(root)
            if root == here or inside.parts[0] not in SELDOM:
                digest.update(f"{inside}\n".encode() + path.read_bytes())
    return digest.hexdigest()
