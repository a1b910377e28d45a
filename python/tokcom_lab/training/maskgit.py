"""Training of MaskGIT: predict masked tokens from the others and, most of the time, the class label."""

import math

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

from tokcom.context.maskgit_network import MaskGitConfig, MaskGitNetwork
from tokcom.device import autocast
from tokcom_lab.training.loop import Task
from tokcom_lab.training.optimizers import MuonAdamW

LABEL_DROPOUT = 0.1
"""Share of pictures whose label is withheld, so that one network works with and without CMI."""
MASKED_SHARE = (0.02, 1.0)
"""Smallest and largest share of masked tokens: up to all, as for a receiver that starts from the label alone. Its
square root is drawn uniformly, because most passes of a receiver see most of the tokens."""


class MaskGitTask(Task):
    """Cross-entropy over masked tokens.

    Args:
        config: shape of the network.
        train_tokens: (n, variants, tokens), tokens from `tokens.tokenized`.
        train_labels: int64 (n,).
        test_tokens: (n, variants, tokens), of which variant 0 is measured.
        test_labels: int64 (n,).
        batch: pictures per step.
        seed: seed of weights, batches and masks.
        codes: name of the tokens' origin, which must be the same to continue a run.
    """

    name = "maskgit"
    learning_rate = 1.5e-3
    device = torch.device("cpu")

    def __init__(
        self, config: MaskGitConfig, train_tokens: np.ndarray, train_labels: np.ndarray, test_tokens: np.ndarray,
        test_labels: np.ndarray, *, batch: int = 32, seed: int = 0, codes: str = "",
    ):  # fmt: skip
        torch.manual_seed(seed)
        self.config, self.batch, self.seed, self.codes = config, batch, seed, codes
        self.train_tokens, self.train_labels = train_tokens, train_labels
        self.test_tokens, self.test_labels = test_tokens, test_labels
        self.model = MaskGitNetwork(config)
        matrices = {name for name, p in self.model.named_parameters() if p.ndim == 2 and name.startswith("blocks.")}
        self.optimizer = MuonAdamW.of(self.model.named_parameters(), matrices, self.learning_rate, weight_decay=0.05)

    def begin_like(self, larger: MaskGitNetwork) -> None:
        """Start from the principal components of a larger network's words: its head and its embeddings of tokens,
        places, and labels if it knows as many. The blocks in between stay random."""
        width = self.config.width
        pairs = [
            (self.model.token_embedding.weight, larger.token_embedding.weight),
            (self.model.position_embedding, larger.position_embedding),
            (self.model.head.weight, larger.head.weight),
        ]
        if self.config.num_classes == larger.config.num_classes:
            pairs.append((self.model.class_embedding.weight, larger.class_embedding.weight))
        with torch.no_grad():
            for own, other in pairs:
                left, strength, _ = torch.linalg.svd(other.float(), full_matrices=False)
                # A short list, as of few labels, has fewer components than the network is wide.
                own.zero_()
                own[:, : len(strength)] = (left * strength)[:, :width]
            self.model.head.bias.copy_(larger.head.bias)

    def settings(self) -> dict:
        return {"network": self.config.as_dict(), "batch": self.batch, "seed": self.seed, "codes": self.codes}

    def loss(self, rng: np.random.Generator) -> tuple[Tensor, dict[str, float]]:
        chosen = rng.integers(0, len(self.train_labels), self.batch)
        variant = rng.integers(0, self.train_tokens.shape[1], self.batch)
        tokens = torch.from_numpy(self.train_tokens[chosen, variant].astype(np.int64))
        labels = self.train_labels[chosen].copy()
        labels[rng.random(self.batch) < LABEL_DROPOUT] = self.config.num_classes
        share = rng.uniform(*np.sqrt(MASKED_SHARE), (self.batch, 1)) ** 2
        masked = torch.from_numpy(rng.random(tokens.shape) < share)
        with autocast():
            logits = self.model(tokens.masked_fill(masked, self.config.codebook_size), torch.from_numpy(labels), masked)
        loss = F.cross_entropy(logits.float(), tokens[masked])
        return loss, {"bits": float(loss.detach()) / math.log(2)}

    def evaluate(self) -> dict[str, float]:
        """Measure bits per masked token and the accuracy of the most likely guess, at 15%, 30% and 60% masked with the
        label, at 15% also without. The masks are the same in every call."""
        null = np.full_like(self.test_labels, self.config.num_classes)
        figures = {}
        for percent in (15, 30, 60):
            figures |= self._bits(percent, self.test_labels, "")
        return figures | self._bits(15, null, "_without_cmi")

    def _bits(self, percent: int, labels: np.ndarray, suffix: str) -> dict[str, float]:
        rng, device = np.random.default_rng(percent), self.device
        total = right = count = 0
        for start in range(0, len(labels), 64):
            tokens = torch.from_numpy(self.test_tokens[start : start + 64, 0].astype(np.int64)).to(device)
            masked = torch.from_numpy(rng.random(tokens.shape) < percent / 100).to(device)
            hidden = tokens.masked_fill(masked, self.config.codebook_size)
            with autocast(device):
                logits = self.exported(hidden, torch.from_numpy(labels[start : start + 64]).to(device), masked).float()
            total += float(F.cross_entropy(logits, tokens[masked], reduction="sum")) / math.log(2)
            right += int((logits.argmax(-1) == tokens[masked]).sum())
            count += int(masked.sum())
        return {f"bits_at_{percent}{suffix}": total / count, f"exact_at_{percent}{suffix}": right / count}
