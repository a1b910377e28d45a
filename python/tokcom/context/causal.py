"""Priors that take tokens in their order, as language models do, and the paths that they follow side by side."""

from abc import ABC, abstractmethod
from collections.abc import Iterator, Sequence
from copy import copy
from typing import ClassVar

import numpy as np

from tokcom.context.condition import Condition
from tokcom.context.prior import CAUSAL, Prior
from tokcom.errors import ModelError
from tokcom.frame import LOST


class Paths(ABC):
    """Sequences of tokens of one length; what they have in common is computed once."""

    @property
    @abstractmethod
    def log_probabilities(self) -> np.ndarray:
        """float32 (paths, codebook_size): natural log-probabilities of the token behind each path."""

    @abstractmethod
    def branch(self, parents: np.ndarray, tokens: np.ndarray) -> None:
        """Put n other paths into the place of these.

        Args:
            parents: int (n,), the path that each continues.
            tokens: int (n,), the token that follows.
        """

    @abstractmethod
    def select(self, kept: np.ndarray) -> None:
        """Keep some paths, int (n,), alone."""

    @abstractmethod
    def follow(self, tokens: np.ndarray, weigh: bool = True) -> np.ndarray:
        """Put the same tokens behind every path.

        Args:
            tokens: int (m,).
            weigh: whether their probabilities are asked for, which costs time.

        Returns:
            float64 (paths,): log-probability of the tokens behind each path; zeros where they are not asked for.
        """

    def fork(self) -> "Paths":
        """Return the same paths again; what follows either does not affect the other."""
        return copy(self)

    def traced(self, tokens: np.ndarray) -> list["Paths"]:
        """Follow tokens with a single path, and return it as it stands before the first and behind each of them.

        Args:
            tokens: int (m,), a few.
        """
        states = [self.fork()]
        for place in range(len(tokens)):
            self.follow(tokens[place : place + 1], weigh=False)
            states.append(self.fork())
        return states

    def along(self, tokens: np.ndarray) -> Iterator[np.ndarray]:
        """Follow tokens with a single path, in as few evaluations as possible.

        Args:
            tokens: int (m,).

        Yields:
            float32 (part, codebook_size): log-probabilities at the places of the next tokens, each given all before it;
            m rows in all.
        """
        for place in range(len(tokens)):
            yield self.log_probabilities
            self.follow(tokens[place : place + 1], weigh=False)


class CausalPrior(Prior):
    """A prior that predicts each token from those before it."""

    order: ClassVar[str] = CAUSAL
    takes: frozenset[str] = frozenset()

    @abstractmethod
    def paths(self, condition: Condition) -> Paths:
        """One path of no tokens."""

    def log_probabilities(
        self, tokens: np.ndarray, wanted: np.ndarray, conditions: Sequence[Condition]
    ) -> np.ndarray:  # fmt: skip
        found = []
        for line, chosen, condition in zip(tokens, wanted, conditions, strict=True):
            paths = self.paths(condition)
            done = 0
            for place in np.flatnonzero(chosen):
                known = line[done:place]
                if (known == LOST).any():
                    raise ModelError(f"token {place} is wanted, and not all tokens before it are known")
                if len(known):
                    paths.follow(known, weigh=False)
                found.append(paths.log_probabilities[0])
                done = place
        return np.stack(found)
