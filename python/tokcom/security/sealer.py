"""Seals for the frames of one transmitter, no two of which are alike."""

from dataclasses import replace
from pathlib import Path

from tokcom.packets.header import BurstHeader
from tokcom.packets.identity import PacketIdentity
from tokcom.packets.seal import TAG_BITS
from tokcom.security.epochs import next_epoch
from tokcom.security.frame_cipher import Direction, FrameCipher
from tokcom.security.keys import Key, load_key


class Sealer:
    """Encryption and authentication of one transmitter.

    Frame ids increase within an epoch. A frame whose id does not begins a new epoch: it is sent again, its source has
    restarted, or the ids have wrapped around.

    Args:
        key: shared by both ends.
        epochs: file that counts this key's epochs in this direction.
        direction: 0 or 1; two ends that both transmit with one key take one each.
        tag_bits: of each packet's tag, one of `packets.seal.TAG_WIDTHS`.

    Raises:
        KeyFileError: the count cannot be read or written, or is used up.
        ParameterError: the direction is neither, or there is no such tag.
    """

    def __init__(self, key: Key, epochs: str | Path, direction: int = 0, tag_bits: int = TAG_BITS):
        self._direction, self._epochs = Direction(key, direction, tag_bits), epochs
        self._begin_epoch()

    @classmethod
    def of_file(cls, path: str | Path, direction: int = 0, tag_bits: int = TAG_BITS) -> "Sealer":
        """With the key in a file; its epochs are counted beside it, in a file whose name ends in `.epochs` and the
        direction.

        Raises:
            KeyFileError, ParameterError: as above, or the file holds no key.
        """
        return cls(load_key(path), f"{path}.epochs{direction}", direction, tag_bits)

    @property
    def tag_bits(self) -> int:
        """Bits of each packet's tag."""
        return self._direction.tag_bits

    def sealed(self, header: BurstHeader) -> tuple[BurstHeader, PacketIdentity]:
        """The header of the next frame with its seal, and what its packets are bound to and encrypted with.

        Raises:
            KeyFileError: it takes a new epoch, and there is none, or their count cannot be written.
            ParameterError: the header has no room for a seal.
        """
        if header.frame_id <= self._last.get(header.stream_id, -1):
            self._begin_epoch()
        self._last[header.stream_id] = header.frame_id
        untagged = replace(header, seal=self._direction.seal(self._epoch))
        cipher = FrameCipher(self._direction, self._epoch, header.stream_id, header.frame_id, untagged.sealed_bytes)
        tagged = replace(untagged, seal=self._direction.seal(self._epoch, cipher.header_tag))
        return tagged, replace(header.identity, cipher=cipher)

    def _begin_epoch(self) -> None:
        self._epoch = next_epoch(self._epochs)
        self._last: dict[int, int] = {}
