"""The shared codebook of modulation vectors: the form of a token on the air, the same for every sender."""

import hashlib
from dataclasses import dataclass
from functools import cached_property, lru_cache

import numpy as np

from tokcom.errors import ParameterError

MAX_WORDS, MIN_LENGTH, MAX_LENGTH = 4096, 2, 64


@dataclass(frozen=True)
class ModulationCodebook:
    """A matrix of QPSK symbols, one row per token, which all transmitters share (ToDMA, arXiv 2505.10946; paper,
    section V-C).

    The entries are drawn at random. Linear codes of greater distance ([24, 10, 8] in place of random rows of 12
    symbols, for instance) make no fewer errors between two transmitters, whose sums collide instead.

    Args:
        size: tokens, 2 to 4096.
        length: symbols per token, which are the carriers of a slot, 2 to 64.
        seed: of the draw, 0 to 2**32 - 1.

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
        """complex64 (size, length), read-only; every entry has unit energy."""
        return _vectors(self.size, self.length, self.seed)

    @cached_property
    def id(self) -> int:
        """32 bits that stand for its content."""
        return int.from_bytes(hashlib.sha256(np.sign(self.vectors.view(np.float32)).tobytes()).digest()[:4], "big")


@lru_cache(maxsize=16)
def _vectors(size: int, length: int, seed: int) -> np.ndarray:
    rng = np.random.Generator(np.random.PCG64(seed))
    quarters = rng.integers(0, 4, (size, length))
    vectors = (np.array([1 + 1j, -1 + 1j, -1 - 1j, 1 - 1j]) * np.sqrt(0.5))[quarters].astype(np.complex64)
    vectors.flags.writeable = False
    return vectors
