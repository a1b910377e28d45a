"""Blocks of coded bits as a frame of bits with one block per packet: a lost packet costs only its block."""

from collections.abc import Sequence

import numpy as np

from tokcom.errors import SourceError
from tokcom.frame import BitFrame


def as_bits(blocks: Sequence[bytes], content: str, frame_id: int = 0) -> BitFrame:
    """Concatenate blocks to a frame of bits, padding shorter ones with zeros, which decoding ignores.

    Zeros with which all blocks end are left out, as far as their number of bytes can still be told.

    Args:
        blocks: blocks from `blocks.encode`, at least one.
        content: name of their content.
        frame_id: number of the frame.

    Returns:
        A frame with `packet_bits` bits per block.
    """
    size = max(map(len, blocks))
    padded = np.frombuffer(b"".join(block.ljust(size, b"\0") for block in blocks), np.uint8)
    bits = np.unpackbits(padded).reshape(len(blocks), 8 * size)
    end = max(8 * size - 7, 1 + int(np.flatnonzero(bits.any(axis=0)).max(initial=0)))
    return BitFrame(bits[:, :end].ravel(), content, frame_id)


def packet_bits(frame: BitFrame, blocks: int) -> int:
    """Compute the bits per packet for which the packets of a frame are its blocks.

    Raises:
        SourceError: the frame does not consist of that many blocks.
    """
    bits, rest = divmod(len(frame.bits), blocks)
    if rest:
        raise SourceError(f"{len(frame.bits)} bits of frame {frame.frame_id} are not {blocks} blocks of equal length")
    return bits


def from_bits(frame: BitFrame, blocks: int) -> list[bytes | None]:
    """Split a frame into its blocks, in whole bytes; None for blocks with a lost bit.

    Raises:
        SourceError: the frame does not consist of that many blocks.
    """
    parts = frame.bits.reshape(blocks, packet_bits(frame, blocks))
    lost = frame.lost.reshape(parts.shape).any(axis=1)
    return [
        None if gone else np.packbits(part.astype(np.uint8)).tobytes() for part, gone in zip(parts, lost, strict=True)
    ]
