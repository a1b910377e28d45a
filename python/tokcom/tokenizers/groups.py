"""Groups of a video's frames that are sent as one: a grid whose first side is time."""

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from tokcom.errors import FrameError
from tokcom.frame import GROUP_DIMENSIONS, MAX_TOKENS, TokenFrame

MAX_GROUP = 16
"""Largest number of frames in a group."""


def is_group(frame: TokenFrame) -> bool:
    """Tell whether a frame is a group: without residual quantizers, a grid of three sides."""
    return frame.quantizers == 1 and len(frame.grid) == GROUP_DIMENSIONS


def joined(frames: Sequence[TokenFrame]) -> TokenFrame:
    """Join successive frames of a video to a group.

    Args:
        frames: at least one frame of a 2-D grid, and at most MAX_GROUP; each but the first follows the one before.

    Returns:
        The group, with the number and the label of its first frame, which says what it follows; a single frame as it
        is.

    Raises:
        FrameError: the frames are no such sequence.
    """
    first = frames[0] if frames else None
    if first is None or len(frames) > MAX_GROUP or len(frames) * len(first.tokens) > MAX_TOKENS:
        raise FrameError(f"a group has {len(frames)} frames; it must have 1 to {MAX_GROUP}, and {MAX_TOKENS} tokens")
    if len(frames) == 1:
        return first
    if len(first.grid) != GROUP_DIMENSIONS - 1 or first.quantizers > 1:
        raise FrameError(f"frame {first.frame_id} is a grid {first.grid}; those of a group have two sides")
    for number, frame in enumerate(frames[1:], start=1):
        alike = replace(frame, tokens=first.tokens) if frame.grid == first.grid else None
        if alike != replace(first, frame_id=first.frame_id + number, follows=1):
            raise FrameError(f"frame {frame.frame_id} is not the one that follows frame {first.frame_id + number - 1}")
    return replace(first, tokens=np.concatenate([each.tokens for each in frames]), grid=(len(frames), *first.grid))


def last_number(frame: TokenFrame) -> int:
    """Return the number of a group's last frame; any other frame's own."""
    return frame.frame_id + (frame.grid[0] - 1 if is_group(frame) else 0)


def frames_of(frame: TokenFrame) -> tuple[TokenFrame, ...]:
    """Split a group into its frames, each of which follows the one before; any other frame is its only one."""
    if not is_group(frame):
        return (frame,)
    return tuple(
        replace(
            frame, tokens=tokens, grid=frame.grid[1:], frame_id=frame.frame_id + number,
            follows=1 if number else frame.follows,
        )
        for number, tokens in enumerate(frame.tokens.reshape(frame.grid[0], -1))
    )  # fmt: skip
