from collections.abc import Mapping

import numpy as np
import pmt

from tokcom import keys
from tokcom.models.zoo import DEFAULT_MODEL, load_tokenizer

from ._pdu import PduBlock, frame_of

QUEUE_SIZE = 64
"""Frames that may wait."""


class image_detokenizer(PduBlock):
    """Turn tokens back into pictures; lost tokens (-1) come out plain grey.

    Where frames come faster than they can be shown, the oldest of more than 64 are dropped, logged and counted.

    Input: message port "tokens", PDUs of s32 tokens, one frame each.
    Output: message port "pictures", PDUs of u8 RGB values, with height, width and the tokens added.

    Parameters:
        model: a model of the zoo, by name or folder.
    """

    INPUT, OUTPUT, INPUT_KIND, STAGE = "tokens", "pictures", "int32", "detokenizer"

    def __init__(self, model: str = DEFAULT_MODEL):
        PduBlock.__init__(self, "Image Detokenizer", QUEUE_SIZE)
        self._tokenizer = load_tokenizer(model, 0)

    def process(self, meta: Mapping, data: np.ndarray) -> tuple[dict, np.ndarray]:
        frame = frame_of(meta, data)
        picture = self._tokenizer.detokenize(frame)
        tokens = pmt.init_s32vector(data.size, data.tolist())
        return {keys.HEIGHT: picture.shape[0], keys.WIDTH: picture.shape[1], keys.TOKENS: tokens}, picture
