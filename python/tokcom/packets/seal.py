"""What the header of a burst says of its encryption, and what packets need of a key: no cipher is known here."""

from dataclasses import dataclass
from typing import Protocol

import numpy as np

from tokcom.errors import HeaderError, ParameterError

SEAL_BYTES = 4
EPOCHS = 1 << 15
"""Epochs that one direction of a key has; then a new key is due."""


@dataclass(frozen=True)
class Seal:
    """Which key stream a burst's packets are encrypted with.

    Args:
        key_id: of the key, 0 to 65535.
        direction: 0 or 1; two ends that both transmit with one key take one each.
        epoch: of the transmitter, 0 to 32767.

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
        """As on the air: key id 16 bits, direction 1, epoch 15."""
        return (self.key_id << 16 | self.direction << 15 | self.epoch).to_bytes(SEAL_BYTES, "big")

    @classmethod
    def from_bytes(cls, value: bytes) -> "Seal":
        """The inverse of `to_bytes`.

        Raises:
            HeaderError: the bytes are not 4.
        """
        if len(value) != SEAL_BYTES:
            raise HeaderError("contents", f"the key is told in {len(value)} bytes; it takes {SEAL_BYTES}")
        number = int.from_bytes(value, "big")
        return cls(number >> 16, number >> 15 & 1, number % EPOCHS)


class BitStream(Protocol):
    """What is added to the coded bits of a transmitter's packets; equal ones give equal bits, and have one hash."""

    @property
    def seal(self) -> Seal:
        """What the header says of it."""

    def bits(self, stream_id: int, frame_id: int, lengths: np.ndarray) -> np.ndarray:
        """uint8 (sum of lengths,), 0 and 1, for a frame's packets of int (n_packets,) coded bits each."""


class StreamFinder(Protocol):
    """Keys that a receiver holds."""

    def find(self, seal: Seal) -> BitStream | None:
        """The stream that a header names; None where its key is not here."""
