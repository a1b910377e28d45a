"""Frames of videos as tokens, each chosen in view of the frame before.

Where a patch of the previous frame still shows what is there, its token stays. The search for tokens then counts a
token's cost by the prior that sees the frame before. Fewer tokens change, and those that do are easier to predict.
Where the picture itself is still, what the receiver shows should be still as well: there the tokens are to show a
mixture of the picture and of what is shown already, which costs no quality that could be seen, and flickers less.
"""

from collections.abc import Callable

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

from tokcom.errors import ParameterError
from tokcom.frame import TokenFrame
from tokcom.tokenizers.pictures import square
from tokcom.tokenizers.rate_distortion import RateDistortionSearch, TokenLogits
from tokcom.tokenizers.vq import VQTokenizer
from tokcom.tokenizers.vq_network import as_input

CUT = 1.2
"""Squared difference to the frame before, relative to a frame's variance, from which it stands alone: in DAVIS's
training half, 93% of frames differ less from the one or two before, and 99.6% of frames of other videos more."""
STAY, SLACK = 1.3, 7e-4
"""A token stays where its patch's mean squared error is at most the new token's times STAY plus SLACK."""

STILL, HOLD = 5.0, 3.0
"""Change of a pixel from picture to picture, in grey levels, from which it counts as moving; and the weight of what is
shown already, relative to the picture's, where a pixel does not change at all. Between the two the weight falls
linearly."""


class VideoTokenizer:
    """Tokenizer of a video's frames: a function of the frame, of the tokens of the one before and of the settings.

    Args:
        tokenizer: tokenizer of frames that stand alone.
        following: function that makes the prior of a frame from the tokens of the one before, int64 (1, tokens).
        rate: weight of one bit per token in the search, in nepers of a frame's mean squared error.
        visits: search passes per frame, at least 0.

    Raises:
        ParameterError: `visits` is below 0.
    """

    def __init__(self, tokenizer: VQTokenizer, following: Callable[[Tensor], TokenLogits], rate: float, visits: int):
        if visits < 0:
            raise ParameterError(f"visits is {visits}; it must be at least 0")
        self.tokenizer, self.following, self.rate, self.visits = tokenizer, following, rate, visits
        self.image_size, self.codebook = tokenizer.image_size, tokenizer.codebook

    def tokenize(
        self, picture: np.ndarray, before: TokenFrame | None = None, *, cmi: int | None = None, frame_id: int = 0,
        follows: int = 1, picture_before: np.ndarray | None = None,
    ) -> TokenFrame:  # fmt: skip
        """Tokenize a frame's central square.

        Args:
            picture: uint8 (height, width, 3).
            before: the frame before, as sent; None to have the frame stand alone.
            cmi: class label to send with the frame.
            frame_id: number of the frame.
            follows: frames back to `before`, 1 to 255.
            picture_before: the picture that `before` shows, uint8 (height, width, 3), which tells what is still; None
                if it is unknown.

        Returns:
            The frame; its `follows` is 0 if it stands alone, as the first of a scene does.

        Raises:
            PictureError: the array is not a picture.
            FrameError: `follows` is out of its range.
        """
        shown = square(picture, self.image_size)
        if before is not None:
            earlier = None if picture_before is None else as_input(square(picture_before, self.image_size)[None])
            old = torch.from_numpy(before.tokens.astype(np.int64))
            tokens = self._after(as_input(shown[None]), old, earlier)
            if tokens is not None:
                size, grid = self.tokenizer.codebook_size, self.tokenizer.grid
                return TokenFrame(tokens, self.codebook, size, grid, "image", cmi, frame_id, follows=follows)
        return self.tokenizer.tokenize(shown, cmi=cmi, frame_id=frame_id)

    def _after(self, pictures: Tensor, before: Tensor, earlier: Tensor | None) -> np.ndarray | None:
        """Choose the tokens of a frame (1, 3, size, size) after others, (tokens,), which show `earlier`; None if a new
        scene begins."""
        network = self.tokenizer.network
        device, rows, columns = network.codebook.device, *self.tokenizer.grid
        pictures, old = pictures.to(device), before.to(device).reshape(1, rows, columns)
        with torch.no_grad():
            shown = network.decode(old).float()
            spread = (pictures - pictures.mean((2, 3), keepdim=True)).square().mean()
            if (shown - pictures).square().mean() > CUT * spread:
                return None
            weights: Tensor | float = 1.0
            if earlier is not None:
                pictures, weights = steadied(pictures, earlier.to(device), shown)
            new = network.encode(pictures.to(network.codebook.dtype))
            error_old, error_new = (
                weights * (each - pictures).square() for each in (shown, network.decode(new).float())
            )
            side = network.config.patch_size
            patch_old, patch_new = (F.avg_pool2d(each.mean(1), side) for each in (error_old, error_new))
            tokens = torch.where(patch_old <= STAY * patch_new + SLACK, old, new)
        if self.visits:
            prior = self.following(old.flatten(1))
            tokens = RateDistortionSearch(network, prior, self.rate).improve(
                pictures, tokens, self.visits, weights=weights
            )
        return tokens.flatten().cpu().numpy().astype(np.int32)


def steadied(pictures: Tensor, earlier: Tensor, shown: Tensor) -> tuple[Tensor, Tensor]:
    """Mix pictures with what is shown already where they are still, and weigh the pixels' errors.

    The squared error to the picture plus w times that to what is shown is, up to a constant, 1 + w times that to their
    weighted mean.

    Args:
        pictures: float (batch, 3, height, width) in [-1, 1].
        earlier: the pictures before.
        shown: what the tokens of those before decode to.

    Returns:
        Pictures to represent, and weights of the squared errors, (batch, 1, height, width).
    """
    change = 127.5 * (pictures - earlier).abs().amax(1, keepdim=True)
    weight = HOLD * (1 - change / STILL).clamp(min=0)
    return (pictures + weight * shown) / (1 + weight), 1 + weight
