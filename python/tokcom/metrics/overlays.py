"""Pictures that show what happened to their tokens: lost ones outlined, confidence as heat."""

import numpy as np
from PIL import Image

from tokcom.errors import PictureError
from tokcom.tokenizers.pictures import require_picture

LOSS = (255, 122, 31)
"""Colour of outlines, RGB."""
HEAT = np.array(
    [(0, 0, 4), (33, 12, 74), (87, 16, 110), (138, 34, 106), (188, 55, 84), (227, 89, 51), (249, 140, 10),
     (249, 201, 50), (252, 255, 164)]
)  # fmt: skip
"""Colours of doubt, RGB, at equal steps from none (black) to all (yellow): those of the colour map "inferno"."""


def enlarge(picture: np.ndarray, side: int) -> np.ndarray:
    """A picture in whole multiples of its pixels, with a longer side of `side` pixels at most, but never smaller.

    Args:
        picture: uint8 (height, width, 3).
        side: pixels.

    Returns:
        uint8 (height * n, width * n, 3).

    Raises:
        PictureError: the array is not an RGB picture.
    """
    require_picture(picture)
    times = max(1, side // max(picture.shape[:2]))
    return np.repeat(np.repeat(picture, times, axis=0), times, axis=1)


def outline_tokens(picture: np.ndarray, marked: np.ndarray, thickness: int = 2) -> np.ndarray:
    """A picture with a line around each region of marked tokens.

    Args:
        picture: uint8 (height, width, 3).
        marked: bool (rows, columns): the grid of tokens that covers the picture.
        thickness: of the line in pixels, inside of the region.

    Returns:
        uint8 (height, width, 3).

    Raises:
        PictureError: the array is no RGB picture, or the grid does not divide it evenly.
    """
    region = _spread(marked, picture)
    inside = np.pad(region, thickness)
    inner = region.copy()
    rows, columns = region.shape
    for down in range(2 * thickness + 1):
        for right in range(2 * thickness + 1):
            inner &= inside[down : down + rows, right : right + columns]
    outlined = picture.copy()
    outlined[region & ~inner] = LOSS
    return outlined


def heat_map(picture: np.ndarray, confidence: np.ndarray) -> np.ndarray:
    """A picture in grey, over which tokens glow the more, the less sure they are.

    Args:
        picture: uint8 (height, width, 3).
        confidence: float (rows, columns), probability of each token.

    Returns:
        uint8 (height, width, 3).

    Raises:
        PictureError: the array is no RGB picture, or the grid does not divide it evenly.
    """
    doubt = 1 - np.clip(_spread(confidence, picture), 0, 1)[..., None]
    grey = np.asarray(Image.fromarray(picture).convert("L"))[..., None] * 0.6
    # Half of the heat is there from the least doubt on: a share of a percent must be told from none.
    share = np.where(doubt > 0.001, 0.5 + 0.5 * doubt, 0)
    return np.round((1 - share) * grey + share * _heat(doubt[..., 0])).astype(np.uint8)


def heat_scale(length: int) -> np.ndarray:
    """The colours of `heat_map` from no doubt to all, uint8 (1, length, 3), as a legend."""
    return np.round(_heat(np.linspace(0, 1, length)[None])).astype(np.uint8)


def _heat(doubt: np.ndarray) -> np.ndarray:
    """The colour of each doubt from 0 to 1, float (..., 3): even the least one is told from black."""
    steps = np.linspace(0, 1, len(HEAT))
    return np.stack([np.interp(0.25 + 0.75 * doubt, steps, HEAT[:, channel]) for channel in range(3)], axis=-1)


def _spread(grid: np.ndarray, picture: np.ndarray) -> np.ndarray:
    """A value for each pixel from one for each token."""
    require_picture(picture)
    height, width = picture.shape[:2]
    if grid.ndim != 2 or not grid.size or height % grid.shape[0] or width % grid.shape[1]:
        raise PictureError(f"a grid of shape {grid.shape} does not divide {width} x {height} pixels evenly")
    return np.repeat(np.repeat(grid, height // grid.shape[0], axis=0), width // grid.shape[1], axis=1)
