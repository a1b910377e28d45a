from collections.abc import Mapping

import numpy as np
import pmt

from tokcom import keys
from tokcom.models.text import DEFAULT_TEXT_MODEL, load_text_tokenizer

from ._frame_keys import frame_of
from ._pdu import vector_of
from ._pdu_block import PduBlock, Unknown

QUEUE_SIZE = 64
"""Largest number of frames waiting."""


class text_detokenizer(PduBlock):
    """Turn tokens back into text, and tell which words are not sure; what is lost comes out as U+FFFD.

    Where frames come faster than they can be shown, the oldest of more than 64 are dropped, logged and counted. Frames
    of other codebooks are counted in `frames_unknown`, and the codebook is logged the first time.

    Input: message port "tokens", PDUs of s32 tokens, one frame each, with the confidence in each token where it is
    known.
    Output: message port "texts", PDUs of u8 characters in UTF-8, with unsure and the tokens added.

    Parameters:
        model: a model of text, by name or folder: that of the transmitter.
    """

    INPUT, OUTPUT, INPUT_KIND, STAGE = "tokens", "texts", "int32", "detokenizer"

    def __init__(self, model: str = DEFAULT_TEXT_MODEL):
        PduBlock.__init__(self, "Text Detokenizer", QUEUE_SIZE)
        self._tokenizer = load_text_tokenizer(model)
        self._unknown = Unknown(self)

    def process(self, meta: Mapping, data: np.ndarray) -> tuple[dict, np.ndarray] | None:
        frame = frame_of(meta, data)
        if frame.codebook != self._tokenizer.codebook:
            self._unknown.count_frame(frame, self._tokenizer.codebook, "not shown")
            return None
        confidence = np.asarray(meta.get(keys.CONFIDENCE, np.zeros(0)), np.float32)
        if confidence.shape != frame.tokens.shape:
            confidence = np.where(frame.lost, 0, 1).astype(np.float32)
        text, unsure = bytearray(), []
        for word in self._tokenizer.words(frame.tokens, confidence):
            spelled = word.text.encode()
            if not (word.sure or word.text.isspace()):
                unsure += [len(text), len(spelled)]
            text += spelled
        tokens = pmt.init_s32vector(data.size, data.tolist())
        added = {keys.UNSURE: vector_of(np.array(unsure, np.int32)), keys.TOKENS: tokens}
        return added, np.frombuffer(bytes(text), np.uint8)
