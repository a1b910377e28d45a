from collections.abc import Mapping

import numpy as np

from tokcom import keys
from tokcom.errors import FrameError
from tokcom.frame import BitFrame
from tokcom.models.folders import DEFAULT_MODEL
from tokcom.models.source_coding import load_frame_coder
from tokcom.packets.codebook import codebook_id

from ._background import BackgroundPduBlock
from ._frame_keys import frame_keys, frame_of
from ._pdu import required
from ._pdu_block import Unknown


class source_decoder(BackgroundPduBlock):
    """Decode the bits of Source Encoder to tokens; those of a lost or wrong block are -1.

    Token Recovery guesses lost tokens, and Image Detokenizer shows them grey. It works in a separate thread behind a
    bounded queue, on the CPU. Wrong blocks, whose hash does not match, are logged and counted in `blocks_wrong`; frames
    of other content are counted in `frames_unknown`, and the content is logged the first time.

    Input: message port "bits", PDUs of s32 bits, -1 where lost, one frame each, from Packet Decoder or Token Receiver,
        with tokens_per_packet: each packet is a block.
    Output: message port "tokens", PDUs of s32 tokens, -1 where lost, one frame each, with modality, codebook,
        codebook_size, grid, and queued.source_decoder and dropped.source_decoder: numbers of frames waiting and dropped
        so far.

    Parameters:
        model: the encoder's model, by name or folder.
        turns: evaluations of the context model per block, 1 to 255, as in Source Encoder. The number of blocks is that
            of the packets.
        queue_size: largest number of frames waiting, at least 1; beyond it the oldest are dropped, logged and counted.
    """

    INPUT, OUTPUT, INPUT_KIND, STAGE = "bits", "tokens", "int32", "source_decoder"

    def __init__(self, model: str = DEFAULT_MODEL, turns: int = 16, queue_size: int = 16):
        BackgroundPduBlock.__init__(self, "Source Decoder", queue_size)
        self._coder = load_frame_coder(model, turns)
        self._unknown = Unknown(self)
        self.blocks_wrong = 0

    def process(self, meta: Mapping, data: np.ndarray) -> tuple[dict, np.ndarray] | None:
        bits = frame_of(meta, data)
        if not isinstance(bits, BitFrame):
            raise FrameError(f"frame {bits.frame_id} holds tokens; connect a port of bits")
        if codebook_id(bits.content) != codebook_id(self._coder.content):
            self._unknown.count(
                bits.content,
                f"frame {bits.frame_id} holds {bits.content}; this decoder takes {self._coder.content}: such frames "
                "are not decoded",
            )
            return None
        frame, errors = self._coder.decode(bits, required(meta, keys.TOKENS_PER_PACKET, int))
        if errors:
            self.blocks_wrong += len(errors)
            self.logger.warn(f"{len(errors)} blocks are wrong ({self.blocks_wrong} so far): {errors[0]}")
        return {keys.PAYLOAD: None} | frame_keys(frame), frame.tokens
