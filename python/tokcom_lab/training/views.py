"""Views of every training picture for which tokens are searched: only a few, because the search is slow."""

from dataclasses import dataclass

import numpy as np

from tokcom_lab.training.dataset import Dataset

VIEWS = 2
"""Views per picture: its central square and a random one, each mirrored or not."""
SEED = 77


@dataclass(frozen=True)
class Views:
    """Pictures of a data set, numbered view by view: picture i, view v is number v * n + i.

    Attributes:
        data: n pictures with their crops.
        crop: int64 (VIEWS * n,), index of the crop.
        mirrored: bool (VIEWS * n,), whether the view is mirrored.
    """

    data: Dataset
    crop: np.ndarray
    mirrored: np.ndarray

    @classmethod
    def of(cls, data: Dataset) -> "Views":
        """Draw the views of a data set, reproducibly; for pictures with one crop, always that crop."""
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
        """Return views by number, uint8 (batch, size, size, 3)."""
        shown = self.data.pictures[numbers % len(self.data.labels), self.crop[numbers]]
        mirrored = self.mirrored[numbers]
        shown[mirrored] = shown[mirrored, :, ::-1]
        return shown
