import pickle
from copy import deepcopy
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tokcom.errors import FrameError, TokcomError
from tokcom.frame import LOST, BitFrame, TokenFrame


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


def test_a_frame_has_limits():
    with pytest.raises(FrameError, match="1048577 tokens are too many"):
        TokenFrame(np.zeros((1 << 20) + 1, np.int8), "c", 4)
    with pytest.raises(FrameError, match="has 5 dimensions; a frame has at most 4"):
        TokenFrame(np.zeros(2, int), "c", 4, (1, 1, 1, 1, 2))
    with pytest.raises(FrameError, match=r"quantizers is 3; it must be 1, or the first side of the grid \(2, 3\)"):
        TokenFrame(np.zeros(6, int), "c", 4, (2, 3), quantizers=3)
    assert TokenFrame(np.zeros(6, int), "c", 4, (2, 3), quantizers=2) != TokenFrame(np.zeros(6, int), "c", 4, (2, 3))


def test_quantizers_may_have_words_of_their_own():
    def frame(tokens, sizes, quantizers=2):
        return TokenFrame(np.array(tokens), "c", 4, (2, 3), quantizers=quantizers, sizes=sizes)

    assert frame([3, 3, 3, 1, 1, LOST], (4, 2)).limits.tolist() == [4, 4, 4, 2, 2, 2]
    assert frame([3] * 6, (4, 4)) == frame([3] * 6, ()) and frame([1] * 6, (4, 2)) != frame([1] * 6, ())
    with pytest.raises(FrameError, match="token 4 is 2; its quantizer has 2 words"):
        frame([3, 3, 3, 1, 2, 1], (4, 2))
    for sizes, quantizers in (((4,), 2), ((4, 2, 2), 2), ((3, 2), 2), ((4, 1), 2), ((4, 2), 1)):
        with pytest.raises(FrameError, match="sizes is"):
            frame([0] * 6, sizes, quantizers)


@given(data=st.binary(min_size=1, max_size=200), frame_id=st.integers(0, 1 << 40))
def test_bytes_come_back_from_bits(data, frame_id):
    frame = BitFrame.of_bytes(data, "bytes", frame_id)
    assert frame.to_bytes() == data and frame == BitFrame.of_bytes(data, "bytes", frame_id)
    assert "".join(map(str, frame.bits[:8])) == f"{data[0]:08b}" and frame.grid == (8 * len(data),)


def test_bits_are_a_value_and_answer_as_tokens_do():
    own = np.array([0, 1, LOST, 1])
    frame = BitFrame(own, "c", 3)
    own[0] = 1
    assert frame.bits.tolist() == frame.tokens.tolist() == [0, 1, LOST, 1] and not frame.bits.flags.writeable
    assert frame.lost.tolist() == [False, False, True, False]
    assert frame.with_tokens(np.ones(4, int)) == BitFrame(np.ones(4, int), "c", 3) != frame
    assert len({frame, BitFrame([0, 1, LOST, 1], "c", 3), BitFrame([0, 1, LOST, 1], "d", 3)}) == 2
    assert frame != TokenFrame(frame.tokens, "c", 2, frame_id=3)
    outline = TokenFrame(frame.tokens, "c", 2, frame_id=3, modality="bits")
    for name in ("codebook", "codebook_size", "grid", "modality", "cmi", "frame_id", "quantizers"):
        assert getattr(frame, name) == getattr(outline, name)


@pytest.mark.parametrize("bad", [[0, 2], [-2], [], [0.5], [[0, 1]]])
def test_what_is_no_line_of_bits_is_refused(bad):
    with pytest.raises(FrameError):
        BitFrame(np.array(bad), "c")
