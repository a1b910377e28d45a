"""File format of coded frames: their codebook, their names, and the lengths of the blocks.

All numbers are unsigned and little-endian; a string is one byte of length followed by that many bytes of UTF-8.

    magic 89 54 4B 43, version (1 byte)
    codebook (string), its number of words (4 bytes), its modality (string)
    axes (1 byte), sides (2 bytes each)
    turns, frames per block (1 byte each), frames (4 bytes)
    for each frame: label (2 bytes, FFFF for none), name (string)
    for each block: its length (4 bytes)
    CRC-32 of everything above (4 bytes)
    blocks

Every block holds `frames per block` frames, the last one the remainder. Frames in one block share the overhead of its
start and its check.
"""

import struct
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from math import prod

import numpy as np

from tokcom.context.prior import Prior
from tokcom.errors import FrameError, ParameterError, SourceError
from tokcom.frame import LOST, TokenFrame
from tokcom.packets.bits import bits_per_token
from tokcom.source.blocks import DEFAULTS, SourceSettings, decode_block, encode_block, raw_bytes
from tokcom.source.byte_reader import ByteReader, string_bytes, with_crc
from tokcom.source.order import BASES, halton_order

MAGIC = b"\x89TKC"
VERSION = 1
FRAMES_PER_BLOCK = 16
MAX_TOKENS = 1 << 16
"""Largest number of tokens per frame."""
MAX_TOKENS_IN_ALL = 1 << 24
LIMITS = f"a file holds frames of 1 to {MAX_TOKENS} tokens, and {MAX_TOKENS_IN_ALL} tokens in all"
NO_LABEL = 0xFFFF


@dataclass(frozen=True)
class CodedFrames:
    """Content of a file, not yet decoded.

    Attributes:
        outlines: the frames, all tokens LOST, numbered from 0.
        names: the user's names of the frames.
        turns: evaluations of the context model per frame.
        frames_per_block: frames per block; the last block may hold fewer.
        blocks: coded tokens.
    """

    outlines: tuple[TokenFrame, ...]
    names: tuple[str, ...]
    turns: int
    frames_per_block: int
    blocks: tuple[bytes, ...]

    @property
    def codebook(self) -> str:
        """Identity of the frames' codebook: the model's name and the hash of its content."""
        return self.outlines[0].codebook

    def members(self, block: int) -> range:
        """Return the numbers of the frames in a block."""
        first = block * self.frames_per_block
        return range(first, min(first + self.frames_per_block, len(self.outlines)))

    def decode(self, block: int, prior: Prior) -> list[TokenFrame]:
        """Decode the frames of one block.

        Args:
            block: number of the block, from 0.
            prior: prior of the codebook.

        Raises:
            ModelError: the prior has another codebook or grid.
            SourceError: the block is corrupt, or was coded with another prior; the message names it.
        """
        members = self.members(block)
        outlines = [self.outlines[number] for number in members]
        places = halton_order(outlines[0].grid)
        settings = SourceSettings(self.turns)
        try:
            found = decode_block(self.blocks[block], outlines, places, prior, settings)
        except SourceError as error:
            which = f"frames {members[0] + 1} to {members[-1] + 1}" if len(members) > 1 else f"frame {members[0] + 1}"
            raise SourceError(f"block {block + 1} of {len(self.blocks)} ({which}): {error}") from None
        tokens = np.full((len(members), len(places)), LOST, np.int32)
        tokens[:, places] = found
        return [outline.with_tokens(own) for outline, own in zip(outlines, tokens, strict=True)]


def code_frames(
    frames: Sequence[TokenFrame], names: Sequence[str], prior: Prior,
    settings: SourceSettings = DEFAULTS,
    *, frames_per_block: int = FRAMES_PER_BLOCK, progress: Callable[[int], None] = lambda done: None,
) -> CodedFrames:  # fmt: skip
    """Code frames of one codebook and grid.

    Args:
        frames: at least one frame, none with lost tokens; their numbers are not stored.
        names: names of the frames.
        prior: prior of the codebook.
        settings: settings of coding; `blocks` is ignored.
        frames_per_block: 1 to 255.
        progress: called with the number of frames done since the last call.

    Raises:
        ModelError: a frame does not have the prior's codebook and grid.
        ParameterError: there are no frames, frames_per_block is out of its range, or frames are not alike.
        SourceError: a frame has lost tokens; constriction is not installed.
    """
    if not frames or not 1 <= frames_per_block <= 255:
        raise ParameterError(
            f"{len(frames)} frames, {frames_per_block} per block; it must be at least 1, and 1 to 255 per block"
        )
    kinds = {(frame.codebook, frame.codebook_size, frame.grid, frame.modality, frame.quantizers) for frame in frames}
    if len(kinds) > 1 or frames[0].quantizers > 1:
        raise ParameterError("frames of one file must share codebook, grid and modality, and have one quantizer")
    places = halton_order(frames[0].grid)
    blocks = []
    for first in range(0, len(frames), frames_per_block):
        group = frames[first : first + frames_per_block]
        blocks.append(encode_block(group, places, prior, settings))
        progress(len(group))
    outlines = [
        replace(frame, tokens=np.full_like(frame.tokens, LOST), frame_id=number, description=b"")
        for number, frame in enumerate(frames)
    ]
    return CodedFrames(tuple(outlines), tuple(names), settings.turns, frames_per_block, tuple(blocks))


def to_bytes(coded: CodedFrames) -> bytes:
    """Serialize coded frames.

    Raises:
        SourceError: the frames exceed what a file can hold.
    """
    first = coded.outlines[0]
    if not _fits(len(coded.outlines), first.grid):
        raise SourceError(f"{len(coded.outlines)} frames of {prod(first.grid)} tokens; {LIMITS}")
    parts = [
        MAGIC, struct.pack("<B", VERSION), string_bytes(first.codebook), struct.pack("<I", first.codebook_size),
        string_bytes(first.modality), struct.pack(f"<B{len(first.grid)}H", len(first.grid), *first.grid),
        struct.pack("<BBI", coded.turns, coded.frames_per_block, len(coded.outlines)),
    ]  # fmt: skip
    for outline, name in zip(coded.outlines, coded.names, strict=True):
        parts += struct.pack("<H", NO_LABEL if outline.cmi is None else outline.cmi), string_bytes(name)
    parts += [struct.pack("<I", len(block)) for block in coded.blocks]
    return b"".join([with_crc(b"".join(parts)), *coded.blocks])


def from_bytes(data: bytes) -> CodedFrames:
    """Parse a file of coded frames.

    Nothing larger than the file itself is allocated before the header's CRC is checked; announced sizes are checked
    against the data present.

    Raises:
        SourceError: the data are not such a file, have another version, or are corrupt.
    """
    reader = ByteReader(data)
    reader.require_format(MAGIC, VERSION, "coded tokens")
    codebook = reader.string("the codebook")
    (size,) = reader.numbers("<I", "the codebook's size")
    modality = reader.string("the modality")
    (axes,) = reader.numbers("<B", "the grid")
    if not 1 <= axes <= len(BASES):
        raise SourceError(f"it announces a grid of {axes} axes; it must be 1 to {len(BASES)}")
    grid = reader.numbers(f"<{axes}H", "the grid")
    turns, frames_per_block, count = reader.numbers("<BBI", "the number of frames")
    if not turns or not frames_per_block or not _fits(count, grid):
        raise SourceError(
            f"it announces {count} frames of {' x '.join(map(str, grid))} tokens, {frames_per_block} per block, coded "
            f"in {turns} turns; {LIMITS}"
        )
    reader.require(3 * count, f"{count} frames")
    labels, names = [], []
    for number in range(count):
        labels += reader.numbers("<H", f"the label of frame {number + 1}")
        names.append(reader.string(f"the name of frame {number + 1}"))
    block_count = -(-count // frames_per_block)
    lengths = reader.numbers(f"<{block_count}I", f"the lengths of {block_count} blocks")
    reader.require_crc()
    most = raw_bytes(frames_per_block * prod(grid), bits_per_token(size)) if size else 0
    if sum(lengths) != len(data) - reader.position or max(lengths) > most:
        raise SourceError(
            f"{len(data) - reader.position} bytes follow its header, which announces {sum(lengths)}; it was truncated, "
            "or something was appended"
        )
    blocks = [reader.take(length, "a block") for length in lengths]
    try:
        outlines = [
            TokenFrame(
                np.full(prod(grid), LOST), codebook, size, grid, modality, None if label == NO_LABEL else label, number
            )
            for number, label in enumerate(labels)
        ]
    except FrameError as error:
        raise SourceError(f"its CRC holds but its header is impossible: {error}") from None
    return CodedFrames(tuple(outlines), tuple(names), turns, frames_per_block, tuple(blocks))


def _fits(frames: int, grid: tuple[int, ...]) -> bool:
    return 1 <= prod(grid) <= MAX_TOKENS and 1 <= frames * prod(grid) <= MAX_TOKENS_IN_ALL
