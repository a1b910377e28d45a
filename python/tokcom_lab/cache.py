"""Cache on disk of what was computed once, keyed by everything that determines it.

Results lie in SQLite tables, arrays in files of their own beside them. A key stands for content: of the model, the
pictures, the settings, the precision and the code. So nothing is ever taken for something else, and what nobody asks
for any more only takes room: the folder may be deleted at any time.
"""

import hashlib
import json
import sqlite3
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, is_dataclass
from functools import lru_cache
from importlib.util import find_spec
from pathlib import Path

import numpy as np

from tokcom.device import AUTO, ONNX, precision, receiving_device, weights_dtype
from tokcom.errors import TokcomError
from tokcom.models.card import CONTEXT, LABELS
from tokcom.models.installed import model_card

FOLDER = Path(".cache/lab")
RESULTS = "results.sqlite"
"""The file of tables in that folder."""
BUSY_SECONDS = 30
SELDOM = ("cli", "doctor", "metrics", "recording")
"""Rooms of the library whose changes leave all figures alone."""


def key_of(*content: object) -> str:
    """A short name for content: values that JSON has, data classes, paths, arrays, or lists and objects of them."""
    return hashlib.sha256(json.dumps(content, sort_keys=True, default=_plain).encode()).hexdigest()[:24]


def model_content(model: str) -> list:
    """Everything that determines what a model does: weights, labels, calibration and search, not name or figures."""
    card = model_card(model)
    settings = ("sha256", "family", "config", "search", "acceptance", "residual", "unsure_below")
    entries = {name: card.content[name] for name in sorted({*card.parts, LABELS} & card.content.keys())}
    return [[name, {key: entry.get(key) for key in settings}] for name, entry in entries.items()]


def tokens_content(model: str, visits: int, device: str = "cpu") -> list:
    """Everything that determines a picture's tokens: tokenizer, search, precision and code.

    Args:
        model: name or folder of the model.
        visits: of the search to every picture; 0: the encoder's tokens.
        device: where they are made.
    """
    card = model_card(model)
    content = [card.part("tokenizer")["sha256"], precision_content(device), code_of("tokcom.tokenizers")]
    return [*content, card.part(CONTEXT)["sha256"], card.part("tokenizer")["search"], visits] if visits else content


def precision_content(device: str = AUTO) -> list[str]:
    """Precision and kind of a device: two GPUs of a kind give the same results, a GPU and a CPU do not."""
    found = receiving_device(device)
    if found == ONNX:
        return [ONNX]
    return [found.type, str(weights_dtype(found)), str(precision(found))]


@lru_cache
def code_of(*names: str, without: tuple[str, ...] = ()) -> str:
    """A short hash of the sources and tables of packages or modules, which are not imported.

    Args:
        names: as they are imported.
        without: names of files or folders right inside, which do not count.
    """
    digest = hashlib.sha256()
    for name in names:
        origin = Path(find_spec(name).origin)
        root = origin.parent
        files = [*root.rglob("*.py"), *root.rglob("*.json")] if origin.name == "__init__.py" else [origin]
        for path in sorted(files):
            inside = path.relative_to(root)
            if inside.parts[0].removesuffix(".py") not in without:
                digest.update(f"{name} {inside}\n".encode() + path.read_bytes())
    return digest.hexdigest()[:24]


class Table:
    """Results by their keys in an SQLite file, which processes may share.

    Args:
        path: the file; it is made, with its folder, where there is none.
        name: of the table in it: letters.

    Raises:
        TokcomError: the file cannot be used.
    """

    def __init__(self, path: Path, name: str = "results"):
        if not name.isidentifier():
            raise ValueError(name)
        self._path, self._name = path, name
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            self._database = sqlite3.connect(path, timeout=BUSY_SECONDS)
            self._database.execute(f"CREATE TABLE IF NOT EXISTS {name} (key TEXT PRIMARY KEY, figures TEXT, data BLOB)")
        except (sqlite3.Error, OSError) as error:
            raise self._broken(error) from None

    def close(self) -> None:
        """Give the file back."""
        self._database.close()

    def keys(self) -> set[str]:
        """Keys of all results."""
        return {key for (key,) in self._query(f"SELECT key FROM {self._name}")}

    def find(self, keys: Iterable[str]) -> Iterator[tuple[str, dict, bytes | None]]:
        """Key, figures and data of the results that there are, in the order of `keys`."""
        for key in keys:
            for figures, data in self._query(f"SELECT figures, data FROM {self._name} WHERE key = ?", (key,)):
                yield key, json.loads(figures), data

    def add(self, results: Mapping[str, tuple[dict, bytes | None]]) -> None:
        """Keep figures and data by their keys, all of them or, where the disk refuses, none; of two that have one key
        the first stays.

        Raises:
            TokcomError: they cannot be written.
        """
        rows = [(key, json.dumps(figures), data) for key, (figures, data) in results.items()]
        try:
            with self._database:
                self._database.executemany(f"INSERT OR IGNORE INTO {self._name} VALUES (?, ?, ?)", rows)
        except sqlite3.Error as error:
            raise self._broken(error) from None

    def _query(self, statement: str, values: Sequence[str] = ()) -> list[tuple]:
        try:
            return self._database.execute(statement, values).fetchall()
        except sqlite3.Error as error:
            raise self._broken(error) from None

    def _broken(self, error: Exception) -> TokcomError:
        return TokcomError(f"{self._path}: what is kept there cannot be read or written: {error}")


def keep_array(array: np.ndarray, path: Path) -> None:
    """Write an array, whole or not at all."""
    path.parent.mkdir(parents=True, exist_ok=True)
    unfinished = path.with_suffix(".unfinished.npy")
    np.save(unfinished, array)
    unfinished.replace(path)


def begun_array(path: Path, shape: tuple[int, ...], fill: int) -> np.ndarray:
    """An int32 array in a file, to be filled step by step: as it was left, or `fill` everywhere."""
    if path.exists():
        return np.load(path, mmap_mode="r+")
    path.parent.mkdir(parents=True, exist_ok=True)
    array = np.lib.format.open_memmap(path, "w+", np.int32, shape)
    array[:] = fill
    return array


def _plain(value: object) -> object:
    if is_dataclass(value) and not isinstance(value, type):
        return asdict(value)
    if isinstance(value, np.ndarray):
        return [value.dtype.str, value.shape, hashlib.sha256(np.ascontiguousarray(value).tobytes()).hexdigest()]
    if isinstance(value, np.generic):
        return value.item()
    return str(value)
