from collections import OrderedDict
from collections.abc import Mapping

import numpy as np

from tokcom import keys
from tokcom.frame import LOST
from tokcom.models.speech import DEFAULT_SPEECH_MODEL, load_speech_tokenizer
from tokcom.packets.header_fields import FRAME_IDS
from tokcom.tokenizers.pitch import FRAME, RATE
from tokcom.tokenizers.speech import SpeechDecoder

from ._frame_keys import frame_of
from ._pdu_block import PduBlock, Unknown

QUEUE_SIZE = 64
"""Largest number of frames waiting."""
STREAMS = 16
"""Streams whose sound goes on from frame to frame."""
LONGEST_GAP = 2.0
"""Seconds of missing frames in whose place the sound fades; a longer gap begins a new sound."""


class audio_detokenizer(PduBlock):
    """Turn tokens back into speech, each stream as one sound; in place of a missing frame, the sound before it fades.

    A frame that comes after a later one is too late; it is counted in `frames_late`. Frames of other codebooks are
    counted in `frames_unknown`. Where frames come faster than they are decoded, the oldest of more than 64 are dropped.

    Input: message port "tokens", PDUs of s32 tokens, one frame each, -1 where lost.
    Output: message port "sounds", PDUs of f32 samples at 8 kHz, as many frames of 40 ms as there were, 20 ms late. For
        a loudspeaker, connect it to GNU Radio's PDU to Tagged Stream and Audio Sink.

    Parameters:
        model: a model of speech, by name or folder: that of the transmitter.
    """

    INPUT, OUTPUT, INPUT_KIND, STAGE = "tokens", "sounds", "int32", "detokenizer"

    def __init__(self, model: str = DEFAULT_SPEECH_MODEL):
        PduBlock.__init__(self, "Audio Detokenizer", QUEUE_SIZE)
        self._tokenizer = load_speech_tokenizer(model)
        self._streams: OrderedDict[int, tuple[SpeechDecoder, int]] = OrderedDict()
        self._unknown = Unknown(self)
        self.frames_late = 0

    def start(self) -> bool:
        self._streams.clear()
        return True

    def process(self, meta: Mapping, data: np.ndarray) -> tuple[dict, np.ndarray] | None:
        frame = frame_of(meta, data)
        if frame.codebook != self._tokenizer.codebook:
            self._unknown.count_frame(frame, self._tokenizer.codebook, "not heard")
            return None
        self._tokenizer.require(frame)
        words, number = frame.tokens.reshape(frame.grid), frame.frame_id % FRAME_IDS
        stream = meta.get(keys.STREAM_ID, 0)
        decoder, expected = self._streams.pop(stream, (SpeechDecoder(self._tokenizer), number))
        gap = (number - expected) % FRAME_IDS
        if gap * words.shape[1] * FRAME > LONGEST_GAP * RATE:
            late = FRAME_IDS - gap
            if late * words.shape[1] * FRAME <= LONGEST_GAP * RATE:
                self._streams[stream] = decoder, expected
                self.frames_late += 1
                return None
            decoder, gap = SpeechDecoder(self._tokenizer), 0
        missing = np.full((len(words), gap * words.shape[1]), LOST, np.int32)
        sound = decoder.push(np.concatenate([missing, words], 1))
        self._streams[stream] = decoder, (number + 1) % FRAME_IDS
        while len(self._streams) > STREAMS:
            self._streams.popitem(last=False)
        return {keys.TOKENS: None}, sound
