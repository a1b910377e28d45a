"""Base class of picture tokenizers, whichever runtime computes their networks."""

from abc import ABC, abstractmethod
from collections.abc import Sequence

import numpy as np

from tokcom.errors import FrameError, PictureError
from tokcom.frame import LOST, TokenFrame
from tokcom.tokenizers.pictures import square

LOST_GREY = 128


class PictureTokenizer(ABC):
    """Square pictures as grids of tokens, and back: a function of the picture and of the tokenizer's settings.

    Attributes:
        codebook: name of its codebook.
        codebook_size: number of words in the codebook.
        image_size: side of its pictures in pixels.
        grid: rows and columns of tokens.
        n_bytes: memory held by its weights.
    """

    codebook: str
    codebook_size: int
    image_size: int
    grid: tuple[int, int]
    n_bytes: int

    @abstractmethod
    def encode(self, pictures: np.ndarray) -> np.ndarray:
        """Encode uint8 pictures (batch, image_size, image_size, 3) to int32 tokens (batch, rows, columns).

        Raises:
            PictureError: the pictures have another shape.
        """

    @abstractmethod
    def decode(self, tokens: np.ndarray) -> np.ndarray:
        """Decode whole token grids (batch, rows, columns) to uint8 pictures (batch, image_size, image_size, 3)."""

    def tokenize(self, picture: np.ndarray, *, cmi: int | None = None, frame_id: int = 0) -> TokenFrame:
        """Tokenize a picture's central square.

        Args:
            picture: uint8 (height, width, 3).
            cmi: class label to send with the picture.
            frame_id: number of the frame.

        Raises:
            PictureError: the array is not a picture.
        """
        return self.frame(self.encode(square(picture, self.image_size)[None])[0], cmi, frame_id)

    def frame(self, tokens: np.ndarray, cmi: int | None = None, frame_id: int = 0) -> TokenFrame:
        """Make the frame of a picture's tokens, int (rows, columns)."""
        return TokenFrame(tokens.flatten(), self.codebook, self.codebook_size, self.grid, "image", cmi, frame_id)

    def frames(self, tokens: np.ndarray, labels: Sequence[int | None] | None = None) -> list[TokenFrame]:
        """Make the frames of several pictures' tokens, int (batch, rows, columns), numbered from 0; with the pictures'
        class labels, if given."""
        labels = [None] * len(tokens) if labels is None else labels
        return [self.frame(own, label, number) for number, (own, label) in enumerate(zip(tokens, labels, strict=True))]

    def detokenize(self, frame: TokenFrame) -> np.ndarray:
        """Decode a frame to a picture, uint8 (image_size, image_size, 3); patches of lost tokens are plain grey. If
        tokens have no patches, the picture fades to grey by the share of lost ones.

        Raises:
            FrameError: the frame has another codebook or grid.
        """
        if (frame.codebook, frame.codebook_size, frame.grid) != (self.codebook, self.codebook_size, self.grid):
            raise FrameError(
                f"frame {frame.frame_id} ({frame.codebook}, {frame.codebook_size} words, grid {frame.grid}) is not "
                f"this tokenizer's ({self.codebook}, {self.codebook_size} words, grid {self.grid})"
            )
        return self._shown(frame.tokens.reshape(self.grid), frame.frame_id)

    def _shown(self, tokens: np.ndarray, frame_id: int) -> np.ndarray:
        """Decode tokens, of the shape of the grid, of which some may be LOST."""
        lost = tokens == LOST
        # The decoder's receptive field exceeds a patch: a lost token's substitute shows in its neighbours.
        picture = self.decode(_bridge(tokens)[None])[0]
        if lost.any():
            side = self.image_size // self.grid[0]
            picture[np.kron(lost, np.ones((side, side), dtype=bool))] = LOST_GREY
        return picture

    def require_pictures(self, pictures: np.ndarray) -> None:
        """Raise PictureError unless these are uint8 pictures (batch, image_size, image_size, 3)."""
        size = self.image_size
        if pictures.dtype != np.uint8 or pictures.ndim != 4 or pictures.shape[1:] != (size, size, 3):
            raise PictureError(
                f"the tokenizer takes uint8 pictures (batch, {size}, {size}, 3), not {pictures.dtype} {pictures.shape}"
            )


def _bridge(tokens: np.ndarray) -> np.ndarray:
    """Replace each lost token by the nearest known one (the first in raster order); by 0 if none is known."""
    known = np.argwhere(tokens != LOST)
    if not len(known):
        return np.zeros_like(tokens)
    bridged = tokens.copy()
    for row, column in np.argwhere(tokens == LOST):
        nearest = known[np.abs(known - (row, column)).sum(axis=1).argmin()]
        bridged[row, column] = tokens[tuple(nearest)]
    return bridged
