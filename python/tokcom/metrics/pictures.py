"""How a received picture compares with the one sent."""

import math

import numpy as np
from skimage.metrics import peak_signal_noise_ratio, structural_similarity

from tokcom.errors import PictureError


def psnr_db(sent: np.ndarray, received: np.ndarray) -> float:
    """Peak signal-to-noise ratio in dB of uint8 pictures (height, width, 3); infinite where they are equal.

    Raises:
        PictureError: the pictures differ in size.
    """
    _require_same_shape(sent, received)
    return (
        math.inf if np.array_equal(sent, received) else float(peak_signal_noise_ratio(sent, received, data_range=255))
    )


def ssim(sent: np.ndarray, received: np.ndarray) -> float:
    """Structural similarity (Wang et al., 2004; 7x7 windows, mean over channels) of uint8 pictures (height, width, 3).

    Raises:
        PictureError: the pictures differ in size or are smaller than a window.
    """
    _require_same_shape(sent, received)
    if min(sent.shape[:2]) < 7:
        raise PictureError(f"pictures of {sent.shape[1]} x {sent.shape[0]} pixels; SSIM needs at least 7 x 7")
    return float(structural_similarity(sent, received, channel_axis=2, data_range=255))


def _require_same_shape(sent: np.ndarray, received: np.ndarray) -> None:
    if sent.shape != received.shape:
        raise PictureError(f"pictures of shapes {sent.shape} and {received.shape} cannot be compared")
