"""Coder of a model's frames as frames of bits for the air, one block per packet."""

from dataclasses import dataclass, replace
from math import prod

import numpy as np

from tokcom.context.prior import Prior
from tokcom.errors import ModelError, ParameterError, SourceError
from tokcom.frame import LOST, BitFrame, TokenFrame
from tokcom.packets.bits import bits_per_token
from tokcom.packets.codebook import codebook_id, codebook_name
from tokcom.packets.header_fields import MAX_BITS_PER_PACKET
from tokcom.source.blocks import DEFAULTS, MAX_BLOCKS, SourceSettings
from tokcom.source.frame_blocks import decode_intact, encode
from tokcom.source.payload import as_bits, from_bits
from tokcom.source.range_coder import DecisionEncoder
from tokcom.source.regions import longest_bounds

FORMAT = "blocks of coded tokens, version 3"


def coded_content(codebook: str) -> str:
    """Name of the content of bits that hold coded tokens of a codebook; its id on the air depends on the codebook's id
    alone."""
    model = codebook.rpartition("@")[0] or codebook
    return codebook_name(f"{model} coded", [FORMAT, f"{codebook_id(codebook):08x}"])


@dataclass(frozen=True)
class FrameCoder:
    """Encoder and decoder of a model's frames, without their labels.

    Args:
        prior: context model of the tokens, of one grid.
        modality: modality of the tokens.
        settings: `turns` must be the same at both ends; `blocks` concern only the encoder.

    Raises:
        ModelError: the prior has no grid of its own.
        SourceError: constriction is not installed.
    """

    prior: Prior
    modality: str = "image"
    settings: SourceSettings = DEFAULTS

    def __post_init__(self) -> None:
        DecisionEncoder()  # Report missing constriction now, not with the first frame.
        if self.prior.grid is None:
            raise ModelError(f"the context model of {self.prior.codebook} takes any grid; coding needs one of one grid")

    def most_tokens(self, blocks: int) -> int:
        """Compute the largest number of tokens of a block that fits a packet even uncoded."""
        ahead = longest_bounds(blocks, self.prior.grid)
        return (MAX_BITS_PER_PACKET - ahead - 1) // bits_per_token(self.prior.codebook_size)

    def require_packets(self) -> None:
        """Raise ParameterError unless each block of the settings fits a packet, even uncoded."""
        count, width = prod(self.prior.grid), bits_per_token(self.prior.codebook_size)
        possible = [
            blocks for blocks in range(1, min(count, MAX_BLOCKS) + 1) if blocks * self.most_tokens(blocks) >= count
        ]
        if self.settings.blocks not in possible:
            allowed = f"{possible[0]} to {possible[-1]}" if possible else f"more than {MAX_BLOCKS}, which is too many"
            raise ParameterError(
                f"blocks is {self.settings.blocks}; a frame of {count} tokens of {width} bits must have {allowed}, "
                f"each within a packet of {MAX_BITS_PER_PACKET} bits"
            )

    @property
    def content(self) -> str:
        """Name of the content of the bits."""
        return coded_content(self.prior.codebook)

    def encode(self, frame: TokenFrame) -> BitFrame:
        """Encode a frame; its bits are `settings.blocks` packets of equal length.

        Raises:
            ModelError: the frame has another codebook, grid or modality than the model.
            ParameterError: the frame has fewer tokens than blocks, or a block may not fit a packet.
            SourceError: a token of the frame is lost.
        """
        if (frame.modality, frame.quantizers) != (self.modality, 1):
            raise ModelError(
                f"frame {frame.frame_id} holds {frame.modality} of {frame.quantizers} quantizers; this model codes "
                f"{self.modality} of one"
            )
        most = self.most_tokens(self.settings.blocks)
        blocks = encode(replace(frame, cmi=None), self.prior, self.settings, most)
        return as_bits(blocks, self.content, frame.frame_id)

    def decode(self, bits: BitFrame, bits_per_packet: int) -> tuple[TokenFrame, list[SourceError]]:
        """Decode received bits.

        Args:
            bits: a frame of bits with this content, LOST where a packet failed.
            bits_per_packet: bits per packet, as received; each packet is a block.

        Returns:
            The frame, with LOST tokens where a block was lost or is wrong, and the error of each wrong block.

        Raises:
            ModelError: the bits have another content.
            ParameterError, SourceError: the bits are not blocks of a frame.
        """
        if codebook_id(bits.content) != codebook_id(self.content):
            raise ModelError(f"frame {bits.frame_id} holds {bits.content}; this decoder takes {self.content}")
        packets, rest = divmod(len(bits.bits), bits_per_packet) if bits_per_packet > 0 else (0, 1)
        if rest:
            raise SourceError(
                f"{len(bits.bits)} bits of frame {bits.frame_id} are not packets of {bits_per_packet} bits"
            )
        lost = np.full(prod(self.prior.grid), LOST)
        outline = TokenFrame(
            lost, self.prior.codebook, self.prior.codebook_size, self.prior.grid, self.modality, None, bits.frame_id
        )
        settings = replace(self.settings, blocks=packets)
        return decode_intact(from_bits(bits, packets), outline, self.prior, settings)
