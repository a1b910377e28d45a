import numpy as np
import pytest

from tokcom.errors import FrameError, TokcomError
from tokcom.frame import LOST, TokenFrame


def test_a_frame_knows_its_losses_and_its_line_grid():
    frame = TokenFrame(np.array([1, LOST, 3]), "words", 10)
    assert frame.lost.tolist() == [False, True, False] and frame.grid == (3,) and frame.tokens.dtype == np.int32
    whole = frame.with_tokens(np.array([1, 2, 3]))
    assert not whole.lost.any() and whole.codebook == "words"


@pytest.mark.parametrize(
    ("tokens", "size", "grid", "message"),
    [
        (np.array([0, 10]), 10, (), "token 1 is 10, outside codebook words of 10 words"),
        (np.array([-2]), 10, (), "token 0 is -2"),
        (np.zeros((2, 2), int), 10, (), r"\(2, 2\)"),
        (np.zeros(3), 10, (), "float64"),
        (np.zeros(0, int), 10, (), r"\(0,\)"),
        (np.zeros(6, int), 10, (2, 2), "6 tokens do not fill a grid of 2 x 2"),
        (np.zeros(6, int), 1, (), "codebook_size is 1"),
        (np.zeros(6, int), (1 << 18) + 1, (), "262145"),
    ],
)
def test_bad_frames_are_named(tokens, size, grid, message):
    with pytest.raises(FrameError, match=message) as caught:
        TokenFrame(tokens, "words", size, grid)
    assert isinstance(caught.value, TokcomError)
