from collections.abc import Mapping
from dataclasses import replace

import numpy as np

from tokcom import keys
from tokcom.errors import ParameterError
from tokcom.frame import BitFrame
from tokcom.link.transmitter import TransmitConfig, Transmitter
from tokcom.packets.layout import SEEDED, SEEDS, SPREAD

from ._frame_keys import frame_keys, frame_of
from ._pdu import required
from ._pdu_block import PduBlock


class token_packetizer(PduBlock):
    """Distribute the tokens of each frame over packets: spread, so that a lost packet does not contain neighbours, or
    in another layout.

    Input: message port "tokens", PDUs of s32 tokens, one frame each; or of s32 bits, 0 and 1, if the metadata have the
        key payload with the value "bits", besides codebook (the content of the bits) and frame_id.
        If a frame of bits has tokens_per_packet, as from Source Encoder, that is its number of bits per packet.
    Output: message port "packets", the same tokens in packet order, one PDU per frame, with packets, tokens_per_packet,
        layout_seed and, if they are not spread, layout added to the metadata. Bits always keep their order.

    Parameters:
        tokens_per_packet: tokens in each packet, 1 to 64.
        seed: seed of the layout of frame 0, 0 to 1023; frame n has this seed plus n, modulo 1024.
        layout: "spread": by a permutation from the seed; "contiguous": in the frame's order; "importance": the coarsest
            sample of the frame first.
        bits_per_packet: bits in each packet of a frame of bits without tokens_per_packet, 1 to 2048.
    """

    INPUT, OUTPUT, INPUT_KIND, STAGE = "tokens", "packets", "int32", "packetizer"

    def __init__(
        self, tokens_per_packet: int = 4, seed: int = 0, layout: str = SPREAD, bits_per_packet: int = 256
    ):  # fmt: skip
        PduBlock.__init__(self, "Token Packetizer")
        if not 0 <= seed < SEEDS:
            raise ParameterError(f"seed is {seed}; it must be 0 to {SEEDS - 1}")
        config = TransmitConfig(tokens_per_packet=tokens_per_packet, layout=layout, bits_per_packet=bits_per_packet)
        self._transmitter, self._seed = Transmitter(config), seed

    def process(self, meta: Mapping, data: np.ndarray) -> tuple[dict, np.ndarray]:
        frame = frame_of(meta, data)
        transmitter = self._transmitter
        if isinstance(frame, BitFrame) and keys.TOKENS_PER_PACKET in meta:
            per_packet = required(meta, keys.TOKENS_PER_PACKET, int)
            transmitter = Transmitter(replace(transmitter.config, bits_per_packet=per_packet))
        layout = transmitter.layout(frame)
        seed = (self._seed + frame.frame_id) % SEEDS if layout in SEEDED else 0
        packets = transmitter.packetize(frame, seed)
        return frame_keys(frame) | {
            keys.PACKETS: len(packets),
            keys.TOKENS_PER_PACKET: packets.shape[1],
            keys.LAYOUT: None if layout == SPREAD else layout,
            keys.LAYOUT_SEED: seed,
        }, packets
