"""Key streams for the frames of one transmitter, none of which is used twice."""

from pathlib import Path

from tokcom.security.epochs import next_epoch
from tokcom.security.key_stream import KeyStream
from tokcom.security.keys import Key, load_key


class Sender:
    """Encryption of one transmitter's frames.

    Within an epoch the ids of frames increase. A frame whose id does not increase begins a new epoch: it is sent again,
    its source has restarted, or ids have wrapped around.

    Args:
        key: the key, shared by both ends.
        epochs: file that counts this key's epochs in this direction.
        direction: 0 or 1; two ends that both transmit with one key use one each.

    Raises:
        KeyFileError: the counter cannot be read or written, or is exhausted.
        ParameterError: the direction is not 0 or 1.
    """

    def __init__(self, key: Key, epochs: str | Path, direction: int = 0):
        KeyStream(key, direction, 0)
        self._key, self._epochs, self._direction = key, epochs, direction
        self._begin_epoch()

    @classmethod
    def of_file(cls, path: str | Path, direction: int = 0) -> "Sender":
        """Make a sender with the key in a file; its epochs are counted in a file beside it, with the suffix `.epochs`
        and the direction.

        Raises:
            KeyFileError, ParameterError: as for the constructor, or the file holds no key.
        """
        return cls(load_key(path), f"{path}.epochs{direction}", direction)

    def key_stream(self, stream_id: int, frame_id: int) -> KeyStream:
        """Return the key stream of the next frame.

        Raises:
            KeyFileError: a new epoch is needed, but none is left, or the counter cannot be written.
        """
        if frame_id <= self._last.get(stream_id, -1):
            self._begin_epoch()
        self._last[stream_id] = frame_id
        return self._stream

    def _begin_epoch(self) -> None:
        self._stream = KeyStream(self._key, self._direction, next_epoch(self._epochs))
        self._last: dict[int, int] = {}
