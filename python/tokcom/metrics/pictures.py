"""Quality of a received picture relative to the one sent: PSNR, SSIM."""

import math

import numpy as np

from tokcom.errors import PictureError

PEAK = 255
"""Largest value of a pixel."""
WINDOW = 7
"""Side of SSIM's windows in pixels."""


def psnr_db(sent: np.ndarray, received: np.ndarray) -> float:
    """Compute the peak signal-to-noise ratio in dB of uint8 pictures (height, width, 3); infinite if they are equal.

    Raises:
        PictureError: the pictures differ in size.
    """
    _require_same_shape(sent, received)
    error = float(np.mean(np.square(np.subtract(sent, received, dtype=np.float64))))
    return 10 * math.log10(PEAK**2 / error) if error else math.inf


def ssim(sent: np.ndarray, received: np.ndarray) -> float:
    """Compute the structural similarity of uint8 pictures (height, width, 3): 7x7 windows, mean over channels.

    Source: Wang et al., "Image quality assessment: from error visibility to structural similarity", IEEE Trans. Image
    Processing 13(4), 2004.

    Raises:
        PictureError: the pictures differ in size or are smaller than a window.
    """
    _require_same_shape(sent, received)
    if min(sent.shape[:2]) < WINDOW:
        raise PictureError(f"pictures of {sent.shape[1]} x {sent.shape[0]} pixels; SSIM needs at least 7 x 7")
    a, b = sent.astype(np.int64), received.astype(np.int64)
    n = WINDOW**2
    sum_a, sum_b = _window_sums(a), _window_sums(b)
    # Integers up to here, to avoid cancellation: n (n - 1) times the sample variances and the covariance.
    spread_a, spread_b = n * _window_sums(a * a) - sum_a**2, n * _window_sums(b * b) - sum_b**2
    common = n * _window_sums(a * b) - sum_a * sum_b
    c1, c2 = (0.01 * PEAK) ** 2 * n**2, (0.03 * PEAK) ** 2 * n * (n - 1)
    luminance = (2 * sum_a * sum_b + c1) / (sum_a**2 + sum_b**2 + c1)
    return float(np.mean(luminance * (2 * common + c2) / (spread_a + spread_b + c2)))


def _window_sums(values: np.ndarray) -> np.ndarray:
    """Sum over all full windows: int64 (height, width, channels) to (height - 6, width - 6, channels)."""
    for axis in (0, 1):
        running = np.insert(np.cumsum(values, axis), 0, 0, axis)
        size = running.shape[axis]
        values = running.take(range(WINDOW, size), axis) - running.take(range(size - WINDOW), axis)
    return values


def _require_same_shape(sent: np.ndarray, received: np.ndarray) -> None:
    if sent.shape != received.shape:
        raise PictureError(f"pictures of shapes {sent.shape} and {received.shape} cannot be compared")
