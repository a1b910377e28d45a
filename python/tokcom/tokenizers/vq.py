"""Pictures as tokens of a VQ codebook, and back."""

import hashlib
from collections import OrderedDict

import numpy as np
import torch

from tokcom.errors import FrameError, ParameterError, PictureError
from tokcom.frame import LOST, TokenFrame
from tokcom.tokenizers.pictures import square
from tokcom.tokenizers.rate_distortion import RateDistortionSearch
from tokcom.tokenizers.vq_network import VQAutoencoder, as_input

LOST_GREY = 128
KEPT = 4096
"""Pictures whose tokens are remembered, so that a picture sent again is not searched again from the beginning."""


class VQTokenizer:
    """A trained `VQAutoencoder` as a tokenizer.

    Args:
        network: the network, in evaluation mode.
        codebook: name of its codebook.
        search: what improves the encoder's tokens; None: they stay.
        visits: of the search, to every picture; 0: the encoder's tokens stay.
        at_once: how many of them each time that `tokenize` sees a picture; None: all the first time.

    Raises:
        ParameterError: visits that are none, or without a search.
    """

    def __init__(
        self, network: VQAutoencoder, codebook: str, search: RateDistortionSearch | None = None, visits: int = 0,
        at_once: int | None = None,
    ):  # fmt: skip
        if visits < 0 or (visits and search is None):
            raise ParameterError(f"{visits} visits to every picture; without a search 0, with one at least 0")
        if at_once is not None and at_once < 1:
            raise ParameterError(f"{at_once} visits at once; at least 1, or None for all")
        config = network.config
        self.search, self.visits, self.at_once = search, visits, visits if at_once is None else at_once
        self._known: OrderedDict[bytes, tuple[np.ndarray, int]] = OrderedDict()
        self.network = network
        self.codebook = codebook
        self.codebook_size = config.codebook_size
        self.image_size = config.image_size
        self.grid = (config.image_size // config.patch_size,) * 2

    def tokenize(self, picture: np.ndarray, *, cmi: int | None = None, frame_id: int = 0) -> TokenFrame:
        """The tokens of a picture's central square; those of a picture that comes again are better, until it has had
        all its visits.

        Args:
            picture: uint8 (height, width, 3).
            cmi: class label that travels with it.
            frame_id: running number.

        Raises:
            PictureError: the array is not a picture.
        """
        cut = square(picture, self.image_size)
        key = hashlib.blake2b(cut.tobytes(), digest_size=16).digest()
        tokens, visited = self._known.pop(key, (None, 0))
        if tokens is None or visited < self.visits:
            more = min(self.at_once, self.visits - visited)
            tokens, visited = self._searched(cut[None], tokens, visited, more)[0], visited + more
        self._known[key] = tokens, visited
        if len(self._known) > KEPT:
            self._known.popitem(last=False)
        return TokenFrame(tokens.flatten(), self.codebook, self.codebook_size, self.grid, "image", cmi, frame_id)

    def encode(self, pictures: np.ndarray) -> np.ndarray:
        """int32 tokens (batch, rows, columns) of uint8 pictures (batch, image_size, image_size, 3).

        Raises:
            PictureError: the pictures are of another shape.
        """
        size = self.image_size
        if pictures.dtype != np.uint8 or pictures.ndim != 4 or pictures.shape[1:] != (size, size, 3):
            raise PictureError(
                f"the tokenizer takes uint8 pictures (batch, {size}, {size}, 3), not {pictures.dtype} {pictures.shape}"
            )
        return self._searched(pictures, None, 0, self.visits)

    def _searched(self, pictures: np.ndarray, tokens: np.ndarray | None, visited: int, visits: int) -> np.ndarray:
        """Tokens of pictures after some visits more; the encoder's, where there are none yet, begin."""
        scaled = as_input(pictures)
        if tokens is None:
            with torch.no_grad():
                found = self.network.encode(scaled)
        else:
            found = torch.from_numpy(tokens[None].astype(np.int64))
        if visits:
            found = self.search.improve(scaled, found, visits, visited)
        return found.numpy().astype(np.int32)

    def decode(self, tokens: np.ndarray) -> np.ndarray:
        """uint8 pictures (batch, image_size, image_size, 3) of whole token grids (batch, rows, columns)."""
        with torch.inference_mode():
            pictures = self.network.decode(torch.from_numpy(tokens.astype(np.int64)))
        return ((pictures.clamp(-1, 1) + 1) * 127.5).round().byte().permute(0, 2, 3, 1).contiguous().numpy()

    def detokenize(self, frame: TokenFrame) -> np.ndarray:
        """The picture of a frame, uint8 (image_size, image_size, 3); patches of lost tokens are plain grey.

        Raises:
            FrameError: the frame is of another codebook or grid.
        """
        if (frame.codebook, frame.codebook_size, frame.grid) != (self.codebook, self.codebook_size, self.grid):
            raise FrameError(
                f"frame {frame.frame_id} ({frame.codebook}, {frame.codebook_size} words, grid {frame.grid}) is not "
                f"this tokenizer's ({self.codebook}, {self.codebook_size} words, grid {self.grid})"
            )
        tokens = frame.tokens.reshape(self.grid)
        lost = tokens == LOST
        # The decoder's view reaches beyond a patch: whatever stood for a lost token would show in its neighbours.
        picture = self.decode(_bridge(tokens)[None])[0]
        if lost.any():
            side = self.image_size // self.grid[0]
            picture[np.kron(lost, np.ones((side, side), dtype=bool))] = LOST_GREY
        return picture


def _bridge(tokens: np.ndarray) -> np.ndarray:
    """Tokens with each lost one replaced by the nearest known one (the first of them in raster order); 0 if none is."""
    known = np.argwhere(tokens != LOST)
    if not len(known):
        return np.zeros_like(tokens)
    bridged = tokens.copy()
    for row, column in np.argwhere(tokens == LOST):
        nearest = known[np.abs(known - (row, column)).sum(axis=1).argmin()]
        bridged[row, column] = tokens[tuple(nearest)]
    return bridged
