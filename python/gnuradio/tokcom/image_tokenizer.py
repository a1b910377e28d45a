from collections.abc import Mapping

import numpy as np

from tokcom import keys
from tokcom.context.classifier import class_label
from tokcom.models.zoo import DEFAULT_MODEL, load_classifier, load_tokenizer, model_card
from tokcom.tokenizers.pictures import square

from ._pdu import PduBlock, frame_keys, picture_of, required

QUEUE_SIZE = 64
"""Pictures that may wait."""


class image_tokenizer(PduBlock):
    """Turn pictures into tokens of a model's codebook.

    The central square of each picture is resampled to the model's size. Where pictures come faster than that is done,
    the oldest of more than 64 are dropped, logged and counted.

    Input: message port "pictures", PDUs of u8 RGB values with height and width.
    Output: message port "tokens", PDUs of s32 tokens, one frame each, with modality, codebook, codebook_size, grid,
    and cmi and cmi_name where a label is sent.

    Parameters:
        model: a model of the zoo, by name or folder.
        cmi: "auto": the model's classifier names the class; "none": no label; else the class, by name or number.
    """

    INPUT, OUTPUT, INPUT_KIND, STAGE = "pictures", "tokens", "uint8", "tokenizer"

    def __init__(self, model: str = DEFAULT_MODEL, cmi: str = "auto"):
        PduBlock.__init__(self, "Image Tokenizer", QUEUE_SIZE)
        self._tokenizer = load_tokenizer(model)
        self._classes = model_card(model).classes
        self._classifier = load_classifier(model) if cmi == "auto" else None
        self._label = None if cmi in ("auto", "none") else class_label(cmi, self._classes)

    def process(self, meta: Mapping, data: np.ndarray) -> tuple[dict, np.ndarray]:
        picture = square(picture_of(meta, data), self._tokenizer.image_size)
        label = self._label if self._classifier is None else self._classifier.label(picture)
        frame = self._tokenizer.tokenize(picture, cmi=label, frame_id=required(meta, keys.FRAME_ID, int))
        named = {} if label is None else {keys.CMI_NAME: self._classes[label]}
        return frame_keys(frame) | named, frame.tokens
