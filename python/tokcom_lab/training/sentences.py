"""Sentences about a class of photographs: phrasings made from its folder's name, or the user's own list."""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path

import torch
from torch import Tensor

from tokcom.context.sentence_encoder import Sentences
from tokcom.errors import DatasetError
from tokcom.tables import load_table


def phrasings(name: str) -> tuple[str, ...]:
    """Make phrasings of a class, the plainest sentence first: dog-beagle gives "a photo of a beagle, a dog"."""
    table = load_table("tokcom_lab.training", "phrasings")
    plain = " ".join(name.replace("-", " ").replace("_", " ").split())
    kind, _, rest = plain.partition(" ")
    whole = table["names"].get(name)
    if whole is None:
        whole = table["kinds"][kind].format(rest=rest) if rest and kind in table["kinds"] else plain
    words = {
        "whole": whole, "short": whole.partition(",")[0], "plain": plain, "a": "an" if whole[:1] in "aeiou" else "a",
    }  # fmt: skip
    return tuple(each.format(**words) for each in table["says"])


def read_phrasings(path: Path) -> dict[str, list[str]]:
    """Read phrasings by class from a JSON file: {"class": ["a sentence", "another", …], …}.

    Raises:
        DatasetError: the file cannot be read, or is not such a table.
    """
    try:
        table = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise DatasetError(f"{path}: the sentences cannot be read: {error}") from None
    lists = table.values() if isinstance(table, dict) else [None]
    if not all(isinstance(each, list) and each and all(isinstance(text, str) for text in each) for each in lists):
        raise DatasetError(f'{path}: sentences are {{"class": ["a sentence", "another"]}}, at least one per class')
    return table


def class_phrasings(classes: Sequence[str], said: Mapping[str, Sequence[str]] | None = None) -> list[list[str]]:
    """Return equally many phrasings of each class: a class with fewer repeats its own.

    Args:
        classes: names of the classes.
        said: phrasings by class; missing classes get phrasings made from their name.
    """
    said = said or {}
    texts = [list(said.get(name) or phrasings(name)) for name in classes]
    most = max(map(len, texts))
    return [[each[i % len(each)] for i in range(most)] for each in texts]


def embedded(texts: Sequence[Sequence[str]], encoder: Sentences) -> Tensor:
    """Embed the phrasings of each class, equally many per class, float32 (classes, phrasings, 384)."""
    return torch.stack([encoder.embed(each) for each in texts])
