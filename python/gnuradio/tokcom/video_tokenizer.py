from collections.abc import Mapping

import numpy as np

from tokcom import keys
from tokcom.errors import ParameterError
from tokcom.frame import MAX_FOLLOWS
from tokcom.link.frame_memory import FrameMemory
from tokcom.models.zoo import DEFAULT_MODEL, load_video_tokenizer
from tokcom.packets.header import FRAME_IDS

from ._background import BackgroundPduBlock
from ._pdu import frame_keys, picture_of, required


class video_tokenizer(BackgroundPduBlock):
    """Turn the frames of a video into tokens, each chosen in view of the one before.

    Where the picture rests, tokens stay; the others are chosen so that the receiver, which knows the frame before, can
    predict them. A frame stands alone if it begins a new scene, if it is the first of its stream, or when the intra
    period is over. It works in a separate thread behind a bounded queue.

    Input: message port "pictures", PDUs of u8 RGB values with height and width.
    Output: message port "tokens", PDUs of s32 tokens, one frame each, with modality, codebook, codebook_size, grid,
    follows unless the frame stands alone, and queued.tokenizer and dropped.tokenizer: numbers of pictures waiting and
    dropped so far.

    Parameters:
        model: a model of the zoo with a prior of videos, by name or folder.
        intra_period: frames from one that stands alone to the next, at least 1; 0: only new scenes stand alone.
        visits: search passes per frame, at least 0. Four take a few tenths of a second.
        queue_size: largest number of pictures waiting, at least 1; beyond it the oldest are dropped, logged and
            counted: the frame rate follows what the processors and the link can take.
        device: where networks run: "auto" (a GPU where there is one), "cpu", "cuda", "cuda:N".
    """

    INPUT, OUTPUT, INPUT_KIND, STAGE = "pictures", "tokens", "uint8", "tokenizer"

    def __init__(
        self, model: str = DEFAULT_MODEL, intra_period: int = 0, visits: int = 2, queue_size: int = 2,
        device: str = "auto",
    ):  # fmt: skip
        BackgroundPduBlock.__init__(self, "Video Tokenizer", queue_size)
        if intra_period < 0:
            raise ParameterError(f"intra_period is {intra_period}; it must be at least 0")
        self._tokenizer, self._period = load_video_tokenizer(model, visits, device), intra_period
        self._memory = FrameMemory(frames=1)
        self._since: dict[object, int] = {}
        self.frames_alone = 0

    def process(self, meta: Mapping, data: np.ndarray) -> tuple[dict, np.ndarray]:
        stream, frame_id = meta.get(keys.STREAM_ID), required(meta, keys.FRAME_ID, int)
        last = self._memory.last(stream)
        back = 0 if last is None else (frame_id - last.frame_id) % FRAME_IDS
        since = self._since.get(stream, 0) + 1
        due = self._period and since >= self._period
        before = last if 0 < back <= MAX_FOLLOWS and not due else None
        picture = picture_of(meta, data)
        frame = self._tokenizer.tokenize(picture, before, frame_id=frame_id, follows=max(back, 1))
        self._memory.keep(stream, frame)
        self._since[stream] = since if frame.follows else 0
        self.frames_alone += not frame.follows
        return frame_keys(frame), frame.tokens
