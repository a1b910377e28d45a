"""Prior of pictures and videos: a frame by itself, or given the one before; and groups of successive frames."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from itertools import groupby
from math import prod
from typing import TYPE_CHECKING

import numpy as np

from tokcom.context.condition import Condition
from tokcom.context.prediction import Prediction
from tokcom.context.prior import ANY, Prior
from tokcom.errors import ModelError
from tokcom.frame import LOST, TokenFrame
from tokcom.tokenizers.groups import MAX_GROUP, frames_of, is_group

if TYPE_CHECKING:
    from torch import nn


class PictureOrVideo(Prior):
    """Prior that predicts a frame by one network if it stands alone, and by another if the one before is known.

    In a group, each frame is predicted from the one before; where that is unknown, from the last one that is known.

    Args:
        alone: prior of pictures, of order ANY.
        following: prior of frames that follow another, of the same codebook, or a function that loads it.

    Raises:
        ModelError: a prior is not of order ANY.
    """

    def __init__(self, alone: Prior, following: Prior | Callable[[], Prior]):
        if alone.order != ANY:
            raise ModelError(f"frames that follow another need a prior of order {ANY!r}, not {alone.order!r}")
        self.alone, self._following = alone, following
        self.codebook, self.codebook_size, self.grid = alone.codebook, alone.codebook_size, alone.grid
        self.num_classes, self.at_once = alone.num_classes, alone.at_once
        self.takes = alone.takes | {"before"}

    @property
    def following(self) -> Prior:
        """Prior of frames that follow another, loaded on first access."""
        if not isinstance(self._following, Prior):
            self._following = self._following()
        return self._following

    @property
    def network(self) -> "nn.Module":
        """Network of frames that stand alone."""
        return self.alone.network

    @property
    def n_bytes(self) -> int:
        """Bytes of the loaded networks in memory."""
        return self.alone.n_bytes + (self._following.n_bytes if isinstance(self._following, Prior) else 0)

    def log_probabilities(
        self, tokens: np.ndarray, wanted: np.ndarray, conditions: Sequence[Condition]
    ) -> np.ndarray:  # fmt: skip
        return self.predict(tokens, wanted, conditions).log_probability

    def predict(
        self, tokens: np.ndarray, wanted: np.ndarray, conditions: Sequence[Condition], top: int | None = None
    ) -> Prediction:
        if tokens.shape[1] > prod(self.grid):
            rows = [each for row in zip(tokens, wanted, conditions, strict=True) for each in self._frames(*row)]
            tokens, wanted = (np.stack(arrays) for arrays in list(zip(*rows, strict=True))[:2])
            conditions = [each for _, _, each in rows]
        parts, start = [], 0
        for follows, run in groupby(each.before is not None for each in conditions):
            rows = slice(start, start + len(list(run)))
            prior = self.following if follows else self.alone
            parts.append(prior.predict(tokens[rows], wanted[rows], conditions[rows], top))
            start = rows.stop
        return parts[0] if len(parts) == 1 else Prediction.joined(parts)

    def require_fit(self, frame: TokenFrame, condition: Condition) -> None:
        if is_group(frame) and frame.grid[0] <= MAX_GROUP:
            frame = frames_of(frame)[0]
        super().require_fit(frame, condition)
        require_alike(frame, condition)

    def _frames(
        self, tokens: np.ndarray, wanted: np.ndarray, condition: Condition
    ) -> Iterator[tuple[np.ndarray, np.ndarray, Condition]]:
        """Split a group (n,) into its frames with wanted tokens, each with its condition."""
        size = prod(self.grid)
        known = np.full(size, LOST, np.int32) if condition.before is None else condition.before.tokens
        for frame, asked in zip(tokens.reshape(-1, size), wanted.reshape(-1, size), strict=True):
            if asked.any():
                before = None
                if (known != LOST).any():
                    before = TokenFrame(known, self.codebook, self.codebook_size, self.grid)
                yield frame, asked, replace(condition, before=before)
            known = np.where(frame == LOST, known, frame)


def require_alike(frame: TokenFrame, condition: Condition) -> None:
    """Raise ModelError unless the frame before, if given, has the frame's codebook and grid."""
    before = condition.before
    if before is not None and (before.codebook, before.grid) != (frame.codebook, frame.grid):
        raise ModelError(
            f"frame {frame.frame_id} ({frame.codebook}, grid {frame.grid}) cannot follow frame {before.frame_id} "
            f"({before.codebook}, grid {before.grid}): codebook and grid must be the same"
        )
