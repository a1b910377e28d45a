"""Groups of a video's frames: joined and split again, and what is no group."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tokcom.errors import FrameError
from tokcom.frame import TokenFrame
from tokcom.tokenizers.groups import MAX_GROUP, frames_of, is_group, joined, last_number


def video(count, first=7, follows=1, side=2, cmi=None):
    rng = np.random.default_rng(count)
    return [
        TokenFrame(
            rng.integers(0, 16, side * side), "video", 16, (side, side), cmi=cmi, frame_id=first + number,
            follows=1 if number else follows,
        )
        for number in range(count)
    ]  # fmt: skip


@given(st.integers(1, MAX_GROUP), st.integers(0, 255), st.integers(0, 1 << 20), st.sampled_from([None, 5]))
def test_a_group_is_split_into_the_frames_that_were_joined(count, follows, first, cmi):
    frames = video(count, first, follows, cmi=cmi)
    group = joined(frames)
    assert frames_of(group) == tuple(frames) and is_group(group) == (count > 1)
    assert (group.frame_id, group.follows, last_number(group)) == (first, follows, frames[-1].frame_id)
    assert group.grid == ((count, 2, 2) if count > 1 else (2, 2))


def test_time_is_the_first_side():
    frames = video(3)
    grid = joined(frames).tokens.reshape(3, 2, 2)
    for tokens, frame in zip(grid, frames, strict=True):
        np.testing.assert_array_equal(tokens.ravel(), frame.tokens)


def test_residual_quantizers_are_no_group():
    frame = TokenFrame(np.zeros(12, int), "sound", 16, (3, 2, 2), quantizers=3)
    assert not is_group(frame) and frames_of(frame) == (frame,) and last_number(frame) == 0


@pytest.mark.parametrize(
    ("frames", "said"),
    [
        ([], "a group has 0 frames; it must have 1 to 16"),
        (video(MAX_GROUP + 1), "a group has 17 frames"),
        ([video(2)[0], video(3)[2]], "frame 9 is not the one that follows frame 7"),
        ([video(2)[0], video(1, 8, follows=0)[0]], "frame 8 is not the one that follows frame 7"),
        ([video(1, 7)[0], video(1, 8, side=3)[0]], "frame 8 is not the one"),
        ([joined(video(2)), video(1, 9)[0]], "is a grid .* those of a group have two sides"),
    ],
)
def test_what_is_no_sequence_is_refused(frames, said):
    with pytest.raises(FrameError, match=said):
        joined(frames)
