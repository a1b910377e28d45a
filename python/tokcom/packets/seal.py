"""Seal of encrypted bursts in the header, and the interface of key streams, without any cipher."""

from dataclasses import dataclass
from typing import Protocol

import numpy as np

from tokcom.errors import HeaderError, ParameterError

SEAL_BYTES = 4
EPOCHS = 1 << 15
"""Epochs per direction of a key, after which a new key is needed."""


@dataclass(frozen=True)
class Seal:
    """Seal: identifies the key stream of a burst's packets.

    Args:
        key_id: id of the key, 0 to 65535.
        direction: 0 or 1; two ends that both transmit with one key use one each.
        epoch: epoch of the transmitter, 0 to 32767.

    Raises:
        ParameterError: a field is out of its range.
    """

    key_id: int
    direction: int
    epoch: int

    def __post_init__(self) -> None:
        for name, limit in (("key_id", 1 << 16), ("direction", 2), ("epoch", EPOCHS)):
            value = getattr(self, name)
            if not 0 <= value < limit:
                raise ParameterError(f"{name} is {value}; it must be 0 to {limit - 1}")

    def to_bytes(self) -> bytes:
        """Serialize: key id 16 bits, direction 1, epoch 15."""
        return (self.key_id << 16 | self.direction << 15 | self.epoch).to_bytes(SEAL_BYTES, "big")

    @classmethod
    def from_bytes(cls, value: bytes) -> "Seal":
        """Parse bytes: the inverse of `to_bytes`.

        Raises:
            HeaderError: the bytes are not 4.
        """
        if len(value) != SEAL_BYTES:
            raise HeaderError("contents", f"the key element has {len(value)} bytes; it must have {SEAL_BYTES}")
        number = int.from_bytes(value, "big")
        return cls(number >> 16, number >> 15 & 1, number % EPOCHS)


class BitStream(Protocol):
    """Key stream added to the coded bits of a transmitter's packets; equal ones give equal bits, and have equal
    hashes."""

    @property
    def seal(self) -> Seal:
        """Seal for the header."""

    def bits(self, stream_id: int, frame_id: int, lengths: np.ndarray) -> np.ndarray:
        """Generate the stream for a frame's packets with int (n_packets,) coded bits each, uint8 (sum of lengths,), 0
        and 1."""


class StreamFinder(Protocol):
    """Keys of a receiver."""

    def find(self, seal: Seal) -> BitStream | None:
        """Find the stream that a header names; None if its key is unknown."""
