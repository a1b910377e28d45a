"""Interface of priors: probabilities of tokens, given known ones and a condition."""

from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import replace
from typing import ClassVar

import numpy as np

from tokcom.context.condition import Condition
from tokcom.context.prediction import Prediction
from tokcom.errors import ModelError
from tokcom.frame import TokenFrame

ANY, CAUSAL = "any", "causal"
"""Orders of a prior's tokens. any: each given any others. causal: each given those before it."""


class Prior(ABC):
    """Prior of a codebook's tokens.

    Attributes:
        order: ANY or CAUSAL.
        codebook: name of the codebook.
        codebook_size: number of words in it.
        grid: shape of the frames; None for any.
        longest: largest number of tokens of a frame; None for any.
        num_classes: number of labels; 0 for none.
        takes: names of the fields of a `Condition` that it uses.
        at_once: frames that it predicts together in about the time of one.
        n_bytes: bytes in memory.
    """

    order: ClassVar[str] = ANY
    codebook: str
    codebook_size: int
    grid: tuple[int, ...] | None
    longest: int | None = None
    num_classes: int = 0
    takes: frozenset[str] = frozenset({"label"})
    at_once: int = 1
    n_bytes: int = 0

    @abstractmethod
    def log_probabilities(
        self, tokens: np.ndarray, wanted: np.ndarray, conditions: Sequence[Condition]
    ) -> np.ndarray:  # fmt: skip
        """Compute natural log-probabilities of all words for the tokens wanted.

        Args:
            tokens: int (batch, n), LOST where unknown.
            wanted: bool (batch, n), tokens to predict: LOST ones or, for a CAUSAL prior, tokens without LOST ones
                before them.
            conditions: one per frame.

        Returns:
            float32 (wanted tokens, codebook_size), row by row.
        """

    def predict(
        self, tokens: np.ndarray, wanted: np.ndarray, conditions: Sequence[Condition], top: int | None = None
    ) -> Prediction:
        """Compute the same as a `Prediction` of the `top` most likely words; None for all."""
        return Prediction.dense(self.log_probabilities(tokens, wanted, conditions)).top(top)

    def guesses(self, log_probability: np.ndarray, places: np.ndarray, n_tokens: int) -> np.ndarray:
        """Guess tokens of which nothing was received: the most likely words, or, where words differ in what they show,
        those that show the least error on average.

        Args:
            log_probability: float (n, codebook_size).
            places: int (n,), positions in the frame.
            n_tokens: tokens of the frame.

        Returns:
            int64 (n,).
        """
        return log_probability.argmax(axis=1)

    def usable(self, condition: Condition) -> Condition:
        """Leave out the frame before and descriptions that the prior does not use: nothing that was sent depends on
        them."""
        unused = {"before", "text", "embedding"} & condition.kinds - self.takes
        return replace(condition, **dict.fromkeys(unused)) if unused else condition

    def told_with(self, frame: TokenFrame) -> Condition:
        """Make the condition that was sent with a frame, as far as the prior uses it."""
        return self.usable(Condition.of(frame))

    def require_fit(self, frame: TokenFrame, condition: Condition) -> None:
        """Raise ModelError unless the prior can work on the frame."""
        if frame.codebook != self.codebook or frame.codebook_size != self.codebook_size:
            raise ModelError(
                f"frame {frame.frame_id} holds tokens of codebook {frame.codebook} ({frame.codebook_size} words); "
                f"this model predicts those of {self.codebook} ({self.codebook_size} words)"
            )
        if self.grid is not None and frame.grid != self.grid:
            shapes = " x ".join(map(str, frame.grid)), " x ".join(map(str, self.grid))
            raise ModelError(f"frame {frame.frame_id} is a grid of {shapes[0]} tokens; this model takes {shapes[1]}")
        strange = sorted(condition.kinds - self.takes)
        if strange:
            raise ModelError(
                f"frame {frame.frame_id} comes with {', '.join(strange)} as condition; this model takes "
                f"{', '.join(sorted(self.takes)) or 'none'}"
            )
        if condition.label is not None and condition.label >= self.num_classes:
            raise ModelError(
                f"frame {frame.frame_id} has CMI label {condition.label}; this model knows 0 to {self.num_classes - 1}"
            )
        if self.longest is not None and len(frame.tokens) > self.longest:
            raise ModelError(
                f"frame {frame.frame_id} has {len(frame.tokens)} tokens; this model reads at most {self.longest}: send "
                "shorter texts"
            )
