"""Tokens of the training pictures, computed once by the model's own tokenizer and cached with the prepared pictures."""

import copy
import hashlib
from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch

from tokcom.frame import LOST
from tokcom.models.zoo import load_tokenizer
from tokcom.tokenizers.vq import VQTokenizer
from tokcom_lab.cache import FOLDER, begun_array, code_of, keep_array, key_of, tokens_content
from tokcom_lab.training.dataset import Dataset
from tokcom_lab.training.picture_feed import PictureFeed
from tokcom_lab.training.views import VIEWS, Views

CODE = code_of(*(f"tokcom_lab.training.{name}" for name in ("tokens", "views", "picture_feed")))
"""Version of the step that shows pictures to the tokenizer."""
BATCH = 32
VIEW_SEED = 78


def tokenized(
    data: Dataset, model: str, split: str, *, visits: int | None = None, cache: str | Path = FOLDER,
    advance: Callable[[int], None] | None = None,
) -> np.ndarray:  # fmt: skip
    """Compute the tokens of the pictures.

    Args:
        data: the pictures.
        model: model whose tokenizer makes the tokens.
        split: name of the split, part of the cache's key.
        visits: search passes per picture; None for the value in the model's card.
        cache: folder of the cache.
        advance: called with the number of pictures done since the last call.

    Returns:
        uint16 or int32 array (n, variants, tokens). The variants are all crops, then their mirror images; with a
        search, which is slow, the pictures' `Views`, or the only crop.
    """
    tokenizer = load_tokenizer(model, visits, "cpu")
    path = _path(data, model, split, tokenizer, Path(cache))
    if not path.exists():
        if tokenizer.visits:
            made = _searched(data, tokenizer, path.with_suffix(".begun.npy"), advance)
        else:
            made = _encoded(data, tokenizer, advance)
        keep_array(made.astype(_kind(tokenizer)), path)
    return np.load(path, mmap_mode="r")


def enlarged_tokens(
    data: Dataset, model: str, split: str, *, views: int, device: torch.device, cache: str | Path = FOLDER,
    advance: Callable[[int], None] | None = None,
) -> np.ndarray:  # fmt: skip
    """Compute the encoder's tokens of the pictures as augmented by `PictureFeed`, on a device.

    Args:
        data: the pictures.
        model: model whose encoder makes the tokens; there is no search.
        split: name of the split, part of the cache's key.
        views: views per picture: the original, its mirror image, then random enlarged windows, every second one
            mirrored.
        device: device of the computation.
        cache: folder of the cache.
        advance: called with the number of pictures done since the last call.

    Returns:
        uint16 or int32 array (n, views, tokens). An interrupted computation is continued by a later call.
    """
    tokenizer = load_tokenizer(model, 0, "cpu")
    content = [tokens_content(model, 0, str(device)), split, hash_of(data), views, CODE]
    path = Path(cache) / f"views-{key_of(content)}.npy"
    if not path.exists():
        network, feed = copy.deepcopy(tokenizer.network).to(device), PictureFeed(data, device)
        begun = path.with_suffix(".begun.npy")
        tokens = begun_array(begun, (len(feed), views, tokenizer.grid[0] * tokenizer.grid[1]), LOST)
        for start in range(0, len(feed), BATCH):
            numbers, rng = np.arange(start, min(start + BATCH, len(feed))), np.random.default_rng([VIEW_SEED, start])
            if (tokens[numbers] == LOST).any():
                pictures = feed.at(numbers)
                for view in range(views):
                    shown = feed.enlarged(pictures, rng) if view > 1 else pictures
                    with torch.inference_mode():
                        found = network.encode(shown.flip(3) if view % 2 else shown)
                    tokens[numbers, view] = found.flatten(1).cpu().numpy()
            if advance:
                advance(len(numbers))
        keep_array(tokens.astype(_kind(tokenizer)), path)
        begun.unlink()
    return np.load(path, mmap_mode="r")


def keep_tokens(tokens: np.ndarray, data: Dataset, model: str, split: str, *, cache: str | Path = FOLDER) -> None:
    """Store tokens of the pictures' `Views`, found elsewhere by search, for `tokenized`.

    Args:
        tokens: int (VIEWS * n, tokens), in the order of the views.
        data: the pictures.
        model: model whose tokenizer decodes them.
        split: name of the split.
        cache: folder of the cache.
    """
    tokenizer = load_tokenizer(model, device="cpu")
    by_picture = tokens.reshape(VIEWS, len(data.labels), -1).transpose(1, 0, 2)
    keep_array(by_picture.astype(_kind(tokenizer)), _path(data, model, split, tokenizer, Path(cache)))


def kept_tokens(data: Dataset, model: str, split: str, *, cache: str | Path = FOLDER) -> np.ndarray | None:
    """Load tokens stored by `keep_tokens` or found by `tokenized`'s search, int (VIEWS * n, tokens), in the order of
    the pictures' `Views`; None if there are none."""
    tokenizer = load_tokenizer(model, device="cpu")
    path = _path(data, model, split, tokenizer, Path(cache))
    if not tokenizer.visits or not path.exists():
        return None
    by_picture = np.load(path)
    return by_picture.transpose(1, 0, 2).reshape(VIEWS * len(data.labels), -1)


def _encoded(data: Dataset, tokenizer: VQTokenizer, advance: Callable[[int], None] | None) -> np.ndarray:
    n, crops = data.pictures.shape[:2]
    tokens = np.empty((n, 2 * crops, tokenizer.grid[0] * tokenizer.grid[1]), np.int32)
    for start in range(0, n, BATCH):
        pictures = data.pictures[start : start + BATCH]
        both = np.concatenate([pictures, pictures[:, :, :, ::-1]], axis=1)
        made = tokenizer.encode(np.ascontiguousarray(both.reshape(-1, *both.shape[2:])))
        tokens[start : start + BATCH] = made.reshape(*both.shape[:2], -1)
        if advance:
            advance(len(pictures))
    return tokens


def _searched(
    data: Dataset, tokenizer: VQTokenizer, begun: Path, advance: Callable[[int], None] | None
) -> np.ndarray:  # fmt: skip
    """Search for tokens; results so far are stored in `begun`, from which a later call continues."""
    n, crops = data.pictures.shape[:2]
    views = Views.of(data) if crops > 1 else None
    variants = VIEWS if views else 1
    tokens = begun_array(begun, (n, variants, tokenizer.grid[0] * tokenizer.grid[1]), LOST)
    for start in range(0, n, BATCH):
        numbers = np.arange(start, min(start + BATCH, n))
        for view in range(variants):
            if (tokens[numbers, view] == LOST).any():
                pictures = views.pictures(numbers + view * n) if views else data.pictures[numbers, 0]
                tokens[numbers, view] = tokenizer.encode(np.ascontiguousarray(pictures)).reshape(len(numbers), -1)
        if advance:
            advance(len(numbers))
    found = np.array(tokens)
    begun.unlink()
    return found


def _path(data: Dataset, model: str, split: str, tokenizer: VQTokenizer, cache: Path) -> Path:
    return cache / f"tokens-{key_of(tokens_content(model, tokenizer.visits), split, hash_of(data), CODE)}.npy"


def _kind(tokenizer: VQTokenizer) -> type:
    return np.uint16 if tokenizer.codebook_size <= 1 << 16 else np.int32


def hash_of(data: Dataset) -> str:
    """Compute a short hash of every 61st byte of each picture."""
    digest = hashlib.sha256(repr(data.pictures.shape).encode())
    for start in range(0, len(data.pictures), BATCH):
        part = data.pictures[start : start + BATCH]
        digest.update(np.ascontiguousarray(part.reshape(len(part), -1)[:, ::61]).tobytes())
    return digest.hexdigest()[:16]
