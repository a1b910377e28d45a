"""Received frames as picture files."""

from pathlib import Path

from PIL import Image

from tokcom.errors import FrameError, PictureError
from tokcom.frame import TokenFrame
from tokcom.models.zoo import load_tokenizer


class PictureFolder:
    """Saves the pictures of frames as PNG files; patches of lost tokens are grey.

    Args:
        folder: created where there is none.
        model: the model that made the tokens; frames of others have no picture.

    Raises:
        ModelError: there is no such model, or it is broken.
        PictureError: the folder cannot be created.
    """

    def __init__(self, folder: str | Path, model: str):
        self._folder = Path(folder)
        self._tokenizer = load_tokenizer(model, 0)
        try:
            self._folder.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise PictureError(f"{folder}: pictures cannot be saved here: {error.strerror}") from None

    def save(self, frame: TokenFrame, number: int) -> str | None:
        """Write the picture of a frame as NUMBER-FRAME.png.

        Returns:
            The file's name; None where the frame is not the model's: codebook or grid are others.

        Raises:
            PictureError: the file cannot be written.
        """
        try:
            picture = self._tokenizer.detokenize(frame)
        except FrameError:
            return None
        path = self._folder / f"{number:04d}-{frame.frame_id:04d}.png"
        try:
            Image.fromarray(picture).save(path)
        except OSError as error:
            raise PictureError(f"{path}: the picture cannot be saved: {error.strerror}") from None
        return path.name
