"""Frames before the present one, which inform priors that take them."""

from collections import OrderedDict

import numpy as np

from tokcom.context.condition import Condition
from tokcom.frame import MAX_TOKENS, TokenFrame
from tokcom.packets.header import FRAME_IDS

STREAMS = 64
"""Streams that are remembered."""


class FrameHistory:
    """The end of each stream, as a condition of its next frame.

    Args:
        columns: length of the last axis of the grid that is kept, at least 1.
    """

    def __init__(self, columns: int = 64):
        self._columns = columns
        self._ends: OrderedDict[tuple, TokenFrame] = OrderedDict()

    def condition(self, stream_id: int, frame: TokenFrame) -> Condition:
        """Make the condition of a frame: its label, and what came before it, unless a frame is missing in between."""
        before = self._ends.get(_key(stream_id, frame))
        if before is not None and (before.frame_id + 1) % FRAME_IDS != frame.frame_id % FRAME_IDS:
            before = None
        return Condition(label=frame.cmi, before=before)

    def remember(self, stream_id: int, frame: TokenFrame) -> None:
        """Add a frame to the end of its stream."""
        key, before = _key(stream_id, frame), self.condition(stream_id, frame).before
        tokens = frame.tokens.reshape(frame.grid)
        if before is not None:
            tokens = np.concatenate([before.tokens.reshape(before.grid), tokens], axis=-1)
        tokens = tokens[..., -self._columns :]
        self._ends.pop(key, None)
        if tokens.size <= MAX_TOKENS:
            self._ends[key] = TokenFrame(
                tokens.ravel(), frame.codebook, frame.codebook_size, tokens.shape, frame.modality, None, frame.frame_id,
                frame.quantizers, frame.sizes,
            )  # fmt: skip
        while len(self._ends) > STREAMS:
            self._ends.popitem(last=False)


def _key(stream_id: int, frame: TokenFrame) -> tuple:
    return stream_id, frame.codebook, frame.grid[:-1]
