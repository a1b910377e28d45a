"""What every context model offers: log-probabilities of tokens, given those known and the CMI."""

from abc import ABC, abstractmethod

import numpy as np

from tokcom.errors import ModelError
from tokcom.frame import TokenFrame


class ContextModel(ABC):
    """Predicts lost tokens of a codebook.

    Attributes:
        codebook: name of the codebook.
        codebook_size: words in it.
        grid: shape of the frames that the model takes; None: any.
        num_classes: labels that it takes as CMI; 0: none.
    """

    codebook: str
    codebook_size: int
    grid: tuple[int, ...] | None
    num_classes: int

    @abstractmethod
    def log_probabilities(self, tokens: np.ndarray, cmi: int | None) -> np.ndarray:
        """Natural log-probabilities of every token that is lost.

        Args:
            tokens: int array (n,), LOST where unknown.
            cmi: class label, or None.

        Returns:
            float32 array (lost tokens, codebook_size), in the tokens' order.
        """

    def require_fit(self, frame: TokenFrame) -> None:
        """Raise ModelError unless the model can work on the frame."""
        if frame.codebook != self.codebook or frame.codebook_size != self.codebook_size:
            raise ModelError(
                f"frame {frame.frame_id} holds tokens of codebook {frame.codebook} ({frame.codebook_size} words); "
                f"this model predicts those of {self.codebook} ({self.codebook_size} words)"
            )
        if self.grid is not None and frame.grid != self.grid:
            shapes = " x ".join(map(str, frame.grid)), " x ".join(map(str, self.grid))
            raise ModelError(f"frame {frame.frame_id} is a grid of {shapes[0]} tokens; this model takes {shapes[1]}")
        if frame.cmi is not None and not 0 <= frame.cmi < self.num_classes:
            raise ModelError(
                f"frame {frame.frame_id} has CMI label {frame.cmi}; this model knows 0 to {self.num_classes - 1}"
            )
