"""Bounds of what waits."""

from types import SimpleNamespace

from hypothesis import given
from hypothesis import strategies as st

from tokcom.protocol.frame_queue import FrameQueue


@given(st.lists(st.one_of(st.none(), st.integers(0, 50)), max_size=60), st.integers(1, 100), st.integers(1, 10))
def test_the_newest_frames_wait_within_both_bounds(steps, max_bytes, max_frames):
    queue, expected = FrameQueue(max_bytes, max_frames), []
    for size in steps:
        if size is None:
            if expected:
                assert queue.popleft().n_bytes == expected.pop(0)
            continue
        before = [*expected, size]
        expected = [before[-1]]
        for older in reversed(before[:-1]):  # an oracle: as many of the newest as fit
            if len(expected) == max_frames or sum(expected) + older > max_bytes:
                break
            expected.insert(0, older)
        assert queue.put(SimpleNamespace(n_bytes=size)) == len(before) - len(expected)
        assert [each.n_bytes for each in queue] == expected and queue.n_bytes == sum(expected)
