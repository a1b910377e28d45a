"""The frames before the present one."""

import numpy as np

from tokcom.frame import TokenFrame
from tokcom.link.history import STREAMS, FrameHistory
from tokcom.packets.header import FRAME_IDS


def frame(number, value=0, book="book"):
    return TokenFrame(np.full(8, value), book, 16, (2, 4), "speech", frame_id=number, quantizers=2)


def test_a_frame_comes_with_those_before_it():
    history = FrameHistory(columns=6)
    assert history.condition(0, frame(0)).before is None
    for number, value in ((FRAME_IDS - 1, 1), (0, 2)):  # numbers wrap
        history.remember(0, frame(number, value))
    before = history.condition(0, frame(1)).before
    assert before.grid == (2, 6) and np.array_equal(before.tokens, [1, 1, 2, 2, 2, 2] * 2)


def test_a_gap_another_stream_and_another_codebook_are_other_histories():
    history = FrameHistory()
    history.remember(0, frame(3))
    assert history.condition(0, frame(4)).before is not None
    for stream, other in ((0, frame(5)), (1, frame(4)), (0, frame(4, book="another"))):
        assert history.condition(stream, other).before is None


def test_streams_are_limited():
    history = FrameHistory()
    for stream in range(STREAMS + 1):
        history.remember(stream, frame(0))
    assert history.condition(0, frame(1)).before is None and history.condition(1, frame(1)).before is not None
