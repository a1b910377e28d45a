"""Parts of recent frames from several ports, matched by stream and frame number."""

from collections import OrderedDict
from collections.abc import Callable, Mapping

from tokcom import keys
from tokcom.packets.header_fields import FRAME_IDS

from ._pdu import required

FrameKey = tuple[int, int]


def frame_key(meta: Mapping) -> FrameKey:
    """Extract a frame's key from metadata: its stream, 0 by default, and its number as sent on the air.

    Raises:
        FrameError: the frame's number is missing or has another type.
    """
    stream = required(meta, keys.STREAM_ID, int) if keys.STREAM_ID in meta else 0
    return stream, required(meta, keys.FRAME_ID, int) % FRAME_IDS


class RecentFrames:
    """Store of parts of frames, from which the oldest frames are evicted.

    Parameters:
        size: number of frames to keep, at least 1.
        max_bytes: limit on their bytes; the latest frame is kept whatever its size.
        on_forget: called with the key and the parts of an evicted frame.
    """

    def __init__(self, size: int, max_bytes: int, on_forget: Callable[[FrameKey, dict], None] | None = None):
        self._size, self._max_bytes, self._on_forget = size, max_bytes, on_forget
        self._frames: OrderedDict[FrameKey, dict[str, object]] = OrderedDict()
        self._bytes: dict[FrameKey, int] = {}

    def __len__(self) -> int:
        return len(self._frames)

    @property
    def bytes_held(self) -> int:
        """Total bytes of all parts."""
        return sum(self._bytes.values())

    def put(self, key: FrameKey, part: str, content: object, n_bytes: int) -> dict[str, object]:
        """Add a part of n_bytes bytes and return all parts of its frame. A part that is already there begins a new
        frame."""
        if part in self._frames.get(key, ()):
            self._forget(key)
        parts = self._frames.setdefault(key, {})
        parts[part] = content
        self._bytes[key] = self._bytes.get(key, 0) + n_bytes
        while len(self._frames) > 1 and (len(self._frames) > self._size or self.bytes_held > self._max_bytes):
            self._forget(next(other for other in self._frames if other != key))
        return parts

    def get(self, key: FrameKey) -> dict[str, object]:
        """Return the parts of a frame."""
        return self._frames.get(key, {})

    def pop(self, key: FrameKey) -> dict[str, object]:
        """Remove a frame and return its parts."""
        self._bytes.pop(key, None)
        return self._frames.pop(key, {})

    def _forget(self, key: FrameKey) -> None:
        parts = self.pop(key)
        if self._on_forget is not None:
            self._on_forget(key, parts)
