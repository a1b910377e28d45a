import numpy as np
import pytest
import torch

from tokcom.errors import FrameError, PictureError
from tokcom.frame import LOST, TokenFrame
from tokcom.models.zoo import load_tokenizer


@pytest.fixture
def tokenizer(tiny_model):
    return load_tokenizer(str(tiny_model))


@pytest.fixture
def picture():
    return np.random.default_rng(0).integers(0, 256, (40, 20, 3), dtype=np.uint8)


def test_tokens_of_any_picture_fill_the_grid(tokenizer, picture):
    frame = tokenizer.tokenize(picture, cmi=2, frame_id=9)
    assert (frame.grid, frame.codebook, frame.codebook_size, frame.cmi, frame.frame_id) == (
        (4, 4),
        tokenizer.codebook,
        32,
        2,
        9,
    )
    assert tokenizer.detokenize(frame).shape == (16, 16, 3)


def test_frames_of_many_pictures_are_those_of_each(tokenizer):
    pictures = np.random.default_rng(1).integers(0, 256, (3, 16, 16, 3), dtype=np.uint8)
    tokens = tokenizer.encode(pictures)
    for labels in (None, [1, None, 2]):
        for number, (frame, picture) in enumerate(zip(tokenizer.frames(tokens, labels), pictures, strict=True)):
            label = None if labels is None else labels[number]
            alone = tokenizer.tokenize(picture, cmi=label, frame_id=number)
            np.testing.assert_array_equal(frame.tokens, alone.tokens)
            assert (frame.cmi, frame.frame_id, frame.grid) == (label, number, alone.grid)


def test_the_nearest_code_is_chosen(tokenizer):
    latents = torch.nn.functional.normalize(torch.randn(50, 8), dim=1)
    distance = torch.cdist(latents, tokenizer.network.codebook)
    assert torch.equal(tokenizer.network.quantize(latents), distance.argmin(1))


def test_lost_tokens_come_out_grey_and_nowhere_else(tokenizer, picture):
    frame = tokenizer.tokenize(picture)
    tokens = frame.tokens.copy()
    tokens[[0, 15]] = LOST
    shown = tokenizer.detokenize(frame.with_tokens(tokens))
    assert (shown[:4, :4] == 128).all() and (shown[12:, 12:] == 128).all()
    assert not (shown[4:12, 4:12] == 128).all()


def test_a_frame_with_nothing_left_is_all_grey(tokenizer):
    frame = TokenFrame(np.full(16, LOST), tokenizer.codebook, 32, (4, 4))
    assert (tokenizer.detokenize(frame) == 128).all()


def test_what_does_not_fit_is_named(tokenizer):
    with pytest.raises(FrameError, match="other"):
        tokenizer.detokenize(TokenFrame(np.zeros(16, int), "other", 32, (4, 4)))
    with pytest.raises(FrameError, match=r"grid \(2, 8\)"):
        tokenizer.detokenize(TokenFrame(np.zeros(16, int), tokenizer.codebook, 32, (2, 8)))
    with pytest.raises(PictureError, match=r"16, 16"):
        tokenizer.encode(np.zeros((1, 8, 8, 3), np.uint8))
