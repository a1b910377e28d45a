"""Tokens as binary decisions: the bits of a word's number, each with its log-odds given the bits before it."""

from functools import cached_property

import numpy as np

from tokcom.packets.bits import bits_per_token, tokens_to_bits

LIMIT = 12.0
"""Limit to which log-odds are clipped; a decision against it costs 17 bits."""


class Decisions:
    """Binary decisions of tokens, with log-odds from given probabilities of their words.

    Args:
        log_probabilities: float (n, codebook_size), natural logarithms; they need not be normalised.
    """

    def __init__(self, log_probabilities: np.ndarray):
        count, size = log_probabilities.shape
        self.width = bits_per_token(size)
        self._masses = np.zeros((count, 1 << self.width), np.float32)
        np.subtract(log_probabilities, log_probabilities.max(axis=1, keepdims=True), out=self._masses[:, :size])
        np.exp(self._masses[:, :size], out=self._masses[:, :size])
        self._rows = np.arange(count)

    @cached_property
    def _levels(self) -> list[np.ndarray]:
        """Masses of the words that begin with the same bits, by the number of bits less one, (n, 2, 4, … words)."""
        return _summed(self._masses.astype(np.float64), self.width)

    def log_odds(self, prefixes: np.ndarray, depth: int) -> np.ndarray:
        """Compute the log-odds of a 1 at a bit, clipped to LIMIT, float64 (n,).

        Args:
            prefixes: int (n,), the bits before it as a number.
            depth: index of the bit, 0 for the most significant.
        """
        return _log_odds(self._levels[depth], self._rows, prefixes)

    def of_tokens(self, tokens: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Compute the log-odds of all decisions of known tokens, and their outcomes.

        Args:
            tokens: int (n,).

        Returns:
            Log-odds, float64 (n, width), and outcomes, uint8 (n, width).
        """
        # Of all words, only the sums by their upper half of bits are needed, and those that share it with the token.
        tokens, low = tokens.astype(np.int64), self.width // 2
        by_half = self._masses.reshape(len(tokens), -1, 1 << low)
        parts = []
        if low < self.width:
            parts += _summed(by_half.sum(axis=2, dtype=np.float64), self.width - low)
        if low:
            parts += _summed(by_half[self._rows, tokens >> low].astype(np.float64), low)
        upper = self.width - low
        prefixes = [tokens >> self.width - depth for depth in range(upper)]
        prefixes += [(tokens & (1 << low) - 1) >> low - depth for depth in range(low)]
        odds = [_log_odds(masses, self._rows, own) for masses, own in zip(parts, prefixes, strict=True)]
        return np.stack(odds, axis=1), tokens_to_bits(tokens[:, None], self.width)


def _summed(masses: np.ndarray, width: int) -> list[np.ndarray]:
    """Sum masses (n, 2**width) by the first bits of their numbers: by one bit first, by all `width` last."""
    levels = [masses]
    for _ in range(width - 1):
        masses = masses[:, 0::2] + masses[:, 1::2]
        levels.append(masses)
    return levels[::-1]


def _log_odds(masses: np.ndarray, rows: np.ndarray, prefixes: np.ndarray) -> np.ndarray:
    """Compute the log-odds of a 1 behind prefixes, clipped to LIMIT, from the masses of both continuations."""
    zero, one = masses[rows, 2 * prefixes], masses[rows, 2 * prefixes + 1]
    with np.errstate(divide="ignore", invalid="ignore"):
        odds = np.log(one) - np.log(zero)
    # If neither is possible, decoding has failed already, or the words' probabilities have underflowed.
    return np.clip(np.nan_to_num(odds, nan=0.0, posinf=LIMIT, neginf=-LIMIT), -LIMIT, LIMIT)
