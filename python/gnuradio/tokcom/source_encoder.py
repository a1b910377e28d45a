from collections.abc import Mapping

import numpy as np

from tokcom import keys
from tokcom.models.folders import DEFAULT_MODEL
from tokcom.models.source_coding import load_frame_coder

from ._background import BackgroundPduBlock
from ._frame_keys import frame_keys, frame_of


class source_encoder(BackgroundPduBlock):
    """Encode tokens without loss as fewer bits, by the probabilities of a model's context model.

    A frame is split into blocks of about equal length that are decoded independently, one per packet, so that a lost
    packet costs only its block. It works in a separate thread behind a bounded queue, on the CPU.

    Input: message port "tokens", PDUs of s32 tokens, one frame each, of the model's codebook.
    Output: message port "bits", PDUs of s32 bits, one frame each, for Token Packetizer or Token Transmitter, with
        payload, codebook (the content of the bits), tokens_per_packet (the bits of a block), and queued.source_encoder
        and dropped.source_encoder: numbers of frames waiting and dropped so far. Class labels are not sent.

    Parameters:
        model: a model of the zoo, by name or folder.
        turns: evaluations of the context model per block, 1 to 255, as in Source Decoder; more turns give fewer bits
            and take longer.
        blocks: blocks per frame, 1 to 255; with more blocks a lost packet costs fewer tokens, but all need more bits.
            Each must fit a packet of 2048 bits even if it is not compressible.
        queue_size: largest number of frames waiting, at least 1; beyond it the oldest are dropped, logged and counted.
    """

    INPUT, OUTPUT, INPUT_KIND, STAGE = "tokens", "bits", "int32", "source_encoder"

    def __init__(self, model: str = DEFAULT_MODEL, turns: int = 16, blocks: int = 4, queue_size: int = 64):
        BackgroundPduBlock.__init__(self, "Source Encoder", queue_size)
        self._coder = load_frame_coder(model, turns, blocks)

    def process(self, meta: Mapping, data: np.ndarray) -> tuple[dict, np.ndarray]:
        bits = self._coder.encode(frame_of(meta, data))
        per_packet = len(bits.bits) // self._coder.settings.blocks
        unknown = {keys.CMI: None, keys.CMI_NAME: None}
        return unknown | frame_keys(bits) | {keys.TOKENS_PER_PACKET: per_packet}, bits.bits
