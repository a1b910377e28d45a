"""Frames of known kinds, with the predictability of their tokens: what `leakage` and `membership` are measured with."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from tokcom.adaptation.predictability import token_bits
from tokcom.frame import TokenFrame
from tokcom.models.card import CONTEXT
from tokcom.models.text import load_text_tokenizer
from tokcom.models.zoo import load_context, load_tokenizer
from tokcom_lab.cache import FOLDER, RESULTS, Table, code_of, key_of, model_content

BATCH = 16
"""Frames whose predictability is computed before the results are saved."""


@dataclass(frozen=True)
class Sample:
    """Frames of some kinds as they are sent.

    Attributes:
        frames: n of one shape, without a label, which would stand in the header.
        bits: float32 (n, n_tokens), predictability of each token without a label.
        labels: int (n,), the kind of each, 0 to the number of kinds - 1.
    """

    frames: Sequence[TokenFrame]
    bits: np.ndarray
    labels: np.ndarray


def sample_of_pictures(
    pictures: np.ndarray, labels: np.ndarray, model: str, part: str = CONTEXT, *, cache: str | Path = FOLDER,
    progress: Callable[[int], None] = lambda done: None,
) -> Sample:  # fmt: skip
    """Tokenize pictures, and compute their predictability, once; then it is cached.

    Args:
        pictures: uint8 (n, size, size, 3).
        labels: int (n,).
        model: name or folder of the model.
        part: the prior: `card.CONTEXT` or `card.SMALL_CONTEXT`.
        cache: folder of the cache.
        progress: called with the number of pictures done since the last call.

    Raises:
        ModelError: the model lacks a part.
    """
    tokenizer = load_tokenizer(model, visits=0, device="cpu")
    tokens = np.concatenate([tokenizer.encode(pictures[i : i + BATCH]) for i in range(0, len(pictures), BATCH)])
    frames = [tokenizer.frame(each) for each in tokens]
    return Sample(frames, _predictability(frames, model, part, cache, progress), np.asarray(labels))


def sample_of_texts(
    kinds: Sequence[Sequence[str]], n_tokens: int, model: str, *, cache: str | Path = FOLDER,
    progress: Callable[[int], None] = lambda done: None,
) -> Sample:  # fmt: skip
    """Tokenize texts, and compute their predictability, once; then it is cached.

    Args:
        kinds: the texts of each kind, of at least `n_tokens` tokens each.
        n_tokens: number of tokens that are kept of each text, so that lengths tell nothing.
        model: a causal model of text, by name or folder.
        cache: folder of the cache.
        progress: called with the number of texts done since the last call.

    Raises:
        ModelError: there is no such model.
    """
    tokenizer = load_text_tokenizer(model)
    whole = [tokenizer.tokenize(text) for texts in kinds for text in texts]
    frames = [replace(frame, tokens=frame.tokens[:n_tokens], grid=(n_tokens,)) for frame in whole]
    labels = np.repeat(np.arange(len(kinds)), [len(texts) for texts in kinds])
    return Sample(frames, _predictability(frames, model, CONTEXT, cache, progress), labels)


def _predictability(
    frames: Sequence[TokenFrame], model: str, part: str, cache: str | Path, progress: Callable[[int], None]
) -> np.ndarray:
    """Bits of the tokens of each frame, float32 (n, n_tokens)."""
    content = [model_content(model), part, code_of("tokcom.context", "tokcom.adaptation"), "predictability"]
    names, made = [key_of(content, frame.tokens) for frame in frames], {}
    table = Table(Path(cache) / RESULTS, "predictability")
    for name, _, data in table.find(names):
        made[name] = np.frombuffer(data, np.float32)
    unknown = [number for number, name in enumerate(names) if name not in made]
    progress(len(names) - len(unknown))
    prior = load_context(model, "cpu", part)
    for start in range(0, len(unknown), BATCH):
        rows = unknown[start : start + BATCH]
        new = {names[row]: token_bits(prior, frames[row]).astype(np.float32) for row in rows}
        table.add({name: ({}, bits.tobytes()) for name, bits in new.items()})
        made |= new
        progress(len(rows))
    table.close()
    return np.stack([made[name] for name in names])
