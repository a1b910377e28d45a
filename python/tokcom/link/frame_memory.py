"""Memory of the last frames of streams, which the frames after them continue."""

from collections import OrderedDict
from collections.abc import Hashable
from dataclasses import replace

import numpy as np

from tokcom.context.condition import Condition
from tokcom.errors import ParameterError
from tokcom.frame import TokenFrame
from tokcom.packets.header_fields import FRAME_IDS
from tokcom.tokenizers.groups import frames_of, is_group

COLUMNS = 32
"""Length of the time that is kept of frames of residual quantizers."""
LARGEST = 1 << 16
"""Tokens of the largest frame that is remembered: their number is the transmitter's choice."""


class FrameMemory:
    """Last frames of a number of streams, as recovered: what a frame that `follows` another is predicted from.

    Args:
        max_streams: streams at most, at least 1; those that were silent longest are forgotten.
        frames: last frames of each that are kept, at least 1.

    Raises:
        ParameterError: an argument is below 1.
    """

    def __init__(self, max_streams: int = 64, frames: int = 2):
        for name, value in (("max_streams", max_streams), ("frames", frames)):
            if value < 1:
                raise ParameterError(f"{name} is {value}; it must be at least 1")
        self._max_streams, self._frames = max_streams, frames
        self._streams: OrderedDict[Hashable, OrderedDict[int, TokenFrame]] = OrderedDict()

    def __contains__(self, stream: Hashable) -> bool:
        return stream in self._streams

    def keep(self, stream: Hashable, frame: TokenFrame) -> None:
        """Remember a frame of a stream, with any tokens still LOST; one of residual quantizers together with what it
        continues, whose last axis is time; of a group of pictures, its last one. Frames of more than LARGEST tokens are
        not remembered."""
        if len(frame.tokens) > LARGEST:
            return
        frame = frames_of(frame)[-1]
        if frame.quantizers > 1:
            frame = _joined(self.before(stream, frame), frame)
        kept = self._streams.setdefault(stream, OrderedDict())
        self._streams.move_to_end(stream)
        kept.pop(frame.frame_id % FRAME_IDS, None)
        kept[frame.frame_id % FRAME_IDS] = frame
        while len(kept) > self._frames:
            kept.popitem(last=False)
        while len(self._streams) > self._max_streams:
            self._streams.popitem(last=False)

    def last(self, stream: Hashable) -> TokenFrame | None:
        """Return the last frame that was kept of a stream; None without any."""
        kept = self._streams.get(stream)
        return next(reversed(kept.values())) if kept else None

    def before(self, stream: Hashable, frame: TokenFrame) -> TokenFrame | None:
        """Find the frame that a frame continues; None if it stands alone, or the other is not here or of another
        kind."""
        if not frame.follows:
            return None
        found = self._streams.get(stream, {}).get((frame.frame_id - frame.follows) % FRAME_IDS)
        alike = found is not None and (found.codebook, _shape(found)) == (frame.codebook, _shape(frame))
        return found if alike else None

    def condition(self, stream: Hashable, frame: TokenFrame) -> Condition:
        """Make the condition of a frame: what was sent with it, and the frame before."""
        return replace(Condition.of(frame), before=self.before(stream, frame))


def _shape(frame: TokenFrame) -> tuple[int, ...]:
    """The grid of a frame without time: of residual quantizers the last side, of a group of pictures the first."""
    if frame.quantizers > 1:
        return frame.grid[:-1]
    return frame.grid[1:] if is_group(frame) else frame.grid


def _joined(before: TokenFrame | None, frame: TokenFrame) -> TokenFrame:
    """Join a frame of residual quantizers to the end of what it continues: the last COLUMNS of both."""
    tokens = frame.tokens.reshape(frame.grid)
    if before is not None:
        tokens = np.concatenate([before.tokens.reshape(before.grid), tokens], axis=-1)
    tokens = tokens[..., -COLUMNS:]
    return replace(frame, tokens=tokens.ravel(), grid=tokens.shape)
