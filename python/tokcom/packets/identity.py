"""Identity of packets, which a packet's CRC covers in addition to its bits although it is not sent."""

from dataclasses import dataclass
from functools import lru_cache

import numpy as np

from tokcom.errors import FrameError
from tokcom.packets.bits import tokens_to_bits
from tokcom.packets.crc import Crc
from tokcom.packets.seal import FrameCipher

STREAM_BITS, FRAME_BITS, CODEBOOK_BITS, NUMBER_BITS = 6, 20, 32, 14
"""Bits of each part of the identity, in this order, most significant first."""
COMMON_BITS = STREAM_BITS + FRAME_BITS + CODEBOOK_BITS


@dataclass(frozen=True)
class PacketIdentity:
    """Identity common to the packets of a burst; each also has its number.

    Attributes:
        stream_id: stream number, for channels shared by several transmitters, 0 to 63.
        frame_id: number of the frame, modulo 2**20.
        codebook_id: `codebook.codebook_id` of the codebook's name.
        cipher: what encrypts their coded bits, and makes the tags that they have in place of CRCs; None: nothing does.
    """

    stream_id: int
    frame_id: int
    codebook_id: int
    cipher: FrameCipher | None = None

    def bits(self, n_packets: int) -> np.ndarray:
        """Serialize stream, frame, codebook and number of each packet, uint8 (n_packets, 72).

        Raises:
            FrameError: a part does not fit in its bits.
        """
        common = tokens_to_bits(np.array([self._common]), COMMON_BITS)
        return np.concatenate([np.broadcast_to(common, (n_packets, len(common))), _numbers(n_packets)], axis=1)

    def presets(self, crc: Crc, n_packets: int) -> np.ndarray:
        """Compute the register of each packet's check after its identity, int64 (n_packets,); raises as `bits` does."""
        # Linear except for the preset: a packet's number contributes the same whatever precedes it.
        register = crc.register(0, NUMBER_BITS, crc.register(self._common, COMMON_BITS))
        return register ^ _of_numbers(crc)[:n_packets]

    @property
    def _common(self) -> int:
        """Pack the common part of the identity into one number."""
        common = 0
        for name, width in (("stream_id", STREAM_BITS), ("frame_id", FRAME_BITS), ("codebook_id", CODEBOOK_BITS)):
            value = int(getattr(self, name))
            if not 0 <= value < 1 << width:
                raise FrameError(f"{name} {value} does not fit in {width} bits")
            common = common << width | value
        return common


def _numbers(n_packets: int) -> np.ndarray:
    return tokens_to_bits(np.arange(n_packets)[:, None], NUMBER_BITS)


@lru_cache(maxsize=4)
def _of_numbers(crc: Crc) -> np.ndarray:
    """Tabulate the contribution of each packet's number to the register, int64 (16384,)."""
    return crc.presets(_numbers(1 << NUMBER_BITS), np.zeros(1 << NUMBER_BITS, np.int64))
