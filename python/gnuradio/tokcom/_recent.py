"""What the last frames left behind at several ports, brought together by the frame's number."""

from collections import OrderedDict

from tokcom.packets.header import FRAME_IDS


class RecentFrames:
    """Parts of frames by frame number; the oldest frames are forgotten.

    Parameters:
        size: frames that are kept, at least 1.
    """

    def __init__(self, size: int):
        self._size = size
        self._frames: OrderedDict[int, dict[str, object]] = OrderedDict()

    def put(self, frame_id: int, part: str, content: object) -> dict[str, object]:
        """Add a part; returns all that is here of its frame. A part that comes again begins a new frame."""
        frame_id %= FRAME_IDS
        parts = self._frames.get(frame_id)
        if parts is None or part in parts:
            parts = self._frames[frame_id] = {}
            self._frames.move_to_end(frame_id)
            if len(self._frames) > self._size:
                self._frames.popitem(last=False)
        parts[part] = content
        return parts

    def get(self, frame_id: int) -> dict[str, object]:
        """What is here of a frame."""
        return self._frames.get(frame_id % FRAME_IDS, {})
