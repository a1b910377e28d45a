"""Batches of photographs for training: stored as bytes; drawn, mirrored and enlarged on the training device."""

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

from tokcom_lab.training.dataset import Dataset

SMALLEST_WINDOW = 0.7
"""Side of the smallest enlarged window, as a share of the picture's."""
ENLARGED = 0.5
"""Share of the batches that consist of windows."""
BALANCE = -0.5
"""Exponent of a class's size in the weight of its pictures: halfway between equal pictures and equal classes."""
RESIDENT = 0.4
"""Share of a GPU's free memory that pictures may occupy; larger data sets stay on disk."""


class PictureFeed:
    """Source of random pictures of a data set.

    Args:
        data: uint8 pictures, of which crop 0 is used.
        device: device of the batches.
    """

    def __init__(self, data: Dataset, device: torch.device):
        self.device, self.size = device, data.pictures.shape[2]
        self.pictures = data.pictures[:, 0]
        self.odds = class_weights(data.labels)
        self.resident = None
        if device.type == "cuda" and self.pictures.nbytes < RESIDENT * torch.cuda.mem_get_info(device)[0]:
            self.resident = torch.empty(self.pictures.shape, dtype=torch.uint8, device=device)
            for start in range(0, len(self.pictures), 1024):
                part = np.array(self.pictures[start : start + 1024])
                self.resident[start : start + 1024] = torch.from_numpy(part).to(device)

    def __len__(self) -> int:
        return len(self.pictures)

    def at(self, numbers: np.ndarray) -> Tensor:
        """Return pictures by number, float32 (batch, 3, size, size) in [-1, 1]."""
        if self.resident is not None:
            chosen = self.resident[torch.from_numpy(numbers).to(self.device)]
        else:
            chosen = torch.from_numpy(self.pictures[numbers]).to(self.device)
        scaled = chosen.permute(0, 3, 1, 2).float() / 127.5 - 1
        return scaled.contiguous(memory_format=torch.channels_last)

    def draw(self, batch: int, rng: np.random.Generator) -> Tensor:
        """Draw random pictures, mirrored at random; in half of the batches, an enlarged window of each."""
        pictures = self.at(rng.choice(len(self.pictures), batch, p=self.odds))
        mirrored = torch.from_numpy(rng.random(batch) < 0.5).to(self.device)
        pictures = torch.where(mirrored[:, None, None, None], pictures.flip(3), pictures)
        return self.enlarged(pictures, rng) if rng.random() < ENLARGED else pictures

    def enlarged(self, pictures: Tensor, rng: np.random.Generator) -> Tensor:
        """Enlarge a random window, the same in every picture, to the size of the whole picture (bicubic)."""
        side = int(rng.integers(round(SMALLEST_WINDOW * self.size), self.size))
        top, left = (int(each) for each in rng.integers(0, self.size - side + 1, 2))
        window = pictures[:, :, top : top + side, left : left + side]
        return F.interpolate(window, self.size, mode="bicubic", align_corners=False).clamp(-1, 1)


def class_weights(labels: np.ndarray) -> np.ndarray:
    """Compute the probability of each picture: the size of its class to the power of BALANCE, normalised."""
    counts = np.bincount(labels)[labels].astype(np.float64)
    weights = counts**BALANCE
    return weights / weights.sum()
