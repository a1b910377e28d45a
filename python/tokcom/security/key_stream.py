"""Encryption without loss in decoding: a key stream over coded bits.

The transmitter adds the stream to the coded bits; the receiver flips the signs of their LLRs before the decoder. Code,
check and context then work as without a key, so encryption costs nothing on the link.
"""

import struct
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from tokcom.packets.seal import Seal
from tokcom.security.keys import Key

BLOCK_BITS = 512
"""Bits per block of ChaCha20 (RFC 8439)."""


@dataclass(frozen=True)
class KeyStream:
    """Key stream of one transmitter with one key during one epoch.

    Args:
        key: the key, shared by both ends.
        direction: 0 or 1; two ends that both transmit with one key use one each.
        epoch: epoch from `epochs.next_epoch`; below 2**15.

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
        """Seal for the header of a burst."""
        return Seal(self.key.id, self.direction, self.epoch)

    def bits(self, stream_id: int, frame_id: int, lengths: np.ndarray) -> np.ndarray:
        """Generate the stream for the coded bits of a frame's packets.

        Args:
            stream_id: stream number of the frame, 0 to 2**16 - 1.
            frame_id: number of the frame, 0 to 2**32 - 1; no two frames of an epoch may share it.
            lengths: int (n_packets,), coded bits of each packet. Each packet begins a new block, and reserves as many
                as the longest.

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
