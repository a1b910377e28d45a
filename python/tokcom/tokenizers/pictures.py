"""Pictures as arrays: any file that Pillow opens becomes 8-bit RGB, cropped to the square that a tokenizer takes."""

import math
import warnings
from pathlib import Path, PurePath
from typing import BinaryIO

import numpy as np
from PIL import ExifTags, Image, UnidentifiedImageError

from tokcom.errors import PictureError

EXTENSIONS = frozenset(
    {".png", ".jpg", ".jpeg", ".webp", ".avif", ".bmp", ".gif", ".tif", ".tiff", ".ppm", ".pgm", ".jp2"}
)
"""File name endings that count as pictures when a folder is searched."""
FOREIGN = frozenset({"@eaDir", "__MACOSX", "#recycle", "lost+found", "$RECYCLE.BIN", "System Volume Information"})
"""Folders that file servers, archivers and file systems create among a user's own."""


MAX_PIXELS = 1 << 20
"""Pixels to which larger pictures are reduced, far more than a tokenizer uses."""
UPRIGHT = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}
"""Transpositions that make a picture upright, by EXIF orientation."""


def load_picture(file: str | Path | BinaryIO, max_pixels: int | None = MAX_PIXELS) -> np.ndarray:
    """Read a picture of any size and kind: grey, palette, alpha (over white), 16-bit, EXIF-rotated.

    Args:
        file: path, or a binary file open for reading.
        max_pixels: larger pictures are reduced to this many pixels (Lanczos); None for no reduction.

    Returns:
        uint8 array (height, width, 3), RGB.

    Raises:
        PictureError: the file does not exist, is not a picture, or is corrupt; the message names it.
    """
    name = str(file) if isinstance(file, str | Path) else getattr(file, "name", "the picture")
    try:
        # Pillow warns of large pictures, which are reduced here, and of invalid EXIF, which is ignored.
        with warnings.catch_warnings(action="ignore"), Image.open(file) as image:
            if max_pixels is not None:
                _draft(image, max_pixels)
            image.load()
            return _reduced(_rgb(_upright(image)), max_pixels)
    except FileNotFoundError:
        raise PictureError(f"{name}: no such file") from None
    except IsADirectoryError:
        raise PictureError(f"{name}: a folder, not a picture") from None
    except UnidentifiedImageError:
        raise PictureError(f"{name}: not a picture in a format that Pillow reads") from None
    except Exception as error:
        # Decoders of corrupt files raise exceptions of any type.
        raise PictureError(f"{name}: the picture cannot be read: {error}") from None


def _draft(image: Image.Image, max_pixels: int) -> None:
    """Have a JPEG decoded at an eighth, a quarter or half of its size, if that leaves enough pixels."""
    shrink = math.sqrt(image.width * image.height / max_pixels)
    if shrink > 1:
        image.draft(None, (math.ceil(image.width / shrink), math.ceil(image.height / shrink)))


def _upright(image: Image.Image) -> Image.Image:
    """Turn a picture upright by its EXIF orientation; invalid EXIF is ignored."""
    try:
        method = UPRIGHT.get(image.getexif().get(ExifTags.Base.Orientation))
    except Exception:
        return image
    return image if method is None else image.transpose(method)


def _reduced(picture: np.ndarray, max_pixels: int | None) -> np.ndarray:
    height, width = picture.shape[:2]
    if max_pixels is None or height * width <= max_pixels:
        return picture
    shrink = math.sqrt(height * width / max_pixels)
    size = max(1, int(width / shrink)), max(1, int(height / shrink))
    return np.asarray(Image.fromarray(picture).resize(size, Image.Resampling.LANCZOS, reducing_gap=3.0))


def _rgb(image: Image.Image) -> np.ndarray:
    if image.mode.startswith(("I", "F")):
        # Pillow's own conversion clips 16-bit values at 255 instead of scaling them.
        values = np.asarray(image, dtype=np.float64)
        largest = values.max(initial=0)
        floats = image.mode == "F" and largest <= 255
        peak = (1.0 if largest <= 1 else 255.0) if floats else 65535.0
        grey = np.clip(values * (255.0 / peak), 0, 255).round().astype(np.uint8)
        return np.repeat(grey[:, :, None], 3, axis=2)
    if "A" in image.getbands() or "transparency" in image.info:
        image = image.convert("RGBA")
        paper = Image.new("RGBA", image.size, "white")
        image = Image.alpha_composite(paper, image)
    return np.asarray(image.convert("RGB"))


def square(picture: np.ndarray, size: int) -> np.ndarray:
    """Resample a picture's central square (Lanczos, antialiased).

    Args:
        picture: uint8 array (height, width, 3).
        size: side of the result in pixels.

    Returns:
        uint8 array (size, size, 3).

    Raises:
        PictureError: the array is not an RGB picture.
    """
    require_picture(picture)
    height, width = picture.shape[:2]
    side = min(height, width)
    left, top = (width - side) / 2, (height - side) / 2
    return resample(picture, (left, top, left + side, top + side), size)


def resample(picture: np.ndarray, box: tuple[float, float, float, float], size: int) -> np.ndarray:
    """Resample the part of a picture in box (left, top, right, bottom; pixels) to a uint8 array (size, size, 3)."""
    return np.asarray(Image.fromarray(picture).resize((size, size), Image.Resampling.LANCZOS, box=box))


def require_picture(picture: np.ndarray) -> None:
    """Raise PictureError unless the array is uint8 (height, width, 3) with at least one pixel."""
    if picture.dtype != np.uint8 or picture.ndim != 3 or picture.shape[2] != 3 or not picture.size:
        raise PictureError(
            f"a picture is a uint8 array (height, width, 3), not {picture.dtype} of shape {picture.shape}"
        )


def is_hidden(path: PurePath) -> bool:
    """Tell whether a relative path is hidden: the name of the file or of a folder above it begins with a dot, or is
    that of a file server's or archiver's own folder."""
    return any(part in FOREIGN or (part.startswith(".") and part not in (".", "..")) for part in path.parts)


def find_pictures(folder: str | Path) -> list[Path]:
    """List the picture files directly in a folder, sorted by name; hidden ones are skipped.

    Raises:
        PictureError: the folder does not exist, or has no pictures.
    """
    folder = Path(folder)
    if not folder.is_dir():
        raise PictureError(f"{folder}: no such folder")
    try:
        found = sorted(
            path
            for path in folder.iterdir()
            if path.suffix.lower() in EXTENSIONS and not is_hidden(PurePath(path.name)) and path.is_file()
        )
    except OSError as error:
        raise PictureError(f"{folder}: the folder cannot be read: {error.strerror}") from None
    if not found:
        raise PictureError(f"{folder}: no pictures in this folder (looked for {', '.join(sorted(EXTENSIONS))})")
    return found


def sample_pictures() -> list[Path]:
    """List the four sample photographs that come with the library (public domain: NASA, CC0).

    Raises:
        PictureError: this installation lacks them.
    """
    folder = Path(__file__).parent / "samples"
    found = [folder / name for name in ("astronaut.png", "chelsea.png", "coffee.png", "rocket.jpg")]
    for path in found:
        if not path.is_file():
            raise PictureError(f"{path}: the sample pictures are not installed; name pictures of your own")
    return found
