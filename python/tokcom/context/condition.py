"""Condition: a receiver's side information about a frame, on which a prior's predictions are conditioned."""

from dataclasses import dataclass, fields

import numpy as np

from tokcom.context.description import point_of, sentence_of
from tokcom.errors import ParameterError
from tokcom.frame import TokenFrame


@dataclass(frozen=True, eq=False)
class Condition:
    """Cross-modal and other side information, None where unknown; compared by content.

    Args:
        label: number of a class, at least 0.
        text: a sentence that describes the frame.
        embedding: float (width,), a point in the space of a prior's conditions; the condition keeps a copy.
        before: the previous frame of the same stream.

    Raises:
        ParameterError: the label is negative, or the embedding is not a 1-D array of finite numbers.
    """

    label: int | None = None
    text: str | None = None
    embedding: np.ndarray | None = None
    before: TokenFrame | None = None

    def __post_init__(self) -> None:
        if self.label is not None and self.label < 0:
            raise ParameterError(f"label is {self.label}; it must be at least 0")
        if self.embedding is not None:
            own = np.array(self.embedding, np.float32)
            if own.ndim != 1 or not own.size or not np.isfinite(own).all():
                raise ParameterError(
                    f"an embedding must be a 1-D array of finite numbers, not an array of shape {own.shape}"
                )
            own.flags.writeable = False
            object.__setattr__(self, "embedding", own)

    def __eq__(self, other: object) -> bool:
        return self._content() == other._content() if isinstance(other, Condition) else NotImplemented

    def __hash__(self) -> int:
        return hash(self._content())

    def _content(self) -> tuple:
        embedding = None if self.embedding is None else self.embedding.tobytes()
        return self.label, self.text, embedding, self.before

    @classmethod
    def of(cls, frame: TokenFrame) -> "Condition":
        """Make the condition sent with a frame: its label and its description."""
        if not frame.description:
            return cls(label=frame.cmi) if frame.cmi is not None else NOTHING
        return cls(frame.cmi, sentence_of(frame.description), point_of(frame.description))

    @property
    def kinds(self) -> frozenset[str]:
        """Names of the known fields."""
        return frozenset(each.name for each in fields(self) if getattr(self, each.name) is not None)


NOTHING = Condition()
"""Condition without any side information."""
