import numpy as np
import pytest

from tokcom.errors import DatasetError
from tokcom_lab.leakage import Sample, accuracy, leakage
from tokcom_lab.photographs import photographs_by_class


def test_a_classifier_finds_what_is_there_and_nothing_more():
    rng = np.random.default_rng(0)
    labels, other = np.tile(np.arange(3), 100), np.tile(np.arange(3), 80)
    noise, more = rng.standard_normal((300, 4)), rng.standard_normal((240, 4))
    assert abs(accuracy(noise, labels, more, other) - 1 / 3) < 4 * np.sqrt(2 / 9 / 240)
    assert accuracy(noise + 8 * labels[:, None], labels, more + 8 * other[:, None], other) > 0.99
    # A spread tells as much as a mean.
    assert (
        accuracy(noise * (1 + 20 * (labels[:, None] > 1)), labels, more * (1 + 20 * (other[:, None] > 1)), other) > 0.6
    )
    assert accuracy(np.ones((300, 4)), labels, np.ones((240, 4)), other) == pytest.approx(1 / 3)


def a_sample(seed, n=24):
    """Of two classes, one of them more predictable."""
    rng = np.random.default_rng(seed)
    labels = np.arange(n) % 2
    bits = (rng.gamma(1.5, 2.0, (n, 256)) * (1 + 0.6 * labels[:, None])).astype(np.float32)
    return Sample(rng.integers(0, 1024, (n, 16, 16)), bits, labels)


def test_adapted_bursts_tell_of_predictability_and_those_of_one_shape_nothing():
    adapted, constant = leakage(a_sample(1), a_sample(2), "caltech64", [10.0])
    assert (adapted["shape"], constant["shape"]) == ("adapted", "constant")
    assert adapted["accuracy"] > 0.85 and constant["accuracy"] == constant["chance"] == 0.5
    assert constant["expected_ter"] <= 1.2 * adapted["expected_ter"] and constant["assumed_bits"] > 0
    assert constant["airtime_over_adapted"] == pytest.approx(
        constant["airtime_samples"] / adapted["airtime_samples"] - 1, abs=1e-3
    )


def test_classes_that_there_are_not_are_named(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    from PIL import Image

    for name in ("cats", "dogs"):
        (tmp_path / "train" / name).mkdir(parents=True)
        for i in range(3):
            Image.fromarray(np.full((8, 8, 3), 40 * i, np.uint8)).save(tmp_path / "train" / name / f"{i}.png")
    pictures, labels = photographs_by_class(tmp_path, "train", ["dogs", "cats"], 2, 8)
    assert pictures.shape == (4, 8, 8, 3) and sorted(labels) == [0, 0, 1, 1]
    for name, count in (("birds", 1), ("cats", 4)):
        with pytest.raises(DatasetError, match=f"train/{name} has"):
            photographs_by_class(tmp_path, "train", [name], count, 8)
