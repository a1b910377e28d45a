"""Predictions of a prior: log-probabilities of all words, or of the most likely ones and of all others together."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from tokcom.errors import ParameterError

LEAST = np.float32(-3e38)
"""Log-probability of the impossible, for sums in which infinity would give NaN."""
STEP = np.float32(1 / 8)
"""Nepers between levels: no word's probability is off by more than a sixteenth."""
LEVELS = np.append(-STEP * np.arange(255, dtype=np.float32), LEAST).astype(np.float32)
"""Log-probability of each level; the last is of words that cannot be."""


@dataclass(frozen=True)
class Prediction:
    """Prediction: natural log-probabilities of words for an array of tokens.

    Attributes:
        log_probability: float32 (..., n), of n words of each token.
        words: int32 (..., n), which words they are, rising; None: all of the codebook, in order.
        rest: float32 (...), of all other words together; None: there are none.
        codebook_size: words of the codebook.
        levels: uint8 (..., codebook_size), index in LEVELS of every word's log-probability, which counts for words that
            are not named; None: each of them is as likely as the next.

    Raises:
        ParameterError: the arrays do not belong together.
    """

    log_probability: np.ndarray
    codebook_size: int
    words: np.ndarray | None = None
    rest: np.ndarray | None = None
    levels: np.ndarray | None = None

    def __post_init__(self) -> None:
        shape = self.log_probability.shape
        if self.words is None:
            if self.rest is not None or self.levels is not None or shape[-1] != self.codebook_size:
                raise ParameterError(
                    f"log-probabilities of shape {shape} are not those of all {self.codebook_size} words of a codebook"
                )
        elif self.words.shape != shape or self.rest is None or self.rest.shape != shape[:-1]:
            raise ParameterError(f"words of shape {self.words.shape} do not belong to probabilities of shape {shape}")
        if self.levels is not None and self.levels.shape != (*shape[:-1], self.codebook_size):
            raise ParameterError(
                f"levels of shape {self.levels.shape} are not those of {self.codebook_size} words for each token of "
                f"{shape[:-1]}"
            )

    @classmethod
    def dense(cls, log_probability: np.ndarray) -> "Prediction":
        """Make a prediction of all words, float32 (..., codebook_size)."""
        return cls(log_probability, log_probability.shape[-1])

    @classmethod
    def even(cls, shape: tuple[int, ...], codebook_size: int) -> "Prediction":
        """Make a uniform prediction, in which only one word is named."""
        share = np.full((*shape, 1), -np.log(codebook_size), np.float32)
        return cls(share, codebook_size, np.zeros((*shape, 1), np.int32), rest_of(share))

    @classmethod
    def joined(cls, parts: Sequence["Prediction"]) -> "Prediction":
        """Concatenate predictions of the same form along the first axis."""
        columns = zip(*(part._arrays for part in parts), strict=True)
        chosen, *others = (None if column[0] is None else np.concatenate(column) for column in columns)
        return cls(chosen, parts[0].codebook_size, *others)

    @property
    def n_bytes(self) -> int:
        """Bytes in memory."""
        return sum(array.nbytes for array in self._arrays if array is not None)

    @property
    def _arrays(self) -> tuple[np.ndarray | None, ...]:
        return self.log_probability, self.words, self.rest, self.levels

    def __getitem__(self, index: object) -> "Prediction":
        """Select some of the tokens by an index of the leading axes."""
        chosen, *others = (None if array is None else array[index] for array in self._arrays)
        return Prediction(chosen, self.codebook_size, *others)

    def top(self, count: int | None) -> "Prediction":
        """At most so many of each token's words by name, the likeliest, and the levels of all others; None: as it
        is."""
        if count is None or self.log_probability.shape[-1] <= count:
            return self
        if self.words is not None:
            raise ParameterError(
                "a prediction of the likeliest words cannot be reduced further; predict again with a smaller top"
            )
        likeliest = np.argpartition(self.log_probability, -count, axis=-1)[..., -count:]
        likeliest = np.sort(likeliest, axis=-1).astype(np.int32)
        chosen = np.take_along_axis(self.log_probability, likeliest, -1)
        return Prediction(chosen, self.codebook_size, likeliest, rest_of(chosen), levels_of(self.log_probability))

    def at(self, words: np.ndarray) -> np.ndarray:
        """Look up the log-probability of given words, int (..., m), float32 (..., m); LEAST for -1, which is
        padding."""
        if self.words is None:
            return np.take_along_axis(self.log_probability, words, -1)
        size = self.codebook_size
        if self.levels is None:
            others = np.broadcast_to(self.each_other[..., None], words.shape)
        else:
            others = LEVELS[np.take_along_axis(self.levels, np.maximum(words, 0), -1)]
        # Offset words per token, so that one search finds all.
        token = np.arange(self.rest.size, dtype=np.int64).reshape(*self.rest.shape, 1) * size
        listed = (self.words + token).ravel()
        wanted = words + token
        place = np.minimum(np.searchsorted(listed, wanted), len(listed) - 1)
        found = np.where(listed[place] == wanted, self.log_probability.ravel()[place], others)
        return np.where(words < 0, LEAST, found).astype(np.float32)

    @property
    def each_other(self) -> np.ndarray:
        """float32 (...): log-probability of every word that is not named, where there are no levels."""
        unnamed = self.codebook_size - self.log_probability.shape[-1]
        return np.maximum(self.rest - np.float32(np.log(max(unnamed, 1))), LEAST)

    def renamed(self, names: np.ndarray) -> "Prediction":
        """Renumber the words by a permutation, `names`, int (codebook_size,)."""
        if self.words is None:
            return Prediction.dense(self.log_probability[..., np.argsort(names)])
        words = names[self.words]
        order = np.argsort(words, axis=-1)
        sorted_words, chosen = (np.take_along_axis(array, order, -1) for array in (words, self.log_probability))
        levels = None if self.levels is None else self.levels[..., np.argsort(names)]
        return Prediction(chosen, self.codebook_size, sorted_words.astype(np.int32), self.rest, levels)


def rest_of(log_probability: np.ndarray) -> np.ndarray:
    """Compute the log of the probability that named words, with log-probabilities (..., n), leave to all others,
    float32 (...)."""
    left = 1 - np.exp(log_probability.astype(np.float64)).sum(axis=-1)
    return np.log(np.maximum(left, 1e-12)).astype(np.float32)


def levels_of(log_probability: np.ndarray) -> np.ndarray:
    """uint8 of the same shape: the nearest level of each log-probability; words below LEAST / 2 cannot be."""
    nearest = np.maximum(log_probability, -STEP * len(LEVELS)) * (-1 / STEP)
    np.clip(np.rint(nearest, out=nearest), 0, len(LEVELS) - 2, out=nearest)
    levels = nearest.astype(np.uint8)
    levels[log_probability < LEAST / 2] = len(LEVELS) - 1
    return levels
