"""Information about a burst's key in its header, and the interface that packets need of a key; no cipher is used
here."""

from dataclasses import dataclass
from typing import Protocol

import numpy as np

from tokcom.errors import HeaderError, ParameterError
from tokcom.packets.universal_hash import UniversalHash

KEY_BYTES, CHECK_BYTES = 4, 5
"""Bytes of the two elements that a seal takes in a header."""
EPOCHS = 1 << 15
"""Epochs that one direction of a key has; then a new key is due."""
TAG_BITS = 32
"""Bits of a packet's tag where nothing else is asked for."""
TAG_WIDTHS = (8, 16, 24, 32, 40, 48, 56)
HEADER_TAG_BITS = 32


@dataclass(frozen=True)
class Seal:
    """Key that protects a burst, and the tag of its header.

    Args:
        key_id: of the key, 0 to 65535.
        direction: 0 or 1; two ends that both transmit with one key take one each.
        epoch: of the transmitter, 0 to 32767.
        tag_bits: of each packet's tag, which takes the place of its CRC; one of TAG_WIDTHS.
        header_tag: of the header, 0 to 2**32 - 1.

    Raises:
        ParameterError: a field is out of its range.
    """

    key_id: int
    direction: int
    epoch: int
    tag_bits: int = TAG_BITS
    header_tag: int = 0

    def __post_init__(self) -> None:
        limits = {"key_id": 1 << 16, "direction": 2, "epoch": EPOCHS, "header_tag": 1 << HEADER_TAG_BITS}
        for name, limit in limits.items():
            value = getattr(self, name)
            if not 0 <= value < limit:
                raise ParameterError(f"{name} is {value}; it must be 0 to {limit - 1}")
        if self.tag_bits not in TAG_WIDTHS:
            raise ParameterError(f"tag_bits is {self.tag_bits}; it must be one of {', '.join(map(str, TAG_WIDTHS))}")

    def key_bytes(self) -> bytes:
        """Value of the element "key": key id 16 bits, direction 1, epoch 15."""
        return (self.key_id << 16 | self.direction << 15 | self.epoch).to_bytes(KEY_BYTES, "big")

    def check_bytes(self) -> bytes:
        """Value of the element "check": bits of a packet's tag 8 bits, tag of the header 32."""
        return (self.tag_bits << HEADER_TAG_BITS | self.header_tag).to_bytes(CHECK_BYTES, "big")

    @classmethod
    def from_bytes(cls, key: bytes | None, check: bytes | None) -> "Seal | None":
        """The inverse of `key_bytes` and `check_bytes`; None of no elements.

        Raises:
            HeaderError: one of them is missing, is of another length, or says what cannot be.
        """
        if key is None and check is None:
            return None
        if key is None or check is None or (len(key), len(check)) != (KEY_BYTES, CHECK_BYTES):
            raise HeaderError(
                "contents", f"a seal takes a key of {KEY_BYTES} bytes and a check of {CHECK_BYTES}; other elements came"
            )
        number, tag = int.from_bytes(key, "big"), int.from_bytes(check[1:], "big")
        try:
            return cls(number >> 16, number >> 15 & 1, number % EPOCHS, check[0], tag)
        except ParameterError as error:
            raise HeaderError("contents", f"absurd header: {error}") from None


class FrameCipher(Protocol):
    """Encryption and tags of the packets of one frame."""

    def bits(self, lengths: np.ndarray) -> np.ndarray:
        """uint8 (sum of lengths,), 0 and 1: added to the coded bits, int (n_packets,) of each packet."""

    def tags(self, n_bits: int, n_packets: int) -> tuple[UniversalHash, np.ndarray]:
        """The check of packets of n_bits payload bits each, and its presets, int64 (n_packets,)."""


class KeyHolder(Protocol):
    """Keys that a receiver holds."""

    clear: bool
    """Whether bursts that no key protects are taken, too."""

    def unlock(self, seal: Seal, stream_id: int, frame_id: int, header: bytes) -> FrameCipher | None:
        """The cipher of a frame whose header, `BurstHeader.sealed_bytes`, has a seal; None where its key is not here.

        Raises:
            RejectedError: the seal's header tag is not that of the key, or its packets' tags are too short.
        """

    def admit(self, seal: Seal, stream_id: int, frame_id: int) -> None:
        """Take note of a frame whose header was opened.

        Raises:
            RejectedError: it came before, or is older than what is remembered.
        """
