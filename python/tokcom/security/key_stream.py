"""Confidentiality that costs no decoding: a key stream over coded bits.

The transmitter adds the stream to the coded bits, the receiver turns the signs of their LLRs ahead of the decoder.
Code, check and context then see what they would have seen without a key, so encryption takes nothing from the link.
"""

import struct
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from tokcom.packets.seal import Seal
from tokcom.security.keys import Key

BLOCK_BITS = 512
"""Bits of a block of ChaCha20 (RFC 8439), which its counter counts."""


@dataclass(frozen=True)
class KeyStream:
    """The stream of one transmitter with one key, from one start to the next.

    Args:
        key: shared by both ends.
        direction: 0 or 1; two ends that both transmit with one key take one each.
        epoch: of the transmitter's start, from `epochs.next_epoch`; below 2**15.

    Raises:
        ParameterError: the direction or the epoch is out of its range.
    """

    key: Key
    direction: int
    epoch: int

    def __post_init__(self) -> None:
        Seal(0, self.direction, self.epoch)

    @cached_property
    def seal(self) -> Seal:
        """What the header of a burst says of it."""
        return Seal(self.key.id, self.direction, self.epoch)

    def bits(self, stream_id: int, frame_id: int, lengths: np.ndarray) -> np.ndarray:
        """The stream for the coded bits of a frame's packets.

        Args:
            stream_id: of the frame, 0 to 2**16 - 1.
            frame_id: of the frame, 0 to 2**32 - 1; no two frames of an epoch may have the same.
            lengths: int (n_packets,), coded bits of each packet. Each begins at a block of its own, and has as many as
                the longest.

        Returns:
            uint8 (sum of lengths,), 0 and 1, one packet after the other.
        """
        longest = int(np.max(lengths, initial=0))
        share = -(-longest // BLOCK_BITS) * BLOCK_BITS // 8
        from cryptography.hazmat.primitives.ciphers import Cipher
        from cryptography.hazmat.primitives.ciphers.algorithms import ChaCha20

        secret = self.key.derive(f"bits {self.direction}")
        nonce = struct.pack("<IIII", 0, self.epoch, stream_id, frame_id)
        stream = Cipher(ChaCha20(secret, nonce), mode=None).encryptor()
        rows = np.frombuffer(stream.update(bytes(len(lengths) * share)), np.uint8)
        rows = rows.reshape(len(lengths), share)[:, : -(-longest // 8)]
        return np.unpackbits(rows, axis=1)[:, :longest][np.arange(longest) < np.asarray(lengths)[:, None]]
