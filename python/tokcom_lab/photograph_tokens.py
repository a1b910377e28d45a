"""Tokens of photographs for measurements, searched for once and cached: a search takes seconds per photograph."""

import logging
from collections.abc import Callable
from pathlib import Path

import numpy as np

from tokcom.errors import TokcomError
from tokcom.models.zoo import load_tokenizer
from tokcom_lab.cache import FOLDER, RESULTS, Table, key_of, tokens_content

BATCH = 16
"""Photographs searched at a time, after which the results are saved."""

logger = logging.getLogger(__name__)


def photograph_tokens(
    pictures: np.ndarray, model: str, *, visits: int | None = None, cache: str | Path = FOLDER,
    progress: Callable[[int], None] = lambda done: None,
) -> np.ndarray:  # fmt: skip
    """Compute the tokens of photographs by a model's tokenizer, on the processors.

    Results are cached by model and picture, so that neither another measurement on the same photographs nor one that
    was interrupted need search again.

    Args:
        pictures: uint8 (n, size, size, 3).
        model: name or folder of the model.
        visits: search passes per photograph; None for the value in the model's card.
        cache: folder of the cache.
        progress: called with the number of photographs done since the last call.

    Returns:
        int32 (n, rows, columns).

    Raises:
        ModelError: the model's tokenizer is missing or broken.
        PictureError: the pictures have another shape.
    """
    tokenizer = load_tokenizer(model, visits, "cpu")
    table = _table(Path(cache)) if tokenizer.visits else None
    content = tokens_content(model, tokenizer.visits)
    names = [key_of(content, picture) for picture in pictures]
    known = {} if table is None else {name: data for name, _, data in table.find(names)}
    found = {name: np.frombuffer(data, "<i4").reshape(tokenizer.grid) for name, data in known.items()}
    unknown = [number for number, name in enumerate(names) if name not in found]
    progress(len(names) - len(unknown))
    for start in range(0, len(unknown), BATCH):
        numbers = unknown[start : start + BATCH]
        made = {names[number]: each for number, each in zip(numbers, tokenizer.encode(pictures[numbers]), strict=True)}
        found |= made
        if table is not None:
            table = _kept(table, {name: ({}, tokens.astype("<i4").tobytes()) for name, tokens in made.items()})
        progress(len(numbers))
    if table is not None:
        table.close()
    return np.stack([found[name] for name in names]).astype(np.int32)


def _table(cache: Path) -> Table | None:
    """Without a cache the next measurement takes longer, that is all."""
    try:
        return Table(cache / RESULTS, "photographs")
    except TokcomError as error:
        logger.warning("%s; without it, tokens are searched for again", error)
        return None


def _kept(table: Table, made: dict[str, tuple[dict, bytes]]) -> Table | None:
    try:
        table.add(made)
    except TokcomError:
        return None
    return table
