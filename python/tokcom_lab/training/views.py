"""The views of every training picture that are searched for tokens: few, for that takes time."""

from dataclasses import dataclass

import numpy as np

from tokcom_lab.training.dataset import Dataset

VIEWS = 2
"""Of every picture: its central square and one random one; each mirrored or not."""
SEED = 77


@dataclass(frozen=True)
class Views:
    """Pictures of a data set, numbered view by view: picture i, view v is number v * n + i.

    Attributes:
        data: n pictures with their crops.
        crop: int64 (VIEWS * n,), which of a picture's crops.
        mirrored: bool (VIEWS * n,).
    """

    data: Dataset
    crop: np.ndarray
    mirrored: np.ndarray

    @classmethod
    def of(cls, data: Dataset) -> "Views":
        """The views of a data set, the same every time; of a picture with one crop, that crop every time."""
        rng = np.random.default_rng(SEED)
        n, crops = data.pictures.shape[:2]
        crop, mirrored = [], []
        for view in range(VIEWS):
            crop.append(rng.integers(1, crops, n) if view and crops > 1 else np.zeros(n, np.int64))
            mirrored.append(rng.random(n) < 0.5)
        return cls(data, np.concatenate(crop), np.concatenate(mirrored))

    def __len__(self) -> int:
        return len(self.crop)

    def pictures(self, numbers: np.ndarray) -> np.ndarray:
        """uint8 (batch, size, size, 3) of the views of these numbers."""
        shown = self.data.pictures[numbers % len(self.data.labels), self.crop[numbers]]
        mirrored = self.mirrored[numbers]
        shown[mirrored] = shown[mirrored, :, ::-1]
        return shown
