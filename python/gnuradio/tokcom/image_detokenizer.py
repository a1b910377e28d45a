import time
from collections.abc import Mapping, Sequence
from functools import cached_property

import numpy as np
import pmt

from tokcom import keys
from tokcom.context.prior import Prior
from tokcom.frame import TokenFrame
from tokcom.link import modes
from tokcom.link.steady_view import SteadyView
from tokcom.models.by_codebook import load_detokenizers, load_priors
from tokcom.models.folders import DEFAULT_MODEL
from tokcom.packets.by_codebook import ByCodebook
from tokcom.source.filling import whole_picture
from tokcom.tokenizers.groups import frames_of
from tokcom.tokenizers.picture_tokenizer import PictureTokenizer

from ._frame_keys import frame_keys, frame_of
from ._pdu import optional, vector_of
from ._pdu_block import PduBlock, Unknown

QUEUE_SIZE = 64
"""Largest number of frames waiting."""


class image_detokenizer(PduBlock):
    """Turn tokens back into pictures; lost tokens (-1) are plain grey. Where a token of a video's frame is that of the
    frame before, what is shown hardly changes. In place of tokens that Token Recovery guessed, what the model expects
    is shown: of those that a thinned frame did not send, and of those that are more likely wrong than right.

    If more than 64 frames are waiting, the oldest are dropped, logged and counted. Frames of unknown codebooks are
    counted in `frames_unknown`, and the codebook is logged the first time.

    Input: message port "tokens", PDUs of s32 tokens, one frame each.
    Output: message port "pictures", PDUs of u8 RGB values, with height, width and the tokens added; of a group, one per
    picture, each with its own frame_id, grid and follows.

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
        self._models, self._device = models, device
        self._view = SteadyView()
        self._unknown = Unknown(self)

    @cached_property
    def _priors(self) -> ByCodebook[Prior]:
        """Context models, which only frames with guessed tokens need."""
        return load_priors(self._models, self._device)

    def process(self, meta: Mapping, data: np.ndarray) -> tuple[dict, np.ndarray] | None:
        frame = frame_of(meta, data)
        tokenizer = self._tokenizers.find(frame.codebook)
        if tokenizer is None:
            self._unknown.count_frame(frame, self._tokenizers.known(), "not shown")
            return None
        *earlier, last = frames_of(frame)
        confidence, count = _confidence(meta), len(earlier) + 1
        shares = np.split(confidence, count) if confidence.size == data.size else [None] * count
        for each, share in zip(earlier, shares, strict=False):
            started = time.perf_counter()
            shown = self._shown(meta, tokenizer, each, share)
            self._publish(self._received, *shown, time.perf_counter() - started)
        return self._shown(meta, tokenizer, last, shares[-1])

    def _shown(
        self, meta: Mapping, tokenizer: PictureTokenizer, frame: TokenFrame, confidence: np.ndarray | None
    ) -> tuple[dict, np.ndarray]:
        """Decode a frame; return the keys to add, and its picture."""
        shown_by = modes.shown_by(meta.get(keys.MODE), confidence)
        picture = whole_picture(frame, tokenizer, lambda: self._priors.find(frame.codebook), shown_by)
        picture = self._view.show(frame, picture, optional(meta, keys.STREAM_ID, int, 0))
        tokens = pmt.init_s32vector(len(frame.tokens), frame.tokens.tolist())
        added = {keys.HEIGHT: picture.shape[0], keys.WIDTH: picture.shape[1], keys.TOKENS: tokens}
        if confidence is not None:
            added[keys.CONFIDENCE] = vector_of(confidence)
        return {keys.FOLLOWS: None} | frame_keys(frame) | added, picture


def _confidence(meta: Mapping) -> np.ndarray:
    """Return the confidence in each token; none if it is unknown."""
    return np.asarray(meta.get(keys.CONFIDENCE, np.zeros(0)), np.float32)
