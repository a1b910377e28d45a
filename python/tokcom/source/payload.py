"""Blocks of coded bits as one frame of bits whose packets are the blocks: a lost packet costs its block alone."""

from collections.abc import Sequence

import numpy as np

from tokcom.errors import SourceError
from tokcom.frame import BitFrame


def as_bits(blocks: Sequence[bytes], content: str, frame_id: int = 0) -> BitFrame:
    """Blocks one after the other, the shorter ones with zero bits behind them, which decoding passes over.

    Args:
        blocks: from `blocks.encode`, at least one.
        content: name of what they hold.
        frame_id: running number.

    Returns:
        a frame of `packet_bits` bits a block.
    """
    size = max(map(len, blocks))
    return BitFrame.of_bytes(b"".join(block.ljust(size, b"\0") for block in blocks), content, frame_id)


def packet_bits(frame: BitFrame, blocks: int) -> int:
    """Bits that each packet of a frame must have so that its packets are its blocks.

    Raises:
        SourceError: the frame does not hold so many blocks.
    """
    bits, rest = divmod(len(frame.bits), blocks)
    if rest or bits % 8:
        raise SourceError(f"{len(frame.bits)} bits of frame {frame.frame_id} are no {blocks} blocks of whole bytes")
    return bits


def from_bits(frame: BitFrame, blocks: int) -> list[bytes | None]:
    """The blocks of a frame; None for those of which a bit is lost.

    Raises:
        SourceError: the frame does not hold so many blocks.
    """
    parts = frame.bits.reshape(blocks, packet_bits(frame, blocks))
    lost = frame.lost.reshape(parts.shape).any(axis=1)
    return [
        None if gone else np.packbits(part.astype(np.uint8)).tobytes() for part, gone in zip(parts, lost, strict=True)
    ]
