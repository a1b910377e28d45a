"""The training pictures as tokens: made once by the model's own tokenizer, kept beside the prepared pictures."""

import hashlib
from pathlib import Path

import numpy as np

from tokcom.models.zoo import load_tokenizer, model_card
from tokcom.training.dataset import Dataset


def tokenized(data: Dataset, model: str, split: str, *, cache: str | Path = ".cache/datasets") -> np.ndarray:
    """Tokens of all crops, each also mirrored.

    Args:
        data: the pictures.
        model: model whose tokenizer makes the tokens.
        split: name of the split, part of the cache's key.
        cache: folder that keeps them.

    Returns:
        uint16 or int32 array (n, 2 * crops, tokens): the crops, then their mirror images.
    """
    tokenizer = load_tokenizer(model)
    key = [model_card(model).part("tokenizer")["sha256"], split, data.pictures.shape, hash_of(data)]
    path = Path(cache) / f"tokens-{hashlib.sha256(repr(key).encode()).hexdigest()[:16]}.npy"
    if not path.exists():
        n, crops = data.pictures.shape[:2]
        kind = np.uint16 if tokenizer.codebook_size <= 1 << 16 else np.int32
        tokens = np.empty((n, 2 * crops, tokenizer.grid[0] * tokenizer.grid[1]), kind)
        for start in range(0, n, 32):
            pictures = data.pictures[start : start + 32]
            both = np.concatenate([pictures, pictures[:, :, :, ::-1]], axis=1)
            made = tokenizer.encode(np.ascontiguousarray(both.reshape(-1, *both.shape[2:])))
            tokens[start : start + 32] = made.reshape(*both.shape[:2], -1)
        path.parent.mkdir(parents=True, exist_ok=True)
        unfinished = path.with_suffix(".unfinished.npy")
        np.save(unfinished, tokens)
        unfinished.replace(path)
    return np.load(path, mmap_mode="r")


def hash_of(data: Dataset) -> str:
    """A short hash of a sample of the pictures, enough to tell one preparation from another."""
    step = max(1, len(data.pictures) // 64)
    return hashlib.sha256(np.ascontiguousarray(data.pictures[::step, 0]).tobytes()).hexdigest()[:16]
