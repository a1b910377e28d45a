"""Descriptions of frames beyond their label: a point of the sentences' space in a few bytes, or a sentence.

A point is a unit vector of all-MiniLM-L6-v2, be it of a sentence, a caption or a sound. Its code is that of a multi-
stage vector quantizer (Juang and Gray, ICASSP 1982): each byte names a word of its stage's table, and the point is
the direction of the words' sum, so the beginning of a code is the code of a coarser point. The tables,
`description.safetensors`, are part of the air interface (docs/air-interface.md, "Conditions").
"""

from functools import lru_cache
from pathlib import Path

import numpy as np
from safetensors.numpy import load_file

from tokcom.errors import ParameterError
from tokcom.frame import MAX_DESCRIPTION

POINT, SENTENCE = 1, 2
"""First byte of a description: what the others hold."""
WIDTH, STAGES, WORDS = 384, 8, 256
"""Components of a point, largest number of bytes of its code, words per stage."""
POINT_BYTES = 6
"""Usual number of bytes of a point's code."""
TABLES = Path(__file__).with_suffix(".safetensors")


@lru_cache(maxsize=1)
def tables() -> np.ndarray:
    """Load the words of every stage, float32 (STAGES, WORDS, WIDTH)."""
    stored = load_file(TABLES)
    return stored["words"].astype(np.float32) * stored["scales"].astype(np.float32)[:, None, None]


def of_point(point: np.ndarray, n_bytes: int = POINT_BYTES) -> bytes:
    """Describe a point of the sentences' space.

    Args:
        point: float (WIDTH,), not all zero; only its direction counts.
        n_bytes: bytes of its code, 1 to STAGES.

    Raises:
        ParameterError: it is no such point, or no such number.
    """
    point = np.asarray(point, np.float32)
    if point.shape != (WIDTH,) or not np.isfinite(point).all() or not point.any():
        raise ParameterError(f"a point has {WIDTH} finite numbers, not all 0, not an array of shape {point.shape}")
    if not 1 <= n_bytes <= STAGES:
        raise ParameterError(f"n_bytes is {n_bytes}; it must be 1 to {STAGES}")
    return bytes([POINT, *quantize(point[None] / np.linalg.norm(point), tables()[:n_bytes])[0]])


def of_sentence(text: str) -> bytes:
    """Describe a frame by a sentence itself; its receiver needs all-MiniLM-L6-v2.

    Raises:
        ParameterError: the text is empty, too long, or not printable.
    """
    said = " ".join(text.split())
    data = said.encode()
    if not 1 <= len(data) < MAX_DESCRIPTION or not said.isprintable():
        raise ParameterError(
            f"the sentence {said[:40]!r} takes {len(data)} bytes; it must be 1 to {MAX_DESCRIPTION - 1} bytes of "
            "printable text"
        )
    return bytes([SENTENCE]) + data


def point_of(description: bytes) -> np.ndarray | None:
    """Decode a point, float32 (WIDTH,), of unit length; None if the description is not a valid one."""
    code = description[1:]
    if description[:1] != bytes([POINT]) or not 1 <= len(code) <= STAGES:
        return None
    words = tables()[np.arange(len(code)), list(code)].sum(axis=0)
    length = float(np.linalg.norm(words))
    return words / np.float32(length) if length > 0 else None


def sentence_of(description: bytes) -> str | None:
    """Decode a sentence; None if the description is not a valid one."""
    if description[:1] != bytes([SENTENCE]) or len(description) > MAX_DESCRIPTION:
        return None
    try:
        text = description[1:].decode()
    except UnicodeDecodeError:
        return None
    return text if text.strip() and text.isprintable() else None


def quantize(points: np.ndarray, words: np.ndarray) -> np.ndarray:
    """Find codes stage by stage, each word the nearest to what those before leave.

    Args:
        points: float32 (n, width).
        words: float32 (stages, words, width).

    Returns:
        uint8 (n, stages).
    """
    left, codes = points.astype(np.float32), []
    for stage in words:
        # The nearest word, without the part of the distance that all words share.
        codes.append((left @ stage.T - (stage**2).sum(axis=1) / 2).argmax(axis=1))
        left = left - stage[codes[-1]]
    return np.stack(codes, axis=1).astype(np.uint8)
