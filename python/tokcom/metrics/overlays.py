"""Overlays on pictures: lost tokens outlined, confidence as a heat map."""

import numpy as np
from PIL import Image

from tokcom.errors import PictureError
from tokcom.tokenizers.pictures import require_picture

LOSS = (255, 122, 31)
"""Colour of the outlines, RGB."""
KNOWN = (110, 110, 110)
"""Colour of known tokens' cells, RGB."""
CELL = 12, 4
"""Height, and least width, of a token's cell in pixels."""
HEAT = np.array(
    [(0, 0, 4), (33, 12, 74), (87, 16, 110), (138, 34, 106), (188, 55, 84), (227, 89, 51), (249, 140, 10),
     (249, 201, 50), (252, 255, 164)]
)  # fmt: skip
"""Colours of doubt, RGB, in equal steps from 0 (black) to 1 (yellow), from the colour map "inferno"."""


def enlarge(picture: np.ndarray, side: int) -> np.ndarray:
    """Enlarge a picture by the largest integer factor that keeps its longer side at most `side` pixels; never shrink
    it.

    Args:
        picture: uint8 (height, width, 3).
        side: length in pixels.

    Returns:
        uint8 (height * n, width * n, 3).

    Raises:
        PictureError: the array is not an RGB picture.
    """
    require_picture(picture)
    times = max(1, side // max(picture.shape[:2]))
    return np.repeat(np.repeat(picture, times, axis=0), times, axis=1)


def outline_tokens(picture: np.ndarray, marked: np.ndarray, thickness: int = 2) -> np.ndarray:
    """Draw a line around each region of marked tokens.

    Args:
        picture: uint8 (height, width, 3).
        marked: bool (rows, columns): the grid of tokens that covers the picture.
        thickness: thickness of the line in pixels, inside the region.

    Returns:
        uint8 (height, width, 3).

    Raises:
        PictureError: the array is not an RGB picture, or the grid does not divide it evenly.
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
    """Overlay a grey picture with a heat map of its tokens' doubt.

    Args:
        picture: uint8 (height, width, 3).
        confidence: float (rows, columns), probability of each token.

    Returns:
        uint8 (height, width, 3).

    Raises:
        PictureError: the array is not an RGB picture, or the grid does not divide it evenly.
    """
    doubt = 1 - np.clip(_spread(confidence, picture), 0, 1)[..., None]
    grey = np.asarray(Image.fromarray(picture).convert("L"))[..., None] * 0.6
    # Start at half of the scale: a doubt of less than a percent must be visible.
    share = np.where(doubt > 0.001, 0.5 + 0.5 * doubt, 0)
    return np.round((1 - share) * grey + share * _heat(doubt[..., 0])).astype(np.uint8)


def loss_strip(picture: np.ndarray, lost: np.ndarray) -> np.ndarray:
    """Put a strip of cells under a picture, one per token: for tokens that have no place in it.

    Args:
        picture: uint8 (height, width, 3).
        lost: bool (n,), tokens whose cells have the colour of a loss; others are grey.

    Returns:
        uint8 (height + height of the strip, width, 3).

    Raises:
        PictureError: the array is not an RGB picture.
    """
    return _with_cells(picture, np.where(lost[:, None], LOSS, KNOWN))


def doubt_strip(picture: np.ndarray, confidence: np.ndarray) -> np.ndarray:
    """Do as `loss_strip` with the tokens' confidence, float (n,), in the colours of `heat_map`."""
    return _with_cells(picture, _heat(1 - np.clip(confidence, 0, 1)))


def _with_cells(picture: np.ndarray, colours: np.ndarray) -> np.ndarray:
    """Put cells of the colours (n, 3) under a picture, in as many rows as their width needs."""
    require_picture(picture)
    height, width = picture.shape[:2]
    per_row = min(len(colours), max(1, width // CELL[1]))
    rows = -(-len(colours) // per_row)
    cells = np.zeros((rows * per_row, 3), np.uint8)
    cells[: len(colours)] = np.round(colours)
    cells = cells.reshape(rows, per_row, 3)[:, np.arange(width) * per_row // width]
    tall = max(1, min(CELL[0], height // rows))
    return np.concatenate([picture, np.repeat(cells, tall, axis=0)])


def heat_scale(length: int) -> np.ndarray:
    """Make a legend for `heat_map`: its colours from doubt 0 to 1, uint8 (1, length, 3)."""
    return np.round(_heat(np.linspace(0, 1, length)[None])).astype(np.uint8)


def _heat(doubt: np.ndarray) -> np.ndarray:
    """Map doubts from 0 to 1 to colours, float (..., 3); even the least doubt differs from black."""
    steps = np.linspace(0, 1, len(HEAT))
    return np.stack([np.interp(0.25 + 0.75 * doubt, steps, HEAT[:, channel]) for channel in range(3)], axis=-1)


def _spread(grid: np.ndarray, picture: np.ndarray) -> np.ndarray:
    """Repeat one value per token to one per pixel."""
    require_picture(picture)
    height, width = picture.shape[:2]
    if grid.ndim != 2 or not grid.size or height % grid.shape[0] or width % grid.shape[1]:
        raise PictureError(f"a grid of shape {grid.shape} does not divide {width} x {height} pixels evenly")
    return np.repeat(np.repeat(grid, height // grid.shape[0], axis=0), width // grid.shape[1], axis=1)
