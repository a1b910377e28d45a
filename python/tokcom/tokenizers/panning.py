"""A camera that needs no hardware: it pans over the sample photographs, one scene each."""

from functools import lru_cache
from math import pi, sin

import numpy as np

from tokcom.tokenizers.pictures import load_picture, resample, sample_pictures

SCENE = 240
"""Frames per photograph."""
WINDOW = 0.55
"""Side of the window, as a share of the photograph's shorter side."""
SIDE = 128


class PanningCamera:
    """Camera that moves over one photograph after the other: the same frames each time.

    Args:
        number: frame from which it starts.
    """

    def __init__(self, number: int = 0):
        self._number = number

    def read(self) -> np.ndarray:
        """Read the next frame, uint8 (128, 128, 3), RGB."""
        scene, frame = divmod(self._number, SCENE)
        self._number += 1
        picture = _photograph(scene % len(sample_pictures()))
        height, width = picture.shape[:2]
        side = WINDOW * min(height, width)
        turn = 2 * pi * frame / SCENE
        left = (width - side) * (1 + 0.8 * sin(turn)) / 2
        top = (height - side) * (1 + 0.4 * sin(2 * turn)) / 2
        return resample(picture, (left, top, left + side, top + side), SIDE)

    def close(self) -> None:
        """Do nothing: there is nothing to release."""


@lru_cache(maxsize=4)
def _photograph(number: int) -> np.ndarray:
    return load_picture(sample_pictures()[number])
