"""What the last frames left behind at several ports, brought together by stream and frame number."""

from collections import OrderedDict
from collections.abc import Callable, Mapping

from tokcom import keys
from tokcom.packets.header import FRAME_IDS

from ._pdu import required

FrameKey = tuple[int, int]


def frame_key(meta: Mapping) -> FrameKey:
    """Which frame metadata belong to: its stream, 0 where none is named, and its number as the air carries it.

    Raises:
        FrameError: the frame has no number, or one of another kind.
    """
    stream = required(meta, keys.STREAM_ID, int) if keys.STREAM_ID in meta else 0
    return stream, required(meta, keys.FRAME_ID, int) % FRAME_IDS


class RecentFrames:
    """Parts of frames; the oldest frames are forgotten.

    Parameters:
        size: frames that are kept, at least 1.
        max_bytes: that they may hold together; the latest frame is kept, whatever it holds.
        on_forget: called with the key and the parts of a frame that is forgotten.
    """

    def __init__(self, size: int, max_bytes: int, on_forget: Callable[[FrameKey, dict], None] | None = None):
        self._size, self._max_bytes, self._on_forget = size, max_bytes, on_forget
        self._frames: OrderedDict[FrameKey, dict[str, object]] = OrderedDict()
        self._bytes: dict[FrameKey, int] = {}

    def __len__(self) -> int:
        return len(self._frames)

    @property
    def bytes_held(self) -> int:
        """Bytes of all parts that are here."""
        return sum(self._bytes.values())

    def put(self, key: FrameKey, part: str, content: object, n_bytes: int) -> dict[str, object]:
        """Add a part that holds so many bytes; returns all that is here of its frame. A part that comes again begins a
        new frame."""
        if part in self._frames.get(key, ()):
            self._forget(key)
        parts = self._frames.setdefault(key, {})
        parts[part] = content
        self._bytes[key] = self._bytes.get(key, 0) + n_bytes
        while len(self._frames) > 1 and (len(self._frames) > self._size or self.bytes_held > self._max_bytes):
            self._forget(next(other for other in self._frames if other != key))
        return parts

    def get(self, key: FrameKey) -> dict[str, object]:
        """What is here of a frame."""
        return self._frames.get(key, {})

    def pop(self, key: FrameKey) -> dict[str, object]:
        """Take out a frame; returns what was here of it."""
        self._bytes.pop(key, None)
        return self._frames.pop(key, {})

    def _forget(self, key: FrameKey) -> None:
        parts = self.pop(key)
        if self._on_forget is not None:
            self._on_forget(key, parts)
