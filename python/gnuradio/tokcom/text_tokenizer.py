from collections.abc import Mapping

import numpy as np

from tokcom import keys
from tokcom.errors import TextError
from tokcom.models.text import DEFAULT_TEXT_MODEL, load_text_tokenizer

from ._frame_keys import frame_keys
from ._pdu import required
from ._pdu_block import PduBlock


class text_tokenizer(PduBlock):
    """Turn text into tokens of a model's vocabulary.

    Every text comes out at the other end as it went in: what the vocabulary cannot spell goes byte by byte.

    Input: message port "texts", PDUs of u8 characters in UTF-8, one text each.
    Output: message port "tokens", PDUs of s32 tokens, one frame each, with modality, codebook, codebook_size and grid.
    Send them in order (Token Packetizer's layout "contiguous"): a language model reads from the first word to the last.

    Parameters:
        model: a model of text, by name or folder.
    """

    INPUT, OUTPUT, INPUT_KIND, STAGE = "texts", "tokens", "uint8", "tokenizer"

    def __init__(self, model: str = DEFAULT_TEXT_MODEL):
        PduBlock.__init__(self, "Text Tokenizer")
        self._tokenizer = load_text_tokenizer(model)

    def process(self, meta: Mapping, data: np.ndarray) -> tuple[dict, np.ndarray]:
        try:
            text = data.tobytes().decode()
        except UnicodeDecodeError as error:
            raise TextError(f"byte {error.start} of the text is not UTF-8") from None
        frame = self._tokenizer.tokenize(text, required(meta, keys.FRAME_ID, int))
        return frame_keys(frame), frame.tokens
