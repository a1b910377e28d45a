"""Training of the classifier of pictures."""

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

from tokcom.context.classifier_network import ClassifierConfig, ClassifierNetwork
from tokcom.device import autocast
from tokcom.tokenizers.vq_network import as_input
from tokcom_lab.training.dataset import Dataset
from tokcom_lab.training.loop import Task
from tokcom_lab.training.tokenizer import draw_pictures

LABEL_SMOOTHING = 0.1
SHIFT = 6
"""Largest random shift, in pixels, of a training picture; its edge pixels fill the gap."""


class ClassifierTask(Task):
    """Cross-entropy with label smoothing on mirrored, shifted, brightened and mixed (mixup, 2018) pictures."""

    name = "classifier"
    learning_rate = 2e-3

    def __init__(self, config: ClassifierConfig, train: Dataset, test: Dataset, *, batch: int = 64, seed: int = 0):
        torch.manual_seed(seed)
        self.config, self.train, self.test, self.batch, self.seed = config, train, test, batch, seed
        self.model = ClassifierNetwork(config).to(memory_format=torch.channels_last)
        self.optimizer = torch.optim.AdamW(self.model.parameters(), lr=self.learning_rate, weight_decay=0.1)

    def settings(self) -> dict:
        return {"network": self.config.as_dict(), "batch": self.batch, "seed": self.seed}

    def loss(self, rng: np.random.Generator) -> tuple[Tensor, dict[str, float]]:
        drawn, labels = draw_pictures(self.train, self.batch, rng)
        pictures = _shifted(as_input(drawn), rng)
        light = torch.from_numpy(rng.uniform(0.7, 1.3, (self.batch, 1, 1, 1)).astype(np.float32))
        share = float(rng.beta(0.2, 0.2))
        partner = torch.from_numpy(rng.permutation(self.batch))
        pictures = (pictures * light).clamp(-1, 1)
        pictures = share * pictures + (1 - share) * pictures[partner]
        target = torch.from_numpy(labels)
        with autocast():
            logits = self.model(pictures)
        logits = logits.float()
        loss = share * F.cross_entropy(logits, target, label_smoothing=LABEL_SMOOTHING)
        loss = loss + (1 - share) * F.cross_entropy(logits, target[partner], label_smoothing=LABEL_SMOOTHING)
        likely = target if share >= 0.5 else target[partner]
        return loss, {"loss": float(loss.detach()), "top1": float((logits.argmax(1) == likely).float().mean())}

    def evaluate(self) -> dict[str, float]:
        """Measure the accuracy over test pictures and averaged over classes, as `Classifier` decides."""
        right = np.zeros(len(self.test.labels), dtype=bool)
        for start in range(0, len(right), 64):
            pictures = as_input(self.test.pictures[start : start + 64, 0])
            logits = self.model(pictures) + self.model(pictures.flip(3))
            right[start : start + 64] = logits.argmax(1).numpy() == self.test.labels[start : start + 64]
        by_class = [right[self.test.labels == label].mean() for label in np.unique(self.test.labels)]
        return {"top1": float(right.mean()), "top1_mean_of_classes": float(np.mean(by_class))}


def _shifted(pictures: Tensor, rng: np.random.Generator) -> Tensor:
    size = pictures.shape[-1]
    padded = F.pad(pictures, (SHIFT,) * 4, mode="replicate")
    offsets = rng.integers(0, 2 * SHIFT + 1, (len(pictures), 2)).tolist()
    cut = [picture[:, y : y + size, x : x + size] for picture, (y, x) in zip(padded, offsets, strict=True)]
    return torch.stack(cut).contiguous(memory_format=torch.channels_last)
