import math

import numpy as np
import pytest

from tokcom.errors import PictureError
from tokcom.metrics.pictures import psnr_db, ssim


def test_psnr_by_its_definition():
    sent = np.full((8, 8, 3), 100, np.uint8)
    assert psnr_db(sent, sent + 10) == pytest.approx(20 * math.log10(255 / 10))
    assert psnr_db(sent, sent) == math.inf


def test_ssim_of_flat_pictures():
    """Without variance SSIM is (2 a b + c) / (a^2 + b^2 + c), c = (0.01 * 255)^2 (Wang et al., 2004)."""
    sent, received = np.full((16, 16, 3), 100, np.uint8), np.full((16, 16, 3), 150, np.uint8)
    c = (0.01 * 255) ** 2
    assert ssim(sent, received) == pytest.approx((2 * 100 * 150 + c) / (100**2 + 150**2 + c), abs=1e-4)
    assert ssim(sent, sent) == pytest.approx(1)


@pytest.mark.parametrize(("height", "width"), [(7, 7), (8, 31), (64, 48)])
def test_both_as_scikit_image_has_them(height, width):
    metrics = pytest.importorskip("skimage.metrics")
    rng = np.random.default_rng(height)
    sent = rng.integers(0, 256, (height, width, 3)).astype(np.uint8)
    received = np.clip(sent + rng.normal(0, 20, sent.shape), 0, 255).astype(np.uint8)
    assert psnr_db(sent, received) == pytest.approx(metrics.peak_signal_noise_ratio(sent, received), rel=1e-12)
    wanted = metrics.structural_similarity(sent, received, channel_axis=2)
    assert ssim(sent, received) == pytest.approx(wanted, abs=1e-12)
    bright = np.full_like(sent, 255)
    assert ssim(bright, bright) == 1
    assert ssim(bright, bright // 2) == pytest.approx(
        metrics.structural_similarity(bright, bright // 2, channel_axis=2)
    )


def test_bad_pictures_are_named():
    with pytest.raises(PictureError, match=r"\(8, 8, 3\) and \(8, 9, 3\)"):
        psnr_db(np.zeros((8, 8, 3), np.uint8), np.zeros((8, 9, 3), np.uint8))
    with pytest.raises(PictureError, match="6 x 8"):
        ssim(np.zeros((8, 6, 3), np.uint8), np.zeros((8, 6, 3), np.uint8))
