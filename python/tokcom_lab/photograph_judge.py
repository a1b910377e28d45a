"""Judge of photographs that took no part in the training of models for photographs: EfficientNet-Lite2."""

import numpy as np
import torch
from torch.nn import functional as F

from tokcom.models.published import load_efficientnet_lite
from tokcom.tokenizers.vq_network import as_input

VERSION, SIZE = 2, 260
"""Version of EfficientNet-Lite, and its input size in pixels; tokenizers and classifiers are trained with version 0."""


class PhotographJudge:
    """Judge of how much of a photograph's content is left, by ImageNet's classes.

    Raises:
        ModelError: EfficientNet-Lite2 is not installed.
    """

    def __init__(self):
        self._trunk, self._names = load_efficientnet_lite(VERSION)

    def features(self, pictures: np.ndarray) -> np.ndarray:
        """Compute pooled features, float32 (batch, 1280), of uint8 pictures (batch, size, size, 3)."""
        with torch.inference_mode():
            seen = F.interpolate(as_input(pictures), (SIZE,) * 2, mode="bilinear", antialias=True, align_corners=False)
            return self._trunk(seen).numpy()

    def classes(self, features: np.ndarray) -> np.ndarray:
        """Find the most likely class of each of the features, int64 (batch,)."""
        with torch.inference_mode():
            return self._names(torch.from_numpy(features)).argmax(1).numpy()

    def judged(self, picture: np.ndarray) -> tuple[np.ndarray, int]:
        """Compute the features (1280,) and the most likely class of one uint8 picture (size, size, 3)."""
        features = self.features(picture[None])
        return features[0], int(self.classes(features)[0])
