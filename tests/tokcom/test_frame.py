import pickle
from copy import deepcopy
from dataclasses import replace

import numpy as np
import pytest

from tokcom.errors import FrameError, TokcomError
from tokcom.frame import LOST, TokenFrame


def test_a_frame_knows_its_losses_and_its_line_grid():
    frame = TokenFrame(np.array([1, LOST, 3]), "words", 10)
    assert frame.lost.tolist() == [False, True, False] and frame.grid == (3,) and frame.tokens.dtype == np.int32
    whole = frame.with_tokens(np.array([1, 2, 3]))
    assert not whole.lost.any() and whole.codebook == "words"


def test_frames_are_values():
    one, same = (TokenFrame(np.arange(4), "words", 10, frame_id=3) for _ in range(2))
    assert one == same and hash(one) == hash(same) and len({one, same}) == 1 and one != "words"
    for other in (
        one.with_tokens(np.arange(4)[::-1]), replace(one, frame_id=4), replace(one, cmi=1), replace(one, grid=(2, 2)),
        replace(one, codebook="others"), replace(one, codebook_size=11), replace(one, modality="text"),
    ):  # fmt: skip
        assert other != one
    assert pickle.loads(pickle.dumps(one)) == one == deepcopy(one)


@pytest.mark.parametrize("dtype", [np.int32, np.int64, np.uint16])
def test_nobody_changes_a_frame_afterwards(dtype):
    tokens = np.arange(4, dtype=dtype)
    frame = TokenFrame(tokens, "words", 10)
    tokens[0] = 5000
    assert frame.tokens.tolist() == [0, 1, 2, 3] and frame.tokens.dtype == np.int32
    with pytest.raises(ValueError, match="read-only"):
        frame.tokens[0] = 1


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
