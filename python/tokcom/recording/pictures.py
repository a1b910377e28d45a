"""Received frames as picture files."""

import re
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from PIL import Image

from tokcom.device import AUTO
from tokcom.errors import FrameError, PictureError
from tokcom.frame import TokenFrame
from tokcom.models.zoo import load_detokenizers

LONGEST_NAME = 255
"""Bytes of a file's name that file systems take."""


def file_name(number: str, name: str, stage: str) -> str:
    """NUMBER-NAME-STAGE.png; a name that is too long for a file system is cut, one that is empty left out.

    Args:
        number: what makes the file's name unique.
        name: what the user calls the picture; what no file name may hold is replaced.
        stage: "sent", "recovered" …
    """
    name = re.sub(r"[/\0]", "_", name)
    room = LONGEST_NAME - len(f"{number}--{stage}.png".encode())
    name = name.encode("utf-8", "replace")[:room].decode("utf-8", "ignore")
    return "-".join(part for part in (number, name, stage) if part) + ".png"


def save_picture(picture: np.ndarray, path: Path) -> None:
    """Write a picture, uint8 (height, width, 3), as a PNG file; a part of one does not stay behind.

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
    """Saves the pictures of frames as PNG files; patches of lost tokens are grey.

    Args:
        folder: created where there is none.
        models: those that made the tokens, in a list or between commas; frames of others have no picture.
        device: as in `device.find_device`.

    Raises:
        ModelError: there is no such model, or it is broken.
        PictureError: the folder cannot be created.
    """

    def __init__(self, folder: str | Path, models: str | Sequence[str], device: str = AUTO):
        self._folder = Path(folder)
        self._tokenizers = load_detokenizers(models, device)
        try:
            self._folder.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise PictureError(f"{folder}: pictures cannot be saved here: {error.strerror}") from None

    def save(self, frame: TokenFrame, number: int) -> str | None:
        """Write the picture of a frame as NUMBER-FRAME.png.

        Returns:
            The file's name; None where the frame is of no model here: codebook or grid are others.

        Raises:
            PictureError: the file cannot be written.
        """
        tokenizer = self._tokenizers.find(frame.codebook)
        if tokenizer is None:
            return None
        try:
            picture = tokenizer.detokenize(frame)
        except FrameError:
            return None
        path = self._folder / f"{number:04d}-{frame.frame_id:04d}.png"
        save_picture(picture, path)
        return path.name
