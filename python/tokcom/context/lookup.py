"""A causal prior without a network, for devices that have no room for one: words follow as they followed before.

Each word is predicted from what stood behind the same words earlier, in the text itself or in one that the device has
seen before, as in prompt lookup decoding (Saxena, 2023); behind words that are new, by the frequencies of words.
"""

from copy import copy

import numpy as np

from tokcom.context.causal import CausalPrior, Paths
from tokcom.context.condition import Condition
from tokcom.errors import ParameterError

LONGEST = 4
"""Words before the next one that are looked for, at most."""
TRUST = 2.0
"""Occurrences of words from which what followed them weighs twice as much as what fewer words say."""


class LookupPrior(CausalPrior):
    """Prior of words that were seen before.

    Args:
        codebook: name of the codebook.
        frequencies: float (words,), share of each word among all, above 0.
        seen: int (n,), words of texts that the device knows.

    Raises:
        ParameterError: the frequencies are not such shares, or a word is beyond the codebook.
    """

    def __init__(self, codebook: str, frequencies: np.ndarray, seen: np.ndarray | None = None):
        shares = np.asarray(frequencies, np.float64)
        if shares.ndim != 1 or not (shares > 0).all() or not np.isfinite(shares).all():
            raise ParameterError("frequencies of words must be finite numbers above 0, one per word")
        self.codebook, self.codebook_size, self.grid = codebook, len(shares), None
        self.shares = shares / shares.sum()
        self.seen = np.zeros(0, np.int64) if seen is None else np.asarray(seen, np.int64)
        if len(self.seen) and not 0 <= self.seen.min() <= self.seen.max() < self.codebook_size:
            raise ParameterError(f"a word that was seen is beyond the {self.codebook_size} of the codebook")
        self.n_bytes = self.shares.nbytes + self.seen.nbytes

    def paths(self, condition: Condition) -> Paths:
        return _Texts(self)


class _Texts(Paths):
    """Texts of one length, (paths, length), behind those that were seen."""

    def __init__(self, prior: LookupPrior):
        self._prior, self._texts = prior, np.zeros((1, 0), np.int64)

    @property
    def log_probabilities(self) -> np.ndarray:
        return np.log(np.stack([self._predicted(text) for text in self._texts])).astype(np.float32)

    def branch(self, parents: np.ndarray, tokens: np.ndarray) -> None:
        self._texts = np.concatenate((self._texts[parents], np.asarray(tokens, np.int64)[:, None]), 1)

    def select(self, kept: np.ndarray) -> None:
        self._texts = self._texts[kept]

    def follow(self, tokens: np.ndarray, weigh: bool = True) -> np.ndarray:
        total = np.zeros(len(self._texts))
        for token in np.asarray(tokens, np.int64):
            if weigh:
                total += self.log_probabilities[:, token].astype(np.float64)
            self._texts = np.concatenate((self._texts, np.full((len(self._texts), 1), token)), 1)
        return total

    def fork(self) -> Paths:
        return copy(self)

    def _predicted(self, text: np.ndarray) -> np.ndarray:
        """Mix what followed the last words with what followed fewer of them, float64 (words,)."""
        whole, found = np.concatenate((self._prior.seen, text)), self._prior.shares
        ends = np.arange(1, len(whole))  # places that the words before could end at, one behind
        for count in range(1, min(LONGEST, len(text)) + 1):
            ends = ends[(ends >= count)]
            ends = ends[whole[ends - count] == text[-count]]
            if not len(ends):
                break
            followers, times = np.unique(whole[ends], return_counts=True)
            weight = len(ends) / (len(ends) + TRUST)
            found = found * (1 - weight)
            found[followers] += weight * times / len(ends)
        return found
