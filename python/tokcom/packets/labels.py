"""Labels of tokens on the air: a permutation of a codebook's words."""

import numpy as np

from tokcom.errors import FrameError, ParameterError

NATURAL, SEMANTIC, CONTEXTUAL = "natural", "semantic", "contextual"
LABELS = (NATURAL, SEMANTIC, CONTEXTUAL)
"""Kinds of labels. natural: a token's label is its number. The others are permutations that come with the codebook.
semantic: labels that the code confuses stand for similar words. contextual: the code keeps apart words that the context
confuses."""


class TokenLabels:
    """Permutation of a codebook.

    Args:
        labels: int (size,), the label of each token: 0 to size - 1, each once.

    Raises:
        ParameterError: it is not a permutation.
    """

    def __init__(self, labels: np.ndarray):
        labels = np.asarray(labels)
        if labels.ndim != 1 or not np.array_equal(np.sort(labels), np.arange(len(labels))):
            raise ParameterError(f"labels of shape {labels.shape} are not a permutation of 0 to {labels.size - 1}")
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
        """Convert tokens of any shape to labels, int32.

        Raises:
            FrameError: a token lies outside the codebook.
        """
        tokens = np.asarray(tokens)
        outside = (tokens < 0) | (tokens >= len(self))
        if outside.any():
            raise FrameError(f"token {tokens[outside][0]} lies outside the codebook of {len(self)} words")
        return self.of_tokens[tokens]

    def tokens(self, labels: np.ndarray) -> np.ndarray:
        """Convert labels of any shape to tokens, int32; numbers that are not a label are kept."""
        labels = np.asarray(labels)
        known = (labels >= 0) & (labels < len(self))
        return np.where(known, self.to_tokens[np.where(known, labels, 0)], labels).astype(np.int32)
