"""Which packet is which: what a packet's CRC covers beside its bits, though it is not sent."""

from dataclasses import dataclass

import numpy as np

from tokcom.packets.bits import tokens_to_bits

STREAM_BITS, FRAME_BITS, CODEBOOK_BITS, NUMBER_BITS = 6, 20, 16, 12
"""Bits of each part of the identity, in this order, most significant first."""


@dataclass(frozen=True)
class PacketIdentity:
    """What the packets of a burst have in common; each has its number beside.

    Attributes:
        stream_id: of several transmitters or streams on one channel, 0 to 63.
        frame_id: running number of the frame, modulo 2**20.
        codebook_id: `codebook.codebook_id` of the codebook's name.
    """

    stream_id: int
    frame_id: int
    codebook_id: int

    def bits(self, n_packets: int) -> np.ndarray:
        """uint8 (n_packets, 54): stream, frame, codebook and number of each packet.

        Raises:
            FrameError: a part does not fit in its bits.
        """
        common = (self.stream_id, STREAM_BITS), (self.frame_id, FRAME_BITS), (self.codebook_id, CODEBOOK_BITS)
        head = np.concatenate([tokens_to_bits(np.array([value]), width) for value, width in common])
        numbers = tokens_to_bits(np.arange(n_packets)[:, None], NUMBER_BITS)
        return np.concatenate([np.broadcast_to(head, (n_packets, len(head))), numbers], axis=1)
