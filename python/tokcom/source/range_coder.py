"""Binary decisions through constriction's range coder, and not one bit more than they need at the end."""

from types import ModuleType

import numpy as np

from tokcom.errors import SourceError
from tokcom.source.dither import PRECISION

WORD = 32
"""Bits of a word of the coder; its state has two of them."""


def _constriction() -> ModuleType:
    try:
        import constriction
    except ImportError:
        raise SourceError(
            "constriction, which does the coding, is not installed: pip install constriction (./run does it by itself)"
        ) from None
    return constriction


class DecisionEncoder:
    """Codes binary decisions.

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
            bits: (n,), how they went, 0 or 1.
            probabilities: int (n,), of a 1, in units of 2**-PRECISION.
        """
        self._coder.encode(bits.astype(np.int32), self._model, _as_floats(probabilities))

    def finish(self) -> np.ndarray:
        """uint8 (n,): the fewest bits that, zeros after them, decode to what was encoded."""
        words = [int(word) for word in self._coder.get_compressed()]
        position, (low, span) = self._coder.pos()
        total = WORD * (position + 2)
        inside = 0
        for word in words + [0] * (position + 2 - len(words)):
            inside = inside << WORD | word
        # Every number from `first`, of which the coder tells the last two words, up to its span is as good.
        first = inside - (inside - low) % (1 << 2 * WORD)
        free = 0
        while free < total and _multiple(first, free + 1) < first + span:
            free += 1
        digits = f"{_multiple(first, free) >> free:0{total - free}b}"[: total - free]
        return np.array(list(map(int, digits)), np.uint8)


def _multiple(number: int, zeros: int) -> int:
    """The least number, not below one, that ends in so many zeros."""
    return -(-number >> zeros) << zeros


class DecisionDecoder:
    """Decodes what a `DecisionEncoder` has coded.

    Args:
        bits: uint8 (n,), from its `finish`; zeros may follow.

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
        """int32 (n,): how the next decisions went.

        Args:
            probabilities: int (n,), of a 1, in units of 2**-PRECISION.

        Raises:
            SourceError: no encoder writes such bits.
        """
        try:
            return self._coder.decode(self._model, _as_floats(probabilities))
        except AssertionError:
            raise SourceError("its bits are no code") from None


def _as_floats(probabilities: np.ndarray) -> np.ndarray:
    """As constriction takes them; a division by a power of two is exact."""
    return probabilities.astype(np.float64) / (1 << PRECISION)
