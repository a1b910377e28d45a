"""Tokens as binary decisions: the bits of a word's number, each with its log-odds given the bits before it."""

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
        masses = np.zeros((count, 1 << self.width))
        masses[:, :size] = np.exp(log_probabilities - log_probabilities.max(axis=1, keepdims=True))
        self._masses = []
        for _ in range(self.width):
            self._masses.append(masses)
            masses = masses[:, 0::2] + masses[:, 1::2]
        self._masses.reverse()
        self._rows = np.arange(count)

    def log_odds(self, prefixes: np.ndarray, depth: int) -> np.ndarray:
        """Compute the log-odds of a 1 at a bit, clipped to LIMIT, float64 (n,).

        Args:
            prefixes: int (n,), the bits before it as a number.
            depth: index of the bit, 0 for the most significant.
        """
        masses = self._masses[depth]
        zero, one = masses[self._rows, 2 * prefixes], masses[self._rows, 2 * prefixes + 1]
        with np.errstate(divide="ignore", invalid="ignore"):
            odds = np.log(one) - np.log(zero)
        # If neither is possible, decoding has failed already, or the words' probabilities have underflowed.
        return np.clip(np.nan_to_num(odds, nan=0.0, posinf=LIMIT, neginf=-LIMIT), -LIMIT, LIMIT)

    def of_tokens(self, tokens: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Compute the log-odds of all decisions of known tokens, and their outcomes.

        Args:
            tokens: int (n,).

        Returns:
            Log-odds, float64 (n, width), and outcomes, uint8 (n, width).
        """
        tokens = tokens.astype(np.int64)
        odds = [self.log_odds(tokens >> (self.width - depth), depth) for depth in range(self.width)]
        return np.stack(odds, axis=1), tokens_to_bits(tokens[:, None], self.width)
