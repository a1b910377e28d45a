import pytest
from gnuradio.tokcom._recent import RecentFrames, frame_key

from tokcom.errors import FrameError


def test_a_frame_is_known_by_its_stream_and_its_number_on_the_air():
    assert frame_key({"frame_id": (1 << 20) + 3}) == frame_key({"frame_id": 3, "stream_id": 0}) == (0, 3)
    assert frame_key({"frame_id": 3, "stream_id": 5}) == (5, 3)
    with pytest.raises(FrameError, match="lacks the key 'frame_id'"):
        frame_key({})


def test_parts_meet_and_one_that_comes_again_begins_anew():
    forgotten = []
    recent = RecentFrames(8, 1000, lambda key, parts: forgotten.append((key, parts)))
    recent.put((0, 1), "sent", "a", 10)
    assert recent.put((0, 1), "lost", "b", 10) == {"sent": "a", "lost": "b"} and recent.bytes_held == 20
    assert recent.put((0, 1), "sent", "c", 30) == {"sent": "c"} and recent.bytes_held == 30
    assert forgotten == [((0, 1), {"sent": "a", "lost": "b"})]
    assert recent.pop((0, 1)) == {"sent": "c"} and recent.bytes_held == len(recent) == 0 and len(forgotten) == 1


def test_frames_are_forgotten_by_number_and_by_bytes_the_oldest_first():
    forgotten = []
    recent = RecentFrames(3, 100, lambda key, _: forgotten.append(key[1]))
    for number in range(5):
        recent.put((0, number), "sent", None, 10)
    assert forgotten == [0, 1] and len(recent) == 3
    recent.put((0, 5), "sent", None, 90)
    assert forgotten == [0, 1, 2, 3] and recent.bytes_held == 100
    recent.put((0, 6), "sent", None, 5000)  # of a frame that is too large, its own part is kept
    assert len(recent) == 1 and recent.get((0, 6)) == {"sent": None} and recent.get((0, 5)) == {}
