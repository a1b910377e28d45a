"""Pictures as tokens of a VQ codebook, and back."""

from collections.abc import Callable

import numpy as np
import torch
from torch import Tensor

from tokcom.errors import FrameError, ParameterError, PictureError
from tokcom.frame import LOST, TokenFrame
from tokcom.tokenizers.pictures import square
from tokcom.tokenizers.rate_distortion import RateDistortionSearch
from tokcom.tokenizers.vq_network import VQAutoencoder, as_input

LOST_GREY = 128
AT_ONCE = {"cpu": 1, "cuda": 32}
"""Pictures that go through the network together, by type of device; fewer are filled up. Sums of another number of
pictures are rounded otherwise, and tokens would depend on what a picture is beside."""


class VQTokenizer:
    """A trained `VQAutoencoder` as a tokenizer: a function of the picture and of what is given here.

    Args:
        network: the network, in evaluation mode; where it lies, it runs.
        codebook: name of its codebook.
        search: what improves the encoder's tokens; None: they stay.
        visits: of the search, to every picture; 0: the encoder's tokens stay.

    Raises:
        ParameterError: visits that are none, or without a search.
    """

    def __init__(
        self, network: VQAutoencoder, codebook: str, search: RateDistortionSearch | None = None, visits: int = 0
    ):
        if visits < 0 or (visits and search is None):
            raise ParameterError(f"{visits} visits to every picture; without a search 0, with one at least 0")
        config = network.config
        self.search, self.visits = search, visits
        self.network = network
        self.codebook = codebook
        self.codebook_size = config.codebook_size
        self.image_size = config.image_size
        self.grid = (config.image_size // config.patch_size,) * 2

    def tokenize(self, picture: np.ndarray, *, cmi: int | None = None, frame_id: int = 0) -> TokenFrame:
        """The tokens of a picture's central square.

        Args:
            picture: uint8 (height, width, 3).
            cmi: class label that travels with it.
            frame_id: running number.

        Raises:
            PictureError: the array is not a picture.
        """
        tokens = self.encode(square(picture, self.image_size)[None])[0]
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
        return self._together(self._encoded, as_input(np.ascontiguousarray(pictures))).numpy().astype(np.int32)

    def decode(self, tokens: np.ndarray) -> np.ndarray:
        """uint8 pictures (batch, image_size, image_size, 3) of whole token grids (batch, rows, columns)."""
        return self._together(self._decoded, torch.from_numpy(tokens.astype(np.int64))).numpy()

    def _encoded(self, pictures: Tensor) -> Tensor:
        with torch.no_grad():
            tokens = self.network.encode(pictures.to(self.network.codebook.dtype))
        return self.search.improve(pictures, tokens, self.visits) if self.visits else tokens

    def _decoded(self, tokens: Tensor) -> Tensor:
        with torch.inference_mode():
            pictures = self.network.decode(tokens).float()
            return ((pictures.clamp(-1, 1) + 1) * 127.5).round().byte().permute(0, 2, 3, 1).contiguous()

    def _together(self, work: Callable[[Tensor], Tensor], batch: Tensor) -> Tensor:
        """Let as many go through the network together as `AT_ONCE` says, whatever the batch's size."""
        device = self.network.codebook.device
        count, done = AT_ONCE[device.type], []
        for start in range(0, len(batch), count):
            part = batch[start : start + count]
            filled = torch.cat([part, part[-1:].expand(count - len(part), *part.shape[1:])])
            done.append(work(filled.to(device))[: len(part)].cpu())
        return torch.cat(done)

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
