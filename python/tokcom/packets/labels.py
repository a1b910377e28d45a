"""Tokens under other numbers on the air: the permutation between a codebook's words and their labels."""

import numpy as np

from tokcom.errors import FrameError, ParameterError

NATURAL, SEMANTIC, CONTEXTUAL = "natural", "semantic", "contextual"
LABELS = (NATURAL, SEMANTIC, CONTEXTUAL)
"""natural: a token's label is its number. The others are permutations that come with the codebook. semantic: what the
code confuses means nearly the same. contextual: what the context confuses, the code keeps apart."""


class TokenLabels:
    """A permutation of a codebook.

    Args:
        labels: int (size,), the label of each token: 0 to size - 1, each once.

    Raises:
        ParameterError: it is no permutation.
    """

    def __init__(self, labels: np.ndarray):
        labels = np.asarray(labels)
        if labels.ndim != 1 or not np.array_equal(np.sort(labels), np.arange(len(labels))):
            raise ParameterError(f"labels of shape {labels.shape} are no permutation of 0 to {labels.size - 1}")
        self.of_tokens = labels.astype(np.int32)
        self.to_tokens = np.argsort(labels).astype(np.int32)
        for array in (self.of_tokens, self.to_tokens):
            array.flags.writeable = False
        self._hash = hash(self.of_tokens.tobytes())

    def __eq__(self, other: object) -> bool:
        return isinstance(other, TokenLabels) and np.array_equal(self.of_tokens, other.of_tokens)

    def __hash__(self) -> int:
        return self._hash

    def __len__(self) -> int:
        return len(self.of_tokens)

    def label(self, tokens: np.ndarray) -> np.ndarray:
        """int32 labels of tokens, any shape.

        Raises:
            FrameError: a token lies outside the codebook.
        """
        tokens = np.asarray(tokens)
        outside = (tokens < 0) | (tokens >= len(self))
        if outside.any():
            raise FrameError(f"token {tokens[outside][0]} lies outside the codebook of {len(self)} words")
        return self.of_tokens[tokens]

    def tokens(self, labels: np.ndarray) -> np.ndarray:
        """int32 tokens of labels, any shape; a number that is no token's label stays what it is."""
        labels = np.asarray(labels)
        known = (labels >= 0) & (labels < len(self))
        return np.where(known, self.to_tokens[np.where(known, labels, 0)], labels).astype(np.int32)
