"""The shared codebook of modulation vectors: the form of a token on the air, the same for every sender."""

import hashlib
from dataclasses import dataclass
from functools import cached_property, lru_cache
from pathlib import Path

import numpy as np
from safetensors.numpy import load_file

from tokcom.errors import ParameterError

MAX_WORDS, MIN_LENGTH, MAX_LENGTH = 4096, 2, 64
FITTED = Path(__file__).parent / "vectors.safetensors"
ROUNDING = 256
"""Steps per unit amplitude to which entries are rounded for the codebook's id."""


@dataclass(frozen=True)
class ModulationCodebook:
    """A matrix of complex symbols, one row per token, which all transmitters share (ToDMA, arXiv 2505.10946; paper,
    section V-C).

    The rows are directions: random ones, complex Gaussian entries scaled so that every row has the same energy, or
    those of seed 0, which were moved apart for fading channels (`tokcom models vectors`). Random QPSK symbols are
    worse where rows are short: there are only 4**8 rows of 8 symbols, and many of 1024 random ones differ in one or
    two symbols only.

    Args:
        size: tokens, 2 to 4096.
        length: symbols per token, which are the carriers of a slot, 2 to 64.
        seed: of the draw, 0 to 2**32 - 1. 0 stands for the fitted vectors, if there are any of this length and enough
            of them: up to 1024 of 8, 12 or 16 symbols.

    Raises:
        ParameterError: a parameter is out of its range.
    """

    size: int = 1024
    length: int = 12
    seed: int = 0

    def __post_init__(self) -> None:
        for name, low, high in (
            ("size", 2, MAX_WORDS), ("length", MIN_LENGTH, MAX_LENGTH), ("seed", 0, (1 << 32) - 1),
        ):  # fmt: skip
            value = getattr(self, name)
            if not low <= value <= high:
                raise ParameterError(f"{name} of the modulation codebook is {value}; it must be {low} to {high}")

    @property
    def vectors(self) -> np.ndarray:
        """complex64 (size, length), read-only; the entries of a row have unit energy on average."""
        return _vectors(self.size, self.length, self.seed)

    @cached_property
    def id(self) -> int:
        """32 bits that stand for its content."""
        rounded = np.rint(self.vectors.view(np.float32) * ROUNDING).astype("<i2")
        return int.from_bytes(hashlib.sha256(rounded.tobytes()).digest()[:4], "big")


@lru_cache(maxsize=16)
def _vectors(size: int, length: int, seed: int) -> np.ndarray:
    fitted = _fitted().get(str(length), ()) if seed == 0 else ()
    if len(fitted) >= size:
        drawn = fitted[:size].astype(np.float64)
    else:
        drawn = np.random.Generator(np.random.PCG64(seed)).standard_normal((size, 2 * length))
    drawn *= np.sqrt(length / (drawn**2).sum(axis=1, keepdims=True))
    vectors = drawn.astype(np.float32).view(np.complex64)
    vectors.flags.writeable = False
    return vectors


@lru_cache(maxsize=1)
def _fitted() -> dict[str, np.ndarray]:
    """int8 (words, 2 * length) by length: real and imaginary parts in turn."""
    return load_file(FITTED)
