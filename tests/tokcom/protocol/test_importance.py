"""What a guess costs a picture, against a prior and a tokenizer whose answers are known."""

import numpy as np
import pytest

from tokcom.context.prior import Prior
from tokcom.errors import FrameError
from tokcom.frame import LOST, TokenFrame
from tokcom.protocol.importance import guess_errors
from tokcom.tokenizers.picture_tokenizer import PictureTokenizer


class Threes(Prior):
    """Guesses 3 everywhere."""

    codebook, codebook_size, grid = "grey", 16, (4, 4)

    def log_probabilities(self, tokens, wanted, conditions):
        logs = np.full((int(wanted.sum()), 16), -9.0, np.float32)
        logs[:, 3] = -0.1
        return logs


class Greys(PictureTokenizer):
    """Shows token n as a patch of grey 10 n."""

    codebook, codebook_size, grid, image_size = "grey", 16, (4, 4), 8

    def encode(self, pictures):
        return (pictures[:, ::2, ::2, 0] // 10).astype(np.int32)

    def decode(self, tokens):
        grey = np.repeat(np.repeat(tokens * 10, 2, 1), 2, 2)
        return np.repeat(grey[..., None], 3, 3).astype(np.uint8)


FRAME = TokenFrame(np.arange(16), "grey", 16, (4, 4))


def test_errors_are_those_of_the_guess():
    errors = guess_errors(Threes(), Greys(), FRAME, passes=4)
    assert errors == pytest.approx((10.0 * (np.arange(16) - 3)) ** 2)


def test_a_frame_with_losses_is_refused():
    with pytest.raises(FrameError, match="1 tokens of frame 0 are lost"):
        guess_errors(Threes(), Greys(), FRAME.with_tokens(np.where(np.arange(16) == 5, LOST, FRAME.tokens)))
