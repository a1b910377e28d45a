"""Frames that wait for the host to fetch them, within bounds."""

from collections import deque

from tokcom.protocol.incoming import ReceivedFrame


class FrameQueue(deque[ReceivedFrame]):
    """Frames in the order in which they were handed on.

    Args:
        max_bytes: what they may hold; the newest is kept, whatever it holds.
        max_frames: frames at most.

    Attributes:
        n_bytes: what they hold.
    """

    def __init__(self, max_bytes: int, max_frames: int):
        super().__init__()
        self._max_bytes, self._max_frames = max_bytes, max_frames
        self.n_bytes = 0

    def put(self, frame: ReceivedFrame) -> int:
        """Add a frame; where there is no room, the oldest ones make some. Returns how many did."""
        self.append(frame)
        self.n_bytes += frame.n_bytes
        dropped = 0
        while len(self) > 1 and (self.n_bytes > self._max_bytes or len(self) > self._max_frames):
            self.popleft()
            dropped += 1
        return dropped

    def popleft(self) -> ReceivedFrame:
        """Take the oldest frame."""
        frame = super().popleft()
        self.n_bytes -= frame.n_bytes
        return frame

    def clear(self) -> None:
        """Take all frames."""
        super().clear()
        self.n_bytes = 0
