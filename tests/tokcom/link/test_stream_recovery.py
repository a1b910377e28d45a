"""Recovery of streams: which frame is predicted from which."""

import numpy as np
import pytest

from tokcom.context.condition import Condition
from tokcom.errors import ModelError
from tokcom.frame import LOST, TokenFrame
from tokcom.link.recovery import LeftOver, RecoveredFrame
from tokcom.link.stream_recovery import StreamRecovery


class Recorder:
    """A recovery that fills lost tokens with ones, and remembers what it was told."""

    def __init__(self):
        self.batches = []

    def recover_all(self, frames, cancelled=lambda: False):
        self.batches.append([left.frame.frame_id for left in frames])
        self.told = getattr(self, "told", []) + [left.condition for left in frames]
        return [
            ModelError("broken") if left.frame.frame_id == 99
            else RecoveredFrame(left.frame.with_tokens(np.where(left.frame.lost, 1, left.frame.tokens)), None, None)
            for left in frames
        ]  # fmt: skip


def a_frame(number, follows=0, lost=False):
    tokens = np.full(4, LOST) if lost else np.full(4, number % 16)
    return TokenFrame(tokens, "video", 16, (2, 2), cmi=3, frame_id=number, follows=follows)


def test_frames_that_follow_each_other_wait_for_each_other():
    recorder = Recorder()
    frames = [(5, a_frame(0)), (6, a_frame(0)), (5, a_frame(1, 1, lost=True)), (6, a_frame(1, 1)), (5, a_frame(2, 1))]
    found = StreamRecovery(recorder).recover_all([(stream, LeftOver(frame)) for stream, frame in frames])
    assert recorder.batches == [[0, 0], [1, 1], [2]]
    assert [each.frame.frame_id for each in found] == [0, 0, 1, 1, 2]
    assert recorder.told[0] is None and recorder.told[2] == Condition(3, before=a_frame(0))
    # What counts is the frame as it was recovered.
    assert recorder.told[4].before == a_frame(1, 1).with_tokens(np.ones(4, int))


def test_the_frame_before_is_remembered_from_call_to_call():
    recorder = Recorder()
    streams = StreamRecovery(recorder)
    streams.recover(0, LeftOver(a_frame(7)))
    streams.recover(0, LeftOver(a_frame(8, 1)))
    streams.recover(1, LeftOver(a_frame(9, 1)))
    assert [each and each.before for each in recorder.told] == [None, a_frame(7), None]


def test_a_frame_that_fails_is_not_remembered():
    streams = StreamRecovery(Recorder())
    with pytest.raises(ModelError, match="broken"):
        streams.recover(0, LeftOver(a_frame(99)))
    streams.recover(0, LeftOver(a_frame(100, 1)))
    assert streams.recovery.told[-1].before is None


def test_a_group_is_predicted_from_the_last_frame_of_the_one_before():
    recorder = Recorder()
    groups = [
        TokenFrame(np.arange(8) + first, "video", 16, (2, 2, 2), frame_id=first, follows=int(first > 0))
        for first in (0, 2)
    ]
    StreamRecovery(recorder).recover_all([(0, LeftOver(each)) for each in (*groups, a_frame(4, 1))])
    assert recorder.batches == [[0], [2], [4]]
    assert [each.before.tokens.tolist() for each in recorder.told[1:]] == [[4, 5, 6, 7], [6, 7, 8, 9]]
