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
"""Pictures per call of the network, by type of device; smaller batches are padded. With other batch sizes sums round
differently, and a picture's tokens would depend on the rest of its batch."""


class VQTokenizer:
    """Tokenizer made of a trained `VQAutoencoder`: a pure function of the picture and of these arguments.

    Args:
        network: the network, in evaluation mode; it runs on the device that holds it.
        codebook: identity of its codebook.
        search: search that improves the encoder's tokens; None for none.
        visits: number of search passes per picture; 0 keeps the encoder's tokens.

    Raises:
        ParameterError: `visits` is negative, or positive without a search.
    """

    def __init__(
        self, network: VQAutoencoder, codebook: str, search: RateDistortionSearch | None = None, visits: int = 0
    ):
        if visits < 0 or (visits and search is None):
            raise ParameterError(f"visits is {visits}; it must be 0 without a search, and at least 0 with one")
        config = network.config
        self.search, self.visits = search, visits
        self.network = network
        self.codebook = codebook
        self.codebook_size = config.codebook_size
        self.image_size = config.image_size
        self.grid = (config.image_size // config.patch_size,) * 2

    def tokenize(self, picture: np.ndarray, *, cmi: int | None = None, frame_id: int = 0) -> TokenFrame:
        """Tokenize a picture's central square.

        Args:
            picture: uint8 (height, width, 3).
            cmi: class label to send with the picture.
            frame_id: number of the frame.

        Raises:
            PictureError: the array is not a picture.
        """
        tokens = self.encode(square(picture, self.image_size)[None])[0]
        return TokenFrame(tokens.flatten(), self.codebook, self.codebook_size, self.grid, "image", cmi, frame_id)

    def encode(self, pictures: np.ndarray) -> np.ndarray:
        """Encode uint8 pictures (batch, image_size, image_size, 3) to int32 tokens (batch, rows, columns).

        Raises:
            PictureError: the pictures have another shape.
        """
        size = self.image_size
        if pictures.dtype != np.uint8 or pictures.ndim != 4 or pictures.shape[1:] != (size, size, 3):
            raise PictureError(
                f"the tokenizer takes uint8 pictures (batch, {size}, {size}, 3), not {pictures.dtype} {pictures.shape}"
            )
        return self._together(self._encoded, as_input(np.ascontiguousarray(pictures))).numpy().astype(np.int32)

    def decode(self, tokens: np.ndarray) -> np.ndarray:
        """Decode whole token grids (batch, rows, columns) to uint8 pictures (batch, image_size, image_size, 3)."""
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
        """Run the network on `AT_ONCE` pictures per call, whatever the batch's size."""
        device = self.network.codebook.device
        count, done = AT_ONCE[device.type], []
        for start in range(0, len(batch), count):
            part = batch[start : start + count]
            filled = torch.cat([part, part[-1:].expand(count - len(part), *part.shape[1:])])
            done.append(work(filled.to(device))[: len(part)].cpu())
        return torch.cat(done)

    def detokenize(self, frame: TokenFrame) -> np.ndarray:
        """Decode a frame to a picture, uint8 (image_size, image_size, 3); patches of lost tokens are plain grey.

        Raises:
            FrameError: the frame has another codebook or grid.
        """
        if (frame.codebook, frame.codebook_size, frame.grid) != (self.codebook, self.codebook_size, self.grid):
            raise FrameError(
                f"frame {frame.frame_id} ({frame.codebook}, {frame.codebook_size} words, grid {frame.grid}) is not "
                f"this tokenizer's ({self.codebook}, {self.codebook_size} words, grid {self.grid})"
            )
        tokens = frame.tokens.reshape(self.grid)
        lost = tokens == LOST
        # The decoder's receptive field exceeds a patch: a lost token's substitute shows in its neighbours.
        picture = self.decode(_bridge(tokens)[None])[0]
        if lost.any():
            side = self.image_size // self.grid[0]
            picture[np.kron(lost, np.ones((side, side), dtype=bool))] = LOST_GREY
        return picture


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
