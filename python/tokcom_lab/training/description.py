"""Tables of descriptions' codes, fitted to sentences about things."""

from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
from safetensors.numpy import save_file

from tokcom.context.description import STAGES, WORDS, quantize
from tokcom.context.sentence_encoder import Sentences
from tokcom.errors import DatasetError, ParameterError
from tokcom_lab.cache import FOLDER, code_of, keep_array, key_of
from tokcom_lab.training.sentences import phrasings

ROUNDS = 12
"""Passes of Lloyd's algorithm per stage."""
AT_ONCE = 64


def dictionary_sentences(path: Path, count: int, seed: int = 0) -> list[str]:
    """Draw sentences about nouns from WordNet's file `data.noun`: phrasings of a noun, and what it means.

    Args:
        path: the file.
        count: number of nouns.
        seed: seed of the choice.

    Raises:
        DatasetError: the file is not WordNet's, or holds fewer nouns.
    """
    try:
        lines = [line for line in path.read_text(encoding="utf-8").splitlines() if not line.startswith("  ")]
        entries = [(line.split()[4].replace("_", " "), line.partition("| ")[2].split(";")[0].strip()) for line in lines]
    except (OSError, ValueError, IndexError) as error:
        raise DatasetError(f"{path}: not WordNet's file of nouns, data.noun: {error}") from None
    if len(entries) < count:
        raise DatasetError(f"{path}: {len(entries)} nouns; {count} are needed")
    rng, found = np.random.default_rng(seed), []
    for number in rng.permutation(len(entries))[:count]:
        noun, meaning = entries[number]
        said = phrasings(noun)
        found += [said[rng.integers(len(said))], meaning or noun]
    return found


def embedded_once(
    texts: Sequence[str], encoder: Sentences, *, cache: str | Path = FOLDER,
    progress: Callable[[int], None] = lambda done: None,
) -> np.ndarray:  # fmt: skip
    """Embed many texts, float32 (len(texts), 384), and cache the result.

    Args:
        texts: the texts.
        encoder: the encoder.
        cache: folder of the cache.
        progress: called with the number of texts done since the last call.
    """
    path = Path(cache) / f"sentences-{key_of(list(texts), code_of('tokcom.context.sentence_encoder'))}.npy"
    if not path.exists():
        found = np.zeros((len(texts), 384), np.float32)
        # Texts of one length need no padding.
        order = np.argsort([len(text) for text in texts], kind="stable")
        for start in range(0, len(order), AT_ONCE):
            part = order[start : start + AT_ONCE]
            found[part] = encoder.embed([texts[number] for number in part]).numpy()
            progress(len(part))
        keep_array(found, path)
    return np.load(path)


def fitted_tables(
    points: np.ndarray, seed: int = 0, progress: Callable[[int], None] = lambda done: None
) -> tuple[np.ndarray, np.ndarray]:
    """Fit the words of each stage to what the stages before leave, by Lloyd's algorithm.

    Args:
        points: float32 (n, width), unit vectors, at least twice as many as words.
        seed: seed of the first words.
        progress: called after each stage.

    Returns:
        int8 words (STAGES, WORDS, width), and float32 scales (STAGES,) that they are multiplied by.

    Raises:
        ParameterError: there are too few points.
    """
    if len(points) < 2 * WORDS:
        raise ParameterError(f"{len(points)} sentences are too few to fit {WORDS} words; give at least {2 * WORDS}")
    rng, left = np.random.default_rng(seed), points.astype(np.float32)
    stored, scales = [], []
    for _ in range(STAGES):
        words = left[rng.choice(len(left), WORDS, replace=False)]
        for _ in range(ROUNDS):
            near = quantize(left, words[None])[:, 0]
            sums, counts = np.zeros_like(words), np.bincount(near, minlength=WORDS)
            np.add.at(sums, near, left)
            # A word that nothing is near starts again from a point.
            fresh = left[rng.choice(len(left), WORDS)]
            words = np.where(counts[:, None] > 0, sums / np.maximum(counts, 1)[:, None], fresh)
        scale = np.float32(np.abs(words).max() / 127)
        stored.append(np.round(words / scale).astype(np.int8))
        scales.append(scale)
        left = left - (stored[-1] * scale)[quantize(left, (stored[-1] * scale)[None])[:, 0]]
        progress(1)
    return np.stack(stored), np.array(scales, np.float32)


def likeness(points: np.ndarray, words: np.ndarray, scales: np.ndarray) -> list[float]:
    """Compute the mean cosine of points and of what their codes stand for, by the number of bytes."""
    tables = words * scales[:, None, None]
    codes, found = quantize(points, tables), []
    for stages in range(1, len(tables) + 1):
        sums = sum(tables[stage][codes[:, stage]] for stage in range(stages))
        found.append(float((points * sums / np.linalg.norm(sums, axis=1, keepdims=True)).sum(axis=1).mean()))
    return found


def save_tables(words: np.ndarray, scales: np.ndarray, path: Path) -> None:
    """Write tables as the library reads them."""
    save_file({"words": words, "scales": scales}, path)
    path.chmod(0o644)
