import numpy as np
import pytest
import torch

from tokcom_lab.training.dataset import Dataset
from tokcom_lab.training.picture_feed import PictureFeed, class_weights

CPU = torch.device("cpu")


def numbered(n, size=16):
    """Plain pictures, each of its own shade."""
    pictures = np.repeat(np.arange(n, dtype=np.uint8), 3 * size**2).reshape(n, 1, size, size, 3)
    return Dataset(pictures, np.arange(n) % 2, ("a", "b"), ())


def test_pictures_span_minus_one_to_one():
    data = Dataset(np.array([0, 255], np.uint8).repeat(3 * 64).reshape(2, 1, 8, 8, 3), np.zeros(2, int), ("a",), ())
    shown = PictureFeed(data, CPU).at(np.array([1, 0]))
    assert shown.shape == (2, 3, 8, 8) and shown.dtype == torch.float32
    assert shown[0].unique().tolist() == [1] and shown[1].unique().tolist() == [-1]


def test_a_class_of_four_times_the_pictures_comes_twice_as_often():
    weights = class_weights(np.array([0] * 4 + [1] * 16))
    assert weights.sum() == pytest.approx(1)
    assert weights[4:].sum() / weights[:4].sum() == pytest.approx(2)


def test_batches_come_of_their_seed_alone():
    data = numbered(40)
    first, again, other = (PictureFeed(data, CPU).draw(8, np.random.default_rng(seed)) for seed in (1, 1, 2))
    assert torch.equal(first, again) and not torch.equal(first, other)


def test_half_of_the_pictures_are_mirrored_and_half_of_the_batches_enlarged():
    """A ramp rises or falls; a window of it has a part of its range."""
    ramp = np.arange(0, 256, 8, dtype=np.uint8).repeat(3).reshape(1, 1, 1, 32, 3)
    data = Dataset(np.broadcast_to(ramp, (1, 1, 32, 32, 3)).copy(), np.zeros(1, int), ("a",), ())
    feed, rng = PictureFeed(data, CPU), np.random.default_rng(0)
    batches = [feed.draw(16, rng) for _ in range(60)]
    mirrored = np.mean([float((b[:, 0, 0, 0] > b[:, 0, 0, -1]).float().mean()) for b in batches])
    whole = np.mean([float(b[0].max() - b[0].min()) > 1.9 for b in batches])
    assert 0.4 < mirrored < 0.6 and 0.3 < whole < 0.7


def test_a_window_is_a_part_of_the_picture_at_its_size():
    feed = PictureFeed(numbered(4), CPU)
    pictures = torch.linspace(-1, 1, 16).expand(2, 3, 16, 16)
    shown = feed.enlarged(pictures, np.random.default_rng(3))
    assert shown.shape == pictures.shape
    across = float(shown[0, 0, 8, 12] - shown[0, 0, 8, 4]) / float(pictures[0, 0, 8, 12] - pictures[0, 0, 8, 4])
    assert 0.6 < across < 1, "a window of 70 to 100% of the side rises by as much less"
