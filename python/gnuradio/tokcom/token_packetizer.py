from collections.abc import Mapping

import numpy as np

from tokcom import keys
from tokcom.errors import ParameterError
from tokcom.link.bursts import TransmitConfig, Transmitter

from ._pdu import PduBlock, frame_of


class token_packetizer(PduBlock):
    """Spread the tokens of each frame over packets, so that a lost packet does not take neighbours with it.

    Input: message port "tokens", PDUs of s32 tokens, one frame each.
    Output: message port "packets", the same tokens in packet order, one PDU a frame, its metadata with packets,
    tokens_per_packet and layout_seed added.

    Parameters:
        tokens_per_packet: tokens in each packet, at least 1.
        seed: seed of the layout of frame 0, 0 to 65535; frame n has this seed plus n, modulo 65536.
    """

    INPUT, OUTPUT, INPUT_KIND, STAGE = "tokens", "packets", "int32", "packetizer"

    def __init__(self, tokens_per_packet: int = 4, seed: int = 0):
        PduBlock.__init__(self, "Token Packetizer")
        if not 0 <= seed <= 0xFFFF:
            raise ParameterError(f"seed is {seed}; it must be 0 to 65535")
        self._transmitter = Transmitter(TransmitConfig(tokens_per_packet=tokens_per_packet))
        self._seed = seed

    def process(self, meta: Mapping, data: np.ndarray) -> tuple[dict, np.ndarray]:
        frame = frame_of(meta, data)
        seed = (self._seed + frame.frame_id) & 0xFFFF
        packets = self._transmitter.packetize(frame, seed)
        return {
            keys.PACKETS: len(packets),
            keys.TOKENS_PER_PACKET: packets.shape[1],
            keys.LAYOUT_SEED: seed,
        }, packets
