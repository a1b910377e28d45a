"""Record of the frames received: a frame received again is a recording, and refused."""

import fcntl
import os
import struct
from pathlib import Path

from tokcom.errors import KeyFileError, RejectedError

WINDOW = 64
"""Frames below the highest of a stream that may still come; older ones are refused."""
FIRST_BYTES = b"tokcom-seen-1\n\0\0"
SLOT = struct.Struct("<iiQ")
"""Epoch, highest frame id, and which frames below it have come: bit 0 is the highest itself. -1: none so far."""
NONE = (-1, -1, 0)
DIRECTIONS, STREAMS = 2, 64


class Replays:
    """The frames that came with one key, by direction and stream: the newest epoch alone counts.

    Args:
        path: file that keeps them over restarts; made where there is none. Several receivers may keep theirs in one.
            None: they are kept in memory.

    Raises:
        KeyFileError: the file cannot be read or written, or is of another kind.
    """

    def __init__(self, path: str | Path | None = None):
        self._path, self._file = path, None
        self._slots = [NONE] * (DIRECTIONS * STREAMS)
        if path is not None:
            self._open()

    def admit(self, direction: int, stream_id: int, epoch: int, frame_id: int) -> None:
        """Take note of a frame that its key has proved genuine.

        Raises:
            RejectedError: it came before, or is older than what is remembered.
            KeyFileError: it cannot be taken note of.
        """
        place = direction * STREAMS + stream_id
        newest, highest, seen = self._slots[place]
        if newest == epoch and frame_id <= highest:
            old = highest - frame_id >= WINDOW or seen >> highest - frame_id & 1
        else:
            old = epoch < newest
        if old:
            raise RejectedError(
                "replayed",
                f"frame {frame_id} of stream {stream_id}, epoch {epoch} of its key, came before, or is older than "
                f"the last {WINDOW}",
            )
        self._slots[place] = _both(self._slots[place], (epoch, frame_id, 1))
        if self._file is not None:
            self._store(place)

    def _open(self) -> None:
        size = len(FIRST_BYTES) + SLOT.size * len(self._slots)
        try:
            self._file = os.open(self._path, os.O_RDWR | os.O_CREAT, 0o600)
            content = os.pread(self._file, size + 1, 0)
            if not content:
                content = FIRST_BYTES + SLOT.pack(*NONE) * len(self._slots)
                os.pwrite(self._file, content, 0)
        except OSError as error:
            raise KeyFileError(f"{self._path} cannot be written: {error.strerror or error}") from error
        if len(content) != size or not content.startswith(FIRST_BYTES):
            raise KeyFileError(f"{self._path} is no list of frames that came; make a new key, or remove the file")
        self._slots = list(SLOT.iter_unpack(content[len(FIRST_BYTES) :]))

    def _store(self, place: int) -> None:
        """Add what this receiver knows of a stream to the file."""
        where = len(FIRST_BYTES) + SLOT.size * place
        try:
            # Of two receivers that store at once neither may undo what the other has added.
            fcntl.flock(self._file, fcntl.LOCK_EX)
            try:
                stored = SLOT.unpack(os.pread(self._file, SLOT.size, where))
                os.pwrite(self._file, SLOT.pack(*_both(stored, self._slots[place])), where)
            finally:
                fcntl.flock(self._file, fcntl.LOCK_UN)
        except (OSError, struct.error) as error:
            raise KeyFileError(f"{self._path} cannot be written: {error}") from error

    def __del__(self) -> None:
        if getattr(self, "_file", None) is not None:
            os.close(self._file)


def _both(one: tuple[int, int, int], other: tuple[int, int, int]) -> tuple[int, int, int]:
    """Combine the records of two slots: that of the newer epoch, up to the higher frame."""
    (epoch, high, seen), (old_epoch, low, old_seen) = max(one, other), min(one, other)
    if old_epoch == epoch and high - low < WINDOW:
        seen |= old_seen << high - low & (1 << WINDOW) - 1
    return epoch, high, seen
