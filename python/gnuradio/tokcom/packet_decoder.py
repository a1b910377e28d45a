from math import prod

import numpy as np

from tokcom import keys
from tokcom.frame import LOST
from tokcom.link import LinkConfig, Receiver

from ._pdu import PduBlock, frame_of, packet_rows, required


class packet_decoder(PduBlock):
    """Decode packets (soft Viterbi), check their CRCs and put the tokens back in order; those of failed packets are -1.

    Input: message port "llrs", PDUs of f32 LLRs, one packet after the other.
    Output: message port "tokens", PDUs of s32 tokens, one frame each, with packets_lost added.
    """

    INPUT, OUTPUT, INPUT_KIND, STAGE = "llrs", "tokens", "float32", "decoder"

    def __init__(self):
        PduBlock.__init__(self, "Packet Decoder")
        self.packets_seen = self.packets_lost = 0

    def process(self, meta: dict, data: np.ndarray) -> tuple[dict, np.ndarray]:
        outline = frame_of(meta, np.full(prod(required(meta, keys.GRID, tuple)), LOST, np.int32))
        receiver = Receiver(
            LinkConfig(required(meta, keys.CODE, str), tokens_per_packet=required(meta, keys.TOKENS_PER_PACKET, int))
        )
        packets, ok = receiver.decode(packet_rows(meta, data), outline.codebook_size)
        reception = receiver.assemble(packets, ok, outline, required(meta, keys.LAYOUT_SEED, int))
        lost = int((~reception.packets_ok).sum())
        self.packets_seen += len(ok)
        self.packets_lost += lost
        return {keys.PACKETS_LOST: lost}, reception.frame.tokens
