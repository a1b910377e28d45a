import time
from collections.abc import Hashable, Mapping
from dataclasses import dataclass

import numpy as np

from tokcom import keys
from tokcom.errors import ParameterError
from tokcom.frame import MAX_FOLLOWS, TokenFrame
from tokcom.link.frame_memory import FrameMemory
from tokcom.models.folders import DEFAULT_MODEL
from tokcom.models.zoo import load_video_tokenizer
from tokcom.packets.header_fields import FRAME_IDS
from tokcom.tokenizers.groups import MAX_GROUP, joined
from tokcom.tokenizers.pictures import square

from ._background import BackgroundPduBlock
from ._frame_keys import frame_keys, picture_of
from ._pdu import required


@dataclass
class _Held:
    """Frames that wait for the rest of their group, the metadata of the last, and the seconds spent on them."""

    frames: list[TokenFrame]
    received: object
    seconds: float = 0.0


class video_tokenizer(BackgroundPduBlock):
    """Turn the frames of a video into tokens, each chosen in view of the one before.

    Where the picture rests, tokens stay; the others are chosen so that the receiver, which knows the frame before, can
    predict them. A frame stands alone if it begins a new scene, if it is the first of its stream, or when the intra
    period is over. Several frames can be sent as a group, in one burst, which saves preambles and headers. The block
    works in a separate thread behind a bounded queue.

    Input: message port "pictures", PDUs of u8 RGB values with height and width.
    Output: message port "tokens", PDUs of s32 tokens, one frame or group each, with modality, codebook, codebook_size,
    grid, follows unless the (first) frame stands alone, and queued.tokenizer and dropped.tokenizer: numbers of pictures
    waiting and dropped so far.

    Parameters:
        model: a model of the zoo with a prior of videos, by name or folder.
        intra_period: frames from one that stands alone to the next, at least 1; 0: only new scenes stand alone.
        group: frames per group, 1 to 16; a picture then waits for the rest of its group. A group ends early before a
            frame that stands alone or is not the next one, and half a second after the last picture.
        visits: search passes per frame, at least 0. Four take a few tenths of a second.
        queue_size: largest number of pictures waiting, at least 1; beyond it the oldest are dropped, logged and
            counted: the frame rate follows what the processors and the link can take.
        device: where networks run: "auto" (a GPU where there is one), "cpu", "cuda", "cuda:N".
    """

    INPUT, OUTPUT, INPUT_KIND, STAGE = "pictures", "tokens", "uint8", "tokenizer"

    def __init__(
        self, model: str = DEFAULT_MODEL, intra_period: int = 0, group: int = 1, visits: int = 2, queue_size: int = 2,
        device: str = "auto",
    ):  # fmt: skip
        BackgroundPduBlock.__init__(self, "Video Tokenizer", queue_size)
        if intra_period < 0:
            raise ParameterError(f"intra_period is {intra_period}; it must be at least 0")
        if not 1 <= group <= MAX_GROUP:
            raise ParameterError(f"group is {group}; it must be 1 to {MAX_GROUP} frames")
        self._tokenizer, self._period = load_video_tokenizer(model, visits, device), intra_period
        self._memory = FrameMemory(frames=1)
        self._since: dict[object, int] = {}
        self._pictures: dict[object, np.ndarray] = {}
        self._group, self._held = group, {}
        self.frames_alone = 0

    @property
    def holding(self) -> bool:
        return bool(self._held)

    def stop(self) -> bool:
        stopped = BackgroundPduBlock.stop(self)
        left = sum(len(each.frames) for each in self._held.values())
        self._held.clear()
        if left:
            self.inputs_dropped += left
            self.logger.warn(f"stopped: {left} frames of a group dropped ({self.inputs_dropped} so far)")
        return stopped

    def on_silence(self) -> None:
        for stream in list(self._held):
            self._send(stream)

    def process(self, meta: Mapping, data: np.ndarray) -> tuple[dict, np.ndarray] | None:
        started = time.perf_counter()
        stream, frame_id = meta.get(keys.STREAM_ID), required(meta, keys.FRAME_ID, int)
        last = self._memory.last(stream)
        back = 0 if last is None else (frame_id - last.frame_id) % FRAME_IDS
        since = self._since.get(stream, 0) + 1
        due = self._period and since >= self._period
        before = last if 0 < back <= MAX_FOLLOWS and not due else None
        picture = picture_of(meta, data)
        frame = self._tokenizer.tokenize(
            picture, before, frame_id=frame_id, follows=max(back, 1), picture_before=self._pictures.get(stream)
        )
        self._pictures[stream] = square(picture, self._tokenizer.image_size)
        self._memory.keep(stream, frame)
        self._since[stream] = since if frame.follows else 0
        self.frames_alone += not frame.follows
        if self._group == 1:
            return frame_keys(frame), frame.tokens
        self._hold(stream, frame, time.perf_counter() - started)
        return None

    def _hold(self, stream: Hashable, frame: TokenFrame, seconds: float) -> None:
        """Add a frame to its stream's group, and send the group once it is complete."""
        held = self._held.get(stream)
        if held and (frame.follows != 1 or frame.frame_id != held.frames[-1].frame_id + 1):
            self._send(stream)
        held = self._held.setdefault(stream, _Held([], self._received))
        held.frames.append(frame)
        held.received, held.seconds = self._received, held.seconds + seconds
        if len(held.frames) == self._group:
            self._send(stream)

    def _send(self, stream: Hashable) -> None:
        held = self._held.pop(stream)
        group = joined(held.frames)
        self._publish(held.received, frame_keys(group), group.tokens, held.seconds)
