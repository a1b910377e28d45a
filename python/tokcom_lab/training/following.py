"""Training of a prior of videos: predict masked tokens from the others and from those of the frame before."""

import math

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

from tokcom.context.following_network import FollowingConfig, FollowingNetwork
from tokcom_lab.training.loop import Task, rate_by_share
from tokcom_lab.training.maskgit import MASKED_SHARE

WRONG, UNKNOWN = 0.02, 0.05
"""Share of wrong tokens in the frame before, and share of pairs without one: what was received is not always right."""
STARTED = 0.1
"""Learning rate of a MaskGIT's weights, from which training starts, relative to that of the new ones."""


class FollowingTask(Task):
    """Cross-entropy over masked tokens, given the frame before.

    Args:
        config: shape of the network.
        still: weights of a MaskGIT of the same shape, from which training starts; empty for random ones.
        videos: int (n, 2, tokens), pairs of successive frames of videos.
        photographs: int (m, 2, tokens), pairs of frames of moving photographs, half of each batch; may be empty.
        test: int (k, 2, tokens), pairs to measure on.
        batch: pairs per step.
        seed: seed of batches and masks.
        codes: name of the tokens' origin, which must be the same to continue a run.
    """

    name = "following"
    learning_rate = 2e-3

    def __init__(
        self, config: FollowingConfig, still: dict[str, Tensor], videos: np.ndarray, photographs: np.ndarray,
        test: np.ndarray, *, batch: int = 16, seed: int = 0, codes: str = "",
    ):  # fmt: skip
        torch.manual_seed(seed)
        self.config, self.batch, self.seed, self.codes = config, batch, seed, codes
        self.videos, self.photographs, self.test = videos, photographs, test
        self.model = FollowingNetwork(config)
        self.model.load_state_dict({name: each.float() for name, each in still.items()}, strict=False)
        started = [each for name, each in self.model.named_parameters() if name in still]
        new = [each for name, each in self.model.named_parameters() if name not in still]
        self.optimizer = torch.optim.AdamW(
            [{"params": new, "scale": 1.0}, {"params": started, "scale": STARTED}],
            self.learning_rate, (0.9, 0.98), weight_decay=0.02,
        )  # fmt: skip

    def settings(self) -> dict:
        return {"network": self.config.as_dict(), "batch": self.batch, "seed": self.seed, "codes": self.codes}

    def set_rates(self, step: int) -> None:
        """Set the rates by `rate_by_share`, as the clock may count instead of steps."""
        for group in self.optimizer.param_groups:
            group["lr"] = self.learning_rate * group["scale"] * rate_by_share(self.share)

    def loss(self, rng: np.random.Generator) -> tuple[Tensor, dict[str, float]]:
        words = self.config.codebook_size
        moved = self.batch // 2 if len(self.photographs) else 0
        parts = [(self.photographs, moved), (self.videos, self.batch - moved)]
        pairs = np.concatenate([each[rng.integers(0, len(each), count)] for each, count in parts if count])
        before, tokens = torch.from_numpy(pairs.astype(np.int64)).unbind(1)
        wrong = torch.from_numpy(rng.random(before.shape) < WRONG)
        before = torch.where(wrong, torch.from_numpy(rng.integers(0, words, before.shape)), before)
        before = before.masked_fill(torch.from_numpy(rng.random((len(before), 1)) < UNKNOWN), words)
        share = rng.uniform(*np.sqrt(MASKED_SHARE), (len(tokens), 1)) ** 2
        masked = torch.from_numpy(rng.random(tokens.shape) < share)
        loss = F.nll_loss(self._logs(self.model, before, tokens, masked), tokens[masked])
        return loss, {"bits": float(loss.detach()) / math.log(2)}

    def evaluate(self) -> dict[str, float]:
        """Measure bits per masked token given the frame before and without it, at 15% and 50% masked. The masks are the
        same in every call."""
        figures = {}
        for percent in (15, 50):
            figures[f"bits_at_{percent}"] = self._bits(percent, True)
            figures[f"bits_at_{percent}_alone"] = self._bits(percent, False)
        return figures

    def _bits(self, percent: int, told: bool) -> float:
        rng = np.random.default_rng(percent)
        total = count = 0
        for start in range(0, len(self.test), 32):
            before, tokens = torch.from_numpy(self.test[start : start + 32].astype(np.int64)).unbind(1)
            masked = torch.from_numpy(rng.random(tokens.shape) < percent / 100)
            before = before if told else torch.full_like(before, self.config.codebook_size)
            logs = self._logs(self.exported, before, tokens, masked)
            total += float(F.nll_loss(logs, tokens[masked], reduction="sum")) / math.log(2)
            count += int(masked.sum())
        return total / count

    def _logs(self, network: FollowingNetwork, before: Tensor, tokens: Tensor, masked: Tensor) -> Tensor:
        return network.unlabelled_after(before)(tokens, masked)
