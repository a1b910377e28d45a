"""Texts that belong to pictures, beside them in files."""

from pathlib import Path

from tokcom.errors import PictureError

MAX_CHARACTERS = 2000
"""Characters of the longest caption."""


def load_caption(picture: Path) -> str:
    """Read the caption of a picture from the file of the same name that ends in .txt, its white space made single
    spaces.

    Returns:
        The caption; empty if there is no such file, or nothing in it.

    Raises:
        PictureError: the file cannot be read, is not UTF-8, or holds more than MAX_CHARACTERS.
    """
    file = picture.with_suffix(".txt")
    try:
        with file.open("rb") as opened:
            content = opened.read(4 * MAX_CHARACTERS + 1)
    except FileNotFoundError:
        return ""
    except OSError as error:
        raise PictureError(f"{file}: the caption cannot be read: {error.strerror}") from None
    if len(content) > 4 * MAX_CHARACTERS:
        raise PictureError(f"{file}: a caption has at most {MAX_CHARACTERS} characters; shorten it")
    try:
        caption = " ".join(content.decode().split())
    except UnicodeDecodeError as error:
        raise PictureError(f"{file}: byte {error.start} of the caption is not UTF-8; convert the file") from None
    if len(caption) > MAX_CHARACTERS:
        raise PictureError(f"{file}: the caption has {len(caption)} characters; at most {MAX_CHARACTERS} are allowed")
    return caption
