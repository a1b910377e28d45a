"""Coding of binary decisions by constriction's range coder, terminated with the fewest possible bits."""

from types import ModuleType

import numpy as np

from tokcom.errors import SourceError
from tokcom.source.dither import PRECISION

WORD = 32
"""Bits per word of the coder; its state has two words."""


def _constriction() -> ModuleType:
    try:
        import constriction
    except ImportError:
        raise SourceError(
            "coding needs constriction, which is not installed: pip install constriction (./run installs it)"
        ) from None
    return constriction


class DecisionEncoder:
    """Encoder of binary decisions.

    Raises:
        SourceError: constriction is not installed.
    """

    def __init__(self) -> None:
        stream = _constriction().stream
        self._coder = stream.queue.RangeEncoder()
        self._model = stream.model.Bernoulli(perfect=False)

    def encode(self, bits: np.ndarray, probabilities: np.ndarray) -> None:
        """Append decisions.

        Args:
            bits: (n,), outcomes, 0 or 1.
            probabilities: int (n,), probability of a 1, in units of 2**-PRECISION.
        """
        self._coder.encode(bits.astype(np.int32), self._model, _as_floats(probabilities))

    def finish(self) -> np.ndarray:
        """Return the fewest bits, uint8 (n,), that decode to the encoded decisions when followed by zeros."""
        words = [int(word) for word in self._coder.get_compressed()]
        position, (low, span) = self._coder.pos()
        total = WORD * (position + 2)
        inside = 0
        for word in words + [0] * (position + 2 - len(words)):
            inside = inside << WORD | word
        # Any number from `first`, whose last two words are the coder's state, within its range decodes correctly.
        first = inside - (inside - low) % (1 << 2 * WORD)
        free = 0
        while free < total and _multiple(first, free + 1) < first + span:
            free += 1
        digits = f"{_multiple(first, free) >> free:0{total - free}b}"[: total - free]
        return np.array(list(map(int, digits)), np.uint8)


def _multiple(number: int, zeros: int) -> int:
    """Round a number up to the next multiple of 2**zeros."""
    return -(-number >> zeros) << zeros


class DecisionDecoder:
    """Decoder of a `DecisionEncoder`'s bits.

    Args:
        bits: uint8 (n,), from `DecisionEncoder.finish`; zeros may follow.

    Raises:
        SourceError: constriction is not installed.
    """

    def __init__(self, bits: np.ndarray):
        stream = _constriction().stream
        padded = np.pad(bits, (0, -len(bits) % WORD))
        words = np.packbits(padded).view(">u4").astype(np.uint32)
        self._coder = stream.queue.RangeDecoder(words)
        self._model = stream.model.Bernoulli(perfect=False)

    def decode(self, probabilities: np.ndarray) -> np.ndarray:
        """Decode the next decisions, int32 (n,).

        Args:
            probabilities: int (n,), probability of a 1, in units of 2**-PRECISION.

        Raises:
            SourceError: the bits are not valid.
        """
        try:
            return self._coder.decode(self._model, _as_floats(probabilities))
        except AssertionError:
            raise SourceError("its bits are not valid") from None


def _as_floats(probabilities: np.ndarray) -> np.ndarray:
    """Convert to constriction's floats; division by a power of two is exact."""
    return probabilities.astype(np.float64) / (1 << PRECISION)
