"""Tokens of photographs for measurements, searched for once and cached: a search takes seconds per photograph."""

import hashlib
import os
import zipfile
from collections.abc import Callable
from pathlib import Path

import numpy as np

from tokcom.models.zoo import load_tokenizer
from tokcom_lab.training.tokens import CACHE, tokens_key

BATCH = 16
"""Photographs searched at a time, after which the results are saved."""


def photograph_tokens(
    pictures: np.ndarray, model: str, *, cache: str | Path = CACHE, progress: Callable[[int], None] = lambda done: None
) -> np.ndarray:
    """Compute the tokens of photographs by a model's tokenizer.

    Results are cached in a file by model and picture, so that neither another measurement on the same photographs nor
    one that was interrupted need search again.

    Args:
        pictures: uint8 (n, size, size, 3).
        model: name or folder of the model.
        cache: folder of the cache.
        progress: called with the number of photographs done since the last call.

    Returns:
        int32 (n, rows, columns).

    Raises:
        ModelError: the model's tokenizer is missing or broken.
        PictureError: the pictures have another shape.
    """
    tokenizer = load_tokenizer(model, device="cpu")
    path = Path(cache) / f"photographs-{tokens_key(model, tokenizer.visits)}.npz"
    known = _read(path) if tokenizer.visits else {}
    names = [hashlib.sha256(np.ascontiguousarray(picture).tobytes()).hexdigest() for picture in pictures]
    unknown = [number for number, name in enumerate(names) if name not in known]
    progress(len(names) - len(unknown))
    for start in range(0, len(unknown), BATCH):
        numbers = unknown[start : start + BATCH]
        for number, tokens in zip(numbers, tokenizer.encode(pictures[numbers]), strict=True):
            known[names[number]] = tokens
        if tokenizer.visits:
            _write(path, known)
        progress(len(numbers))
    return np.stack([known[name] for name in names]).astype(np.int32)


def _read(path: Path) -> dict[str, np.ndarray]:
    try:
        with np.load(path) as file:
            return dict(file)
    except (OSError, ValueError, EOFError, zipfile.BadZipFile):
        return {}


def _write(path: Path, known: dict[str, np.ndarray]) -> None:
    unfinished = path.with_suffix(f".{os.getpid()}.npz")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        np.savez(unfinished, **{name: tokens.astype(np.int32) for name, tokens in known.items()})
        unfinished.replace(path)
    except OSError:
        # Without a cache the next measurement only takes longer.
        pass
