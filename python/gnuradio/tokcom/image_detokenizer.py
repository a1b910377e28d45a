from collections.abc import Mapping, Sequence

import numpy as np
import pmt

from tokcom import keys
from tokcom.models.zoo import DEFAULT_MODEL, load_detokenizers

from ._pdu import PduBlock, Unknown, frame_of

QUEUE_SIZE = 64
"""Largest number of frames waiting."""


class image_detokenizer(PduBlock):
    """Turn tokens back into pictures; lost tokens (-1) are plain grey.

    If more than 64 frames are waiting, the oldest are dropped, logged and counted. Frames of unknown codebooks are
    counted in `frames_unknown`, and the codebook is logged the first time.

    Input: message port "tokens", PDUs of s32 tokens, one frame each.
    Output: message port "pictures", PDUs of u8 RGB values, with height, width and the tokens added.

    Parameters:
        models: models of the zoo, by name or folder, as a list or separated by commas. A single one is loaded at once;
            of several, each with its first frame.
        device: where networks run: "auto" (a GPU where there is one), "cpu", "cuda", "cuda:N"; or "onnx", of models
            that `./run models export` wrote.
    """

    INPUT, OUTPUT, INPUT_KIND, STAGE = "tokens", "pictures", "int32", "detokenizer"

    def __init__(self, models: str | Sequence[str] = DEFAULT_MODEL, device: str = "auto"):
        PduBlock.__init__(self, "Image Detokenizer", QUEUE_SIZE)
        self._tokenizers = load_detokenizers(models, device)
        self._unknown = Unknown(self)

    def process(self, meta: Mapping, data: np.ndarray) -> tuple[dict, np.ndarray] | None:
        frame = frame_of(meta, data)
        tokenizer = self._tokenizers.find(frame.codebook)
        if tokenizer is None:
            self._unknown.count_frame(frame, self._tokenizers.known(), "not shown")
            return None
        picture = tokenizer.detokenize(frame)
        tokens = pmt.init_s32vector(data.size, data.tolist())
        return {keys.HEIGHT: picture.shape[0], keys.WIDTH: picture.shape[1], keys.TOKENS: tokens}, picture
