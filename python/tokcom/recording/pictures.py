"""Received frames as picture files."""

import re
from collections.abc import Sequence
from functools import cached_property
from pathlib import Path

import numpy as np
from PIL import Image

from tokcom.context.prior import Prior
from tokcom.device import AUTO
from tokcom.errors import FrameError, ModelError, ParameterError, PictureError
from tokcom.frame import TokenFrame
from tokcom.models.by_codebook import load_detokenizers, load_priors
from tokcom.models.codebooks import codebook
from tokcom.models.zoo import load_tokenizer
from tokcom.packets.by_codebook import ByCodebook
from tokcom.source.filling import filled_picture, shows_mixtures, whole_picture

LONGEST_NAME = 255
"""Longest file name that file systems accept, in bytes."""


def file_name(number: str, name: str, stage: str) -> str:
    """Build NUMBER-NAME-STAGE.png, truncating a name that is too long for file systems and omitting an empty one.

    Args:
        number: number that makes the file name unique.
        name: the user's name of the picture; characters that file names cannot hold are replaced.
        stage: "sent", "recovered" …
    """
    name = re.sub(r"[/\0]", "_", name)
    room = LONGEST_NAME - len(f"{number}--{stage}.png".encode())
    name = name.encode("utf-8", "replace")[:room].decode("utf-8", "ignore")
    return "-".join(part for part in (number, name, stage) if part) + ".png"


def save_picture(picture: np.ndarray, path: Path) -> None:
    """Write a picture, uint8 (height, width, 3), as a PNG file; never leave a partial file behind.

    Raises:
        PictureError: the file cannot be written; the message names it.
    """
    try:
        Image.fromarray(picture).save(path)
    except OSError as error:
        if path.is_file():
            path.unlink(missing_ok=True)
        raise PictureError(f"{path}: the picture cannot be saved: {error.strerror or error}") from None


class PictureFolder:
    """Folder of frames' pictures as PNG files; patches of lost tokens are grey.

    Args:
        folder: the folder, created if missing.
        models: names of the models that made the tokens, as a list or separated by commas; frames of others have no
            picture.
        device: as in `device.find_device`.

    Raises:
        ModelError: there is no such model, or it is broken.
        PictureError: the folder cannot be created.
    """

    def __init__(self, folder: str | Path, models: str | Sequence[str], device: str = AUTO):
        self._folder, self._device = Path(folder), device
        self._tokenizers = load_detokenizers(models, device)
        self._models = models
        try:
            self._folder.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise PictureError(f"{folder}: pictures cannot be saved here: {error.strerror}") from None

    @cached_property
    def _priors(self) -> ByCodebook[Prior]:
        """Context models, which only frames with guessed tokens need."""
        return load_priors(self._models, self._device)

    def add(self, model: str) -> None:
        """Show frames of another model, too; raises as `codebooks.codebook` does."""
        self._tokenizers.add(codebook(model), lambda: load_tokenizer(model, 0, self._device))

    def save(
        self, frame: TokenFrame, number: int, arrived: TokenFrame | None = None, prior: Prior | None = None,
        confidence: np.ndarray | None = None,
    ) -> str | None:  # fmt: skip
        """Write the picture of a frame as NUMBER-FRAME.png.

        Args:
            frame: made whole, or as it is.
            number: in the file's name.
            arrived: the same with the tokens that came alone, LOST elsewhere, and prior, which predicts them: a
                mixture of what it expects has a smaller error than the tokens that it finds likeliest. None: the tokens
                of `frame` are shown.
            prior: of the codebook.
            confidence: as in `source.filling.whole_picture`.

        Returns:
            The file's name; None if no model here has the frame's codebook and grid.

        Raises:
            PictureError: the file cannot be written.
        """
        tokenizer = self._tokenizers.find(frame.codebook)
        if tokenizer is None:
            return None
        try:
            # Frames that follow another are predicted from that, which is not here.
            alone = arrived is not None and prior is not None and not frame.follows
            if alone and arrived.lost.any() and shows_mixtures(tokenizer):
                picture = filled_picture(arrived, prior, tokenizer)
            else:
                picture = whole_picture(frame, tokenizer, lambda: self._priors.find(frame.codebook), confidence)
        except (FrameError, ModelError, ParameterError):
            return None
        path = self._folder / f"{number:04d}-{frame.frame_id:04d}.png"
        save_picture(picture, path)
        return path.name

    def save_caption(self, picture: str, caption: str) -> None:
        """Write the caption of a picture that was saved, as NUMBER-FRAME.txt beside it.

        Raises:
            PictureError: the file cannot be written.
        """
        path = (self._folder / picture).with_suffix(".txt")
        try:
            path.write_text(caption + "\n", encoding="utf-8")
        except OSError as error:
            raise PictureError(f"{path}: the caption cannot be saved: {error.strerror or error}") from None
