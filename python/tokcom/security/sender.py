"""Key streams for the frames of one transmitter, no two of which are alike."""

from pathlib import Path

from tokcom.security.epochs import next_epoch
from tokcom.security.key_stream import KeyStream
from tokcom.security.keys import Key, load_key


class Sender:
    """What one transmitter encrypts with.

    Frames of an epoch rise in their ids. One that does not begins an epoch: it is sent again, its source began anew, or
    ids came round.

    Args:
        key: shared by both ends.
        epochs: file that counts this key's epochs in this direction.
        direction: 0 or 1; two ends that both transmit with one key take one each.

    Raises:
        KeyFileError: the count cannot be read or written, or is used up.
        ParameterError: the direction is neither.
    """

    def __init__(self, key: Key, epochs: str | Path, direction: int = 0):
        KeyStream(key, direction, 0)
        self._key, self._epochs, self._direction = key, epochs, direction
        self._begin_epoch()

    @classmethod
    def of_file(cls, path: str | Path, direction: int = 0) -> "Sender":
        """With the key in a file; its epochs are counted beside it, in a file whose name ends in `.epochs` and the
        direction.

        Raises:
            KeyFileError, ParameterError: as above, or the file holds no key.
        """
        return cls(load_key(path), f"{path}.epochs{direction}", direction)

    def key_stream(self, stream_id: int, frame_id: int) -> KeyStream:
        """That of the next frame.

        Raises:
            KeyFileError: it takes a new epoch, and there is none, or their count cannot be written.
        """
        if frame_id <= self._last.get(stream_id, -1):
            self._begin_epoch()
        self._last[stream_id] = frame_id
        return self._stream

    def _begin_epoch(self) -> None:
        self._stream = KeyStream(self._key, self._direction, next_epoch(self._epochs))
        self._last: dict[int, int] = {}
