"""Blocks of coded bits as a frame of bits with one block per packet: a lost packet costs only its block."""

from collections.abc import Sequence

import numpy as np

from tokcom.errors import SourceError
from tokcom.frame import BitFrame


def as_bits(blocks: Sequence[bytes], content: str, frame_id: int = 0) -> BitFrame:
    """Concatenate blocks to a frame of bits, padding shorter ones with zeros, which decoding ignores.

    Args:
        blocks: blocks from `blocks.encode`, at least one.
        content: name of their content.
        frame_id: number of the frame.

    Returns:
        A frame with `packet_bits` bits per block.
    """
    size = max(map(len, blocks))
    return BitFrame.of_bytes(b"".join(block.ljust(size, b"\0") for block in blocks), content, frame_id)


def packet_bits(frame: BitFrame, blocks: int) -> int:
    """Compute the bits per packet for which the packets of a frame are its blocks.

    Raises:
        SourceError: the frame does not consist of that many blocks.
    """
    bits, rest = divmod(len(frame.bits), blocks)
    if rest or bits % 8:
        raise SourceError(f"{len(frame.bits)} bits of frame {frame.frame_id} are not {blocks} blocks of whole bytes")
    return bits


def from_bits(frame: BitFrame, blocks: int) -> list[bytes | None]:
    """Split a frame into its blocks; None for blocks with a lost bit.

    Raises:
        SourceError: the frame does not consist of that many blocks.
    """
    parts = frame.bits.reshape(blocks, packet_bits(frame, blocks))
    lost = frame.lost.reshape(parts.shape).any(axis=1)
    return [
        None if gone else np.packbits(part.astype(np.uint8)).tobytes() for part, gone in zip(parts, lost, strict=True)
    ]
