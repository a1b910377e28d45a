"""Tokens as binary decisions: the bits of a word's number, each with the log-odds that the bits before leave it."""

import numpy as np

from tokcom.packets.bits import bits_per_token, tokens_to_bits

LIMIT = 12.0
"""Log-odds beyond this are held there; a decision against them costs 17 bits."""


class Decisions:
    """Log-odds of the decisions of some tokens under given probabilities of their words.

    Args:
        log_probabilities: float (n, codebook_size), natural logarithms; they need not be normalised.
    """

    def __init__(self, log_probabilities: np.ndarray):
        count, size = log_probabilities.shape
        self.width = bits_per_token(size)
        peak = log_probabilities.max(axis=1, keepdims=True).astype(np.float64)
        masses = np.zeros((count, 1 << self.width))
        np.exp(log_probabilities - peak, out=masses[:, :size])
        self._logs = []
        for _ in range(self.width):
            with np.errstate(divide="ignore"):
                self._logs.append(np.log(masses))
            masses = masses[:, 0::2] + masses[:, 1::2]
        self._logs.reverse()
        self._rows = np.arange(count)

    def log_odds(self, prefixes: np.ndarray, depth: int) -> np.ndarray:
        """float64 (n,): log-odds of a 1 at a bit, within LIMIT.

        Args:
            prefixes: int (n,), the bits ahead of it as a number.
            depth: the bit, 0 for the most significant.
        """
        logs = self._logs[depth]
        zero, one = logs[self._rows, 2 * prefixes], logs[self._rows, 2 * prefixes + 1]
        with np.errstate(invalid="ignore"):
            odds = one - zero
        # Where neither is possible, decoding has gone wrong already, or words are so unlikely that nothing is known.
        return np.clip(np.nan_to_num(odds, nan=0.0, posinf=LIMIT, neginf=-LIMIT), -LIMIT, LIMIT)

    def of_tokens(self, tokens: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Log-odds of all decisions of known tokens, and how they went.

        Args:
            tokens: int (n,).

        Returns:
            float64 (n, width) and uint8 (n, width).
        """
        tokens = tokens.astype(np.int64)
        odds = [self.log_odds(tokens >> (self.width - depth), depth) for depth in range(self.width)]
        return np.stack(odds, axis=1), tokens_to_bits(tokens[:, None], self.width)
