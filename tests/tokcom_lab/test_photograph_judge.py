"""The judge of photographs, with a network whose answer is known."""

import numpy as np
import pytest
import torch

from tokcom.errors import ModelError
from tokcom_lab import photograph_judge
from tokcom_lab.photograph_judge import SIZE, PhotographJudge


class Means(torch.nn.Module):
    """Features that are the means of red, green and blue."""

    def forward(self, pictures):
        assert pictures.shape[1:] == (3, SIZE, SIZE)
        return pictures.mean((2, 3))


@pytest.fixture
def judge(monkeypatch):
    names = torch.nn.Linear(3, 3, bias=False)
    torch.nn.init.eye_(names.weight)
    monkeypatch.setattr(photograph_judge, "load_efficientnet_lite", lambda version: (Means(), names))
    return PhotographJudge()


@pytest.mark.parametrize("side", [64, 256, 300])
def test_a_picture_of_any_size_is_of_the_class_that_its_features_name(judge, side):
    pictures = np.zeros((3, side, side, 3), np.uint8)
    for colour in range(3):
        pictures[colour, ..., colour] = 255
    features = judge.features(pictures)
    assert np.allclose(features, 2 * np.eye(3) - 1, atol=1e-5) and features.dtype == np.float32
    assert judge.classes(features).tolist() == [0, 1, 2] == [judge.judged(picture)[1] for picture in pictures]
    assert np.allclose(judge.judged(pictures[1])[0], features[1])


def test_without_its_weights_it_says_so(monkeypatch):
    def missing(version):
        raise ModelError(f"EfficientNet-Lite{version} is not installed")

    monkeypatch.setattr(photograph_judge, "load_efficientnet_lite", missing)
    with pytest.raises(ModelError, match="EfficientNet-Lite2 is not installed"):
        PhotographJudge()
