import fcntl
import os

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tokcom.errors import KeyFileError, RejectedError
from tokcom.security.replays import WINDOW, Replays


def admitted(replays, *frame):
    try:
        replays.admit(*frame)
    except RejectedError as error:
        assert error.kind == "replayed"
        return False
    return True


class Remembered:
    """Everything that came, kept without bounds."""

    def __init__(self):
        self._seen = set()

    def admit(self, direction, stream, epoch, frame):
        own = [(e, f) for d, s, e, f in self._seen if (d, s) == (direction, stream)]
        newest = max(own, default=(-1, -1))
        if (epoch, frame) in own or epoch < newest[0] or (epoch == newest[0] and frame <= newest[1] - WINDOW):
            return False
        self._seen.add((direction, stream, epoch, frame))
        return True


FRAMES = st.tuples(st.integers(0, 1), st.sampled_from([0, 63]), st.integers(0, 2), st.integers(0, 200))


@given(st.lists(FRAMES, max_size=60))
def test_windows_refuse_what_came_before_and_what_is_too_old(frames):
    replays, reference = Replays(), Remembered()
    for frame in frames:
        assert admitted(replays, *frame) == reference.admit(*frame)


def test_what_came_survives_a_restart(tmp_path):
    first = Replays(tmp_path / "seen")
    assert all(admitted(first, 0, 5, 3, frame) for frame in (10, 8, 200, 190))
    # Not closed: the process was killed.
    second = Replays(tmp_path / "seen")
    assert not any(admitted(second, 0, 5, 3, frame) for frame in (10, 8, 200, 190))
    assert not admitted(second, 0, 5, 2, 1000) and admitted(second, 0, 5, 3, 191) and admitted(second, 1, 5, 3, 10)
    assert (tmp_path / "seen").stat().st_mode & 0o777 == 0o600


def test_two_receivers_with_one_file_take_a_burst_each_and_both_are_remembered(tmp_path):
    one, other = Replays(tmp_path / "seen"), Replays(tmp_path / "seen")
    assert admitted(one, 0, 0, 1, 7) and admitted(other, 0, 0, 1, 7)
    assert admitted(one, 0, 0, 1, 8) and admitted(other, 0, 0, 1, 9)
    third = Replays(tmp_path / "seen")
    assert [admitted(third, 0, 0, 1, frame) for frame in (6, 7, 8, 9, 10)] == [True, False, False, False, True]


@pytest.mark.parametrize(
    "content", [b"nothing of the kind", b"tokcom-seen-1\n\0\0", b"tokcom-seen-1\n\0\0" + bytes(9999)]
)
def test_another_file_is_left_alone(content, tmp_path):
    (tmp_path / "seen").write_bytes(content)
    with pytest.raises(KeyFileError, match="is no list of frames"):
        Replays(tmp_path / "seen")
    assert (tmp_path / "seen").read_bytes() == content


def test_where_nothing_can_be_written_the_receiver_says_so(tmp_path):
    with pytest.raises(KeyFileError, match="cannot be written"):
        Replays(tmp_path / "no folder" / "seen")


def test_files_are_closed(tmp_path):
    before = len(os.listdir("/proc/self/fd"))
    for frame in range(20):
        Replays(tmp_path / "seen").admit(0, 0, 0, frame)
    assert len(os.listdir("/proc/self/fd")) == before


def test_one_receiver_at_a_time_adds_to_the_file(tmp_path, monkeypatch):
    one, other = Replays(tmp_path / "seen"), Replays(tmp_path / "seen")
    read, held = os.pread, []

    def reading(*arguments):
        with pytest.raises(BlockingIOError):
            fcntl.flock(other._file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        held.append(True)
        return read(*arguments)

    monkeypatch.setattr(os, "pread", reading)
    one.admit(0, 0, 0, 1)
    monkeypatch.undo()
    other.admit(0, 0, 0, 2)
    assert held and not any(admitted(Replays(tmp_path / "seen"), 0, 0, 0, number) for number in (1, 2))
