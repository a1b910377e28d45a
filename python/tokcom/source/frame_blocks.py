"""Frames as independent blocks of about equal length: a lost one costs its region of the frame, and no other.

Each block of a divided frame begins with the bounds of its region, so that it can be decoded alone.
"""

from collections.abc import Sequence

import numpy as np

from tokcom.context.prior import Prior
from tokcom.errors import SourceError
from tokcom.frame import LOST, TokenFrame
from tokcom.packets.bits import bits_per_token
from tokcom.packets.halton import halton_order
from tokcom.source.blocks import DEFAULTS, SourceSettings, decode_block, encode_block, require_codable
from tokcom.source.information import information
from tokcom.source.regions import Region, bounds_width, overlapping, read_region, split_evenly

COST_TURNS = 8
"""Most turns in which the costs of tokens are estimated. Of photographs of the training split, 4 turns made blocks less
alike than 8, and 16 no more alike."""
DIVISIONS, UNEVEN = 2, 0.01
"""Most divisions of a frame that are tried, and the share by which the longest block may exceed the mean before another
is: tokens cost more among those of their region alone than the estimate has it, and how much more differs."""


def encode(
    frame: TokenFrame, prior: Prior, settings: SourceSettings = DEFAULTS, most: int | None = None
) -> list[bytes]:  # fmt: skip
    """Encode a frame to blocks of about equal length.

    Args:
        frame: a frame without lost tokens, of the prior's codebook; its label, if any, must reach the decoder.
        prior: the prior of the tokens.
        settings: the decoder must know `turns` and `blocks`.
        most: largest number of tokens per block; None for any.

    Returns:
        The blocks, none longer than its bounds, a bit, and its uncoded tokens.

    Raises:
        ModelError: the prior has another codebook or grid.
        ParameterError: the frame has fewer tokens than blocks, or more than they may hold.
        SourceError: a token of the frame is lost; constriction is not installed.
    """
    order, width = halton_order(frame.grid), bits_per_token(prior.codebook_size)
    require_codable(prior, [frame], order)
    costs, found = np.ones(len(frame.tokens)), []
    if settings.blocks > 1:
        costs = information([frame], order, prior, min(COST_TURNS, settings.turns))[0]
    for _ in range(DIVISIONS):
        regions = split_evenly(costs, settings.blocks, frame.grid, width, most)
        coded = [encode_block([frame], region.places, prior, settings, region.bounds) for region in regions]
        found.append(coded)
        lengths = np.array([8 * len(block) for block in coded])
        if lengths.max() <= (1 + UNEVEN) * lengths.mean():
            break
        for region, length in zip(regions, lengths, strict=True):
            costs[region.places] *= length / max(costs[region.places].sum(), 1.0)
    return min(found, key=lambda coded: max(map(len, coded)))


def decode(
    blocks: Sequence[bytes | None], outline: TokenFrame, prior: Prior,
    settings: SourceSettings = DEFAULTS,
) -> TokenFrame:  # fmt: skip
    """Decode blocks to a frame.

    Args:
        blocks: blocks from `encode`; None for lost ones.
        outline: a frame of the same codebook, grid and label; its tokens are ignored.
        prior: as at the encoder.
        settings: `turns` and `blocks` as at the encoder.

    Returns:
        The frame, with LOST tokens where a block was lost.

    Raises:
        ModelError: the prior has another codebook or grid.
        SourceError: a block or the prior is not the encoder's; the message names the block.
    """
    frame, errors = decode_intact(blocks, outline, prior, settings)
    if errors:
        raise errors[0]
    return frame


def decode_intact(
    blocks: Sequence[bytes | None], outline: TokenFrame, prior: Prior, settings: SourceSettings = DEFAULTS
) -> tuple[TokenFrame, list[SourceError]]:
    """Decode blocks as `decode` does, but treat a wrong block as lost.

    If several blocks claim the same token, at least one of them is wrong, and none is believed.

    Returns:
        The frame, with LOST tokens where no block that is right claims them, and the error of each wrong block.

    Raises:
        ModelError: the prior has another codebook or grid.
        ParameterError: the grid has fewer tokens than blocks.
        SourceError: the number of blocks differs from that in the settings.
    """
    if len(blocks) != settings.blocks:
        raise SourceError(f"{len(blocks)} blocks given; the frame has {settings.blocks}")
    found: dict[int, tuple[Region, np.ndarray]] = {}
    wrong: dict[int, str] = {}
    for number, data in enumerate(blocks):
        if data is None:
            continue
        try:
            region = region_of(data, number, settings.blocks, outline.grid)
            ahead = bounds_width(number, settings.blocks, outline.grid)
            found[number] = region, decode_block(data, [outline], region.places, prior, settings, ahead)[0]
        except SourceError as error:
            wrong[number] = str(error)
    tokens, doubtful = np.full(len(outline.tokens), LOST, np.int32), overlapping([each for each, _ in found.values()])
    for number, (region, own) in found.items():
        if number in doubtful:
            wrong[number] = f"its tokens, {region.start} to {region.end} on the Z-order curve, are also another block's"
        else:
            tokens[region.places] = own
    errors = [
        SourceError(f"frame {outline.frame_id}, block {number + 1} of {settings.blocks}: {wrong[number]}")
        for number in sorted(wrong)
    ]
    return outline.with_tokens(tokens), errors


def regions_of(blocks: Sequence[bytes], grid: tuple[int, ...]) -> list[Region]:
    """Read the regions that the blocks of a frame state; raises what `region_of` does."""
    return [region_of(data, number, len(blocks), grid) for number, data in enumerate(blocks)]


def region_of(data: bytes, number: int, blocks: int, grid: tuple[int, ...]) -> Region:
    """Read the region that a block states.

    Args:
        data: the block.
        number: number of the block, from 0.
        blocks: blocks of the frame.
        grid: the frame's grid.

    Raises:
        ParameterError: the grid has fewer tokens than blocks.
        SourceError: the block states no possible region.
    """
    width = bounds_width(number, blocks, grid)
    return read_region(np.unpackbits(np.frombuffer(data[: -(-width // 8)], np.uint8)), number, blocks, grid)
