"""Training of a map from sentences to what a MaskGIT that learnt labels is told; the MaskGIT itself stays as it is."""

import math
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from tokcom.context.description import POINT_BYTES, of_point, point_of
from tokcom.context.maskgit_network import MaskGitNetwork
from tokcom.context.sentence_map import SentenceMap, SentenceMapConfig
from tokcom.errors import ParameterError
from tokcom_lab.training.loop import Task, rate_by_share

MASKED_SHARE = (0.5, 1.0)
"""Smallest and largest share of masked tokens: where most are known, a sentence tells nothing new."""
CODED = 0.7
"""Share of sentences that come as the point of a code, of a random number of bytes from POINT_BYTES - 2 on."""
NOISE = 0.01
"""Standard deviation of the noise on each component of a point: users' sentences differ from the list's."""
RIDGE = 3.0
"""Weight of the first map's penalty."""
KEEP = 2.0
"""Weight of the distance from the class's own vector, relative to its variance, in the loss."""


@dataclass(frozen=True)
class ClassSentences:
    """Embeddings of sentences about classes.

    Attributes:
        seen: float32 (classes, phrasings, width), to train on.
        unseen: float32 (classes, width), to measure with.
    """

    seen: Tensor
    unseen: Tensor


class ConditionsTask(Task):
    """Cross-entropy of masked tokens under a frozen MaskGIT that is told mapped sentences instead of labels.

    The map starts from a ridge regression of the classes' vectors on their sentences.

    Args:
        context: the MaskGIT, with class vectors.
        train_tokens: (n, variants, tokens).
        train_labels: int64 (n,).
        test_tokens: (n, variants, tokens), of which variant 0 is measured.
        test_labels: int64 (n,).
        sentences: embeddings of sentences about each class.
        batch: pictures per step.
        seed: seed of batches and masks.
        codes: name of the tokens' origin and of the MaskGIT, which must be the same to continue a run.

    Raises:
        ParameterError: the sentences are not those of the MaskGIT's classes.
    """

    name = "conditions"
    learning_rate = 1e-3

    def __init__(
        self, context: MaskGitNetwork, train_tokens: np.ndarray, train_labels: np.ndarray, test_tokens: np.ndarray,
        test_labels: np.ndarray, sentences: ClassSentences, *, batch: int = 16, seed: int = 0, codes: str = "",
    ):  # fmt: skip
        classes, _, embedding = sentences.seen.shape
        if classes != context.config.num_classes or sentences.unseen.shape != (classes, embedding):
            raise ParameterError(
                f"sentences about {classes} classes, for a model of {context.config.num_classes}; each class needs its "
                "own"
            )
        torch.manual_seed(seed)
        self.context, self.batch, self.seed, self.codes = context, batch, seed, codes
        self.train_tokens, self.train_labels = train_tokens, train_labels
        self.test_tokens, self.test_labels = test_tokens, test_labels
        self.sentences = sentences
        self._coded = {
            n_bytes: torch.stack([torch.stack([_coded(each, n_bytes) for each in own]) for own in sentences.seen])
            for n_bytes in range(POINT_BYTES - 2, POINT_BYTES + 3)
        }
        self.vectors = context.class_embedding.weight.detach().float()
        self.model = SentenceMap(SentenceMapConfig(context.config.width, embedding=embedding))
        self._begin()
        self.optimizer = torch.optim.AdamW(self.model.parameters(), lr=self.learning_rate, weight_decay=0.05)

    def _begin(self) -> None:
        """Start from a ridge regression; the bent part is 0."""
        points = torch.cat([self.sentences.seen, *self._coded.values()], 1)
        told = self.vectors[:-1, None].expand(-1, points.shape[1], -1).flatten(0, 1).double()
        points = points.flatten(0, 1).double()
        mean, centre = points.mean(0), told.mean(0)
        away = points - mean
        gram = away.T @ away + RIDGE * torch.eye(len(mean), dtype=torch.double)
        weight = torch.linalg.solve(gram, away.T @ (told - centre)).T
        with torch.no_grad():
            self.model.straight.weight.copy_(weight)
            self.model.straight.bias.copy_(centre - weight @ mean)
            nn.init.zeros_(self.model.bent[-1].weight)
            nn.init.zeros_(self.model.bent[-1].bias)

    def settings(self) -> dict:
        network = self.model.config.as_dict()
        return {"network": network, "batch": self.batch, "seed": self.seed, "codes": self.codes}

    def set_rates(self, step: int) -> None:
        """Set the rates by `rate_by_share`: a small map needs few steps."""
        for group in self.optimizer.param_groups:
            group["lr"] = self.learning_rate * rate_by_share(self.share)

    def loss(self, rng: np.random.Generator) -> tuple[Tensor, dict[str, float]]:
        chosen = rng.integers(0, len(self.train_labels), self.batch)
        variant = rng.integers(0, self.train_tokens.shape[1], self.batch)
        tokens = torch.from_numpy(self.train_tokens[chosen, variant].astype(np.int64))
        labels = torch.from_numpy(self.train_labels[chosen])
        told = self.model(self._said(self.train_labels[chosen], rng))
        share = rng.uniform(*MASKED_SHARE, (self.batch, 1))
        masked = torch.from_numpy(rng.random(tokens.shape) < share)
        loss = F.cross_entropy(self._logits(tokens, masked, told), tokens[masked])
        apart = (told - self.vectors[labels]).square().mean() / self.vectors.var()
        figures = {"bits": float(loss.detach()) / math.log(2), "apart": float(apart.detach())}
        return loss + KEEP * apart, figures

    def evaluate(self) -> dict[str, float]:
        """Measure bits per masked token at 60% and 90% masked: told sentences that were not trained on, through codes
        of POINT_BYTES bytes; the label; nothing. The masks are the same in every call."""
        points = torch.stack([_coded(each, POINT_BYTES) for each in self.sentences.unseen])
        told = {"sentence": self.model(points), "label": self.vectors[:-1]}
        told["nothing"] = self.vectors[-1:].expand(len(points), -1)
        return {
            f"bits_at_{percent}_{name}": self._bits(percent, each)
            for percent in (60, 90)
            for name, each in told.items()
        }

    def _bits(self, percent: int, told: Tensor) -> float:
        rng, total, count = np.random.default_rng(percent), 0.0, 0
        for start in range(0, len(self.test_labels), 32):
            tokens = torch.from_numpy(self.test_tokens[start : start + 32, 0].astype(np.int64))
            labels = torch.from_numpy(self.test_labels[start : start + 32])
            masked = torch.from_numpy(rng.random(tokens.shape) < percent / 100)
            logits = self._logits(tokens, masked, told[labels])
            total += float(F.cross_entropy(logits, tokens[masked], reduction="sum")) / math.log(2)
            count += int(masked.sum())
        return total / count

    def _logits(self, tokens: Tensor, masked: Tensor, told: Tensor) -> Tensor:
        hidden = tokens.masked_fill(masked, self.context.config.codebook_size)
        return self.context.predict(self.context.token_embedding(hidden), told, masked).float()

    def _said(self, labels: np.ndarray, rng: np.random.Generator) -> Tensor:
        """Draw a sentence about each class, most of them as the points of their codes."""
        phrasing = rng.integers(0, self.sentences.seen.shape[1], len(labels))
        kinds = [self.sentences.seen, *self._coded.values()]
        kind = np.where(rng.random(len(labels)) < CODED, rng.integers(1, len(kinds), len(labels)), 0)
        points = torch.stack([kinds[k][c, p] for k, c, p in zip(kind, labels, phrasing, strict=True)])
        return points + torch.from_numpy(rng.normal(0, NOISE, points.shape).astype(np.float32))


def _coded(point: Tensor, n_bytes: int) -> Tensor:
    return torch.from_numpy(point_of(of_point(point.numpy(), n_bytes)).copy())
