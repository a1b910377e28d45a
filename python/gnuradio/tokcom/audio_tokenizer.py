from collections.abc import Mapping
from dataclasses import replace

import numpy as np

from tokcom import keys
from tokcom.errors import ParameterError, SpeechError
from tokcom.models.speech import DEFAULT_SPEECH_MODEL, load_speech_tokenizer
from tokcom.packets.header_fields import FRAME_IDS
from tokcom.tokenizers.speech import SpeechEncoder, checked

from ._frame_keys import frame_keys
from ._pdu_block import PduBlock


class audio_tokenizer(PduBlock):
    """Turn speech into tokens as it comes: the words of 40 ms are known 41 ms after its end.

    Input: message port "sounds", PDUs of f32 samples at 8 kHz within ±1, of any length, one after the other.
    Output: message port "tokens", PDUs of s32 tokens, one frame each, with modality, codebook, codebook_size, grid and
        quantizers, numbered from 0; each follows the one before.

    Parameters:
        model: a model of speech, by name or folder.
        frames: frames of 40 ms per frame of tokens, 1 to 250; the context model of `speech8k` takes at most 20.
    """

    INPUT, OUTPUT, INPUT_KIND, STAGE = "sounds", "tokens", "float32", "tokenizer"

    def __init__(self, model: str = DEFAULT_SPEECH_MODEL, frames: int = 4):
        PduBlock.__init__(self, "Audio Tokenizer")
        if not 1 <= frames <= 250:
            raise ParameterError(f"frames is {frames}; it must be 1 to 250")
        self._tokenizer, self._frames = load_speech_tokenizer(model), frames
        self._reset()

    def start(self) -> bool:
        self._reset()
        return True

    def _reset(self) -> None:
        self._encoder = SpeechEncoder(self._tokenizer)
        self._words = np.zeros((self._tokenizer.quantizers, 0), np.int32)
        self.frames_made = 0

    def process(self, meta: Mapping, data: np.ndarray) -> tuple[dict, np.ndarray] | None:
        if not len(data):
            raise SpeechError("the PDU holds no samples")
        checked(data)
        self._words = np.concatenate([self._words, self._encoder.push(data)], 1)
        while self._words.shape[1] >= 2 * self._frames:
            self._publish(self._received, *self._next(), 0.0)
        return self._next() if self._words.shape[1] >= self._frames else None

    def _next(self) -> tuple[dict, np.ndarray]:
        words, self._words = np.split(self._words, [self._frames], 1)
        frame = self._tokenizer.frame(words, self.frames_made % FRAME_IDS)
        frame = replace(frame, follows=int(self.frames_made > 0))
        self.frames_made += 1
        return frame_keys(frame) | {keys.NAME: None}, frame.tokens
