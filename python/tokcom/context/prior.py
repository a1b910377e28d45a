"""What every prior offers: probabilities of tokens, given those known and a condition."""

from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import ClassVar

import numpy as np

from tokcom.context.condition import Condition
from tokcom.context.prediction import Prediction
from tokcom.errors import ModelError
from tokcom.frame import TokenFrame

ANY, CAUSAL = "any", "causal"
"""Orders in which a prior takes tokens. any: each given any others. causal: each given those before it."""


class Prior(ABC):
    """Predicts tokens of a codebook.

    Attributes:
        order: ANY or CAUSAL.
        codebook: name of the codebook.
        codebook_size: words in it.
        grid: shape of the frames that the prior takes; None: any.
        num_classes: labels that it takes; 0: none.
        takes: what of a `Condition` it takes, by the names of its fields.
        at_once: frames that it predicts together in about the time of one.
        n_bytes: what it holds in memory.
    """

    order: ClassVar[str] = ANY
    codebook: str
    codebook_size: int
    grid: tuple[int, ...] | None
    num_classes: int = 0
    takes: frozenset[str] = frozenset({"label"})
    at_once: int = 1
    n_bytes: int = 0

    @abstractmethod
    def log_probabilities(
        self, tokens: np.ndarray, wanted: np.ndarray, conditions: Sequence[Condition]
    ) -> np.ndarray:  # fmt: skip
        """Natural log-probabilities of all words, for the tokens wanted.

        Args:
            tokens: int (batch, n), LOST where unknown.
            wanted: bool (batch, n): tokens that are LOST, or for a CAUSAL prior such as have no LOST ones before them.
            conditions: one for each frame.

        Returns:
            float32 (wanted tokens, codebook_size), row by row.
        """

    def predict(
        self, tokens: np.ndarray, wanted: np.ndarray, conditions: Sequence[Condition], top: int | None = None
    ) -> Prediction:
        """The same as a `Prediction`, of the likeliest `top` words; None: of all."""
        return Prediction.dense(self.log_probabilities(tokens, wanted, conditions)).top(top)

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
