"""What is shown of a video where tokens stay."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tokcom.errors import ParameterError
from tokcom.frame import LOST, TokenFrame
from tokcom.link.frame_memory import LARGEST
from tokcom.link.steady_view import MOVES, STAYS, SteadyView

GRID = (4, 4)


def a_frame(number, tokens=0, follows=1):
    return TokenFrame(np.full(16, tokens), "patches", 8, GRID, frame_id=number, follows=follows)


def grey(level):
    return np.full((16, 16, 3), level, np.uint8)


def test_a_small_change_is_shown_in_part_where_the_token_stays():
    view, tokens = SteadyView(), np.zeros(16, int)
    tokens[5] = 1
    view.show(a_frame(0, follows=0), grey(100))
    shown = view.show(a_frame(1).with_tokens(tokens), grey(112))
    expected = np.full((16, 16, 3), round(112 - STAYS * (1 - 12 / MOVES) * 12))
    expected[4:8, 4:8] = 112
    assert np.array_equal(shown, expected)


@given(st.integers(0, 255), st.integers(0, 255))
def test_what_is_shown_lies_between_what_was_and_what_is(before, now):
    view = SteadyView()
    view.show(a_frame(0, follows=0), grey(before))
    shown = view.show(a_frame(1), grey(now))
    assert min(before, now) <= shown.min() == shown.max() <= max(before, now)
    if abs(now - before) >= MOVES:
        assert (shown == now).all()


@given(st.lists(st.integers(90, 110), min_size=2, max_size=40))
def test_what_is_still_flickers_less(levels):
    view = SteadyView()
    shown = [
        int(view.show(a_frame(number, follows=int(number > 0)), grey(x))[0, 0, 0]) for number, x in enumerate(levels)
    ]
    assert np.abs(np.diff(shown)).sum() <= np.abs(np.diff(levels)).sum() + 1


def test_it_settles_on_the_picture():
    view = SteadyView()
    view.show(a_frame(0, follows=0), grey(100))
    for number in range(1, 40):
        shown = view.show(a_frame(number), grey(110))
    assert (shown == 110).all()


@pytest.mark.parametrize(
    "frame",
    [
        a_frame(1, follows=0), a_frame(2), a_frame(1, tokens=LOST), replace(a_frame(1), codebook="others"),
        TokenFrame(np.zeros(16, int), "patches", 8, (2, 8), frame_id=1, follows=1),
    ],
    ids=["alone", "follows one that did not come", "lost", "another codebook", "another grid"],
)  # fmt: skip
def test_other_pictures_are_shown_as_they_are(frame):
    view = SteadyView()
    view.show(a_frame(0, tokens=LOST if frame.lost.any() else 0, follows=0), grey(100))
    assert (view.show(frame, grey(105)) == 105).all()


def test_numbers_of_frames_wrap():
    view = SteadyView()
    view.show(a_frame((1 << 20) - 1, follows=0), grey(100))
    assert (view.show(a_frame(0), grey(105)) < 105).all()


def test_pictures_without_patches_are_shown_as_they_are():
    view, line = SteadyView(), TokenFrame(np.zeros(32, int), "line", 8)
    view.show(line, grey(100))
    assert (view.show(replace(line, frame_id=1, follows=1), grey(105)) == 105).all()


def test_a_frame_too_large_to_remember_is_shown_and_disturbs_nothing():
    view, large = SteadyView(), TokenFrame(np.zeros(LARGEST + 1, int), "large", 8, frame_id=1)
    view.show(a_frame(0, follows=0), grey(100))
    assert (view.show(large, np.full((32, 32, 3), 7, np.uint8)) == 7).all()
    assert (view.show(a_frame(2, follows=2), grey(105)) < 105).all()


def test_streams_are_kept_apart_and_bounded():
    view = SteadyView(max_streams=2)
    for stream in range(3):
        view.show(a_frame(0, follows=0), grey(100), stream)
    assert (view.show(a_frame(1), grey(105), 2) < 105).all()
    assert (view.show(a_frame(1), grey(105), 0) == 105).all()
    assert len(view._shown) == 2
    with pytest.raises(ParameterError, match="max_streams is 0"):
        SteadyView(0)
