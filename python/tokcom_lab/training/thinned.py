"""Training of the decoder of thinned pictures: tokens left out as a ranking leaves them out, features of photographs.

The decoder of lossy pictures shows what has the least squared error. That is blurred, and networks trained on
photographs recognise it less often than its error suggests.
"""

from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

from tokcom.context.efficientnet_lite import EfficientNetLite
from tokcom.context.maskgit_network import MaskGitNetwork
from tokcom.device import autocast
from tokcom.packets.halton import halton_order
from tokcom.tokenizers.concealing import mean_vectors
from tokcom.tokenizers.vq_network import VQAutoencoder, as_input
from tokcom_lab.training.concealing import ConcealingTask
from tokcom_lab.training.dataset import Dataset
from tokcom_lab.training.loop import rate_by_share
from tokcom_lab.training.losses import feature_distance, log_error, semantic_distance, units
from tokcom_lab.training.tokenizer import psnr_of

SENT = (0.3, 0.65)
"""Shares of the tokens that are sent are drawn between these."""
RANDOM = 0.2
"""Share of the pictures of which random tokens are sent, so that every rule is shown well."""
ROUNDS = 2
"""Evaluations of the context model that rank the tokens of a picture, after the first sixteenth."""
SIDE = 128
"""Side in pixels to which pictures are resampled for the features."""
TAPS = (0, 3, 6, 14, 20)
"""Blocks of EfficientNet-Lite2 whose outputs are compared: strides 2, 4, 8, 16 and 32."""
PERCEPTUAL, SEMANTIC = 6.0, 4.0
"""Weights of the features' distance and of the pooled features', against 1 of the logarithm of the squared error."""
MEASURED_SHARES = (0.5, 0.35)
"""Shares of the tokens that are sent of the pictures that are measured."""


class ThinnedTask(ConcealingTask):
    """Training by squared error and by features of EfficientNet-Lite2, of pictures whose tokens are sent in part.

    Args:
        tokenizer: the tokenizer, which stays as it is.
        context: its context model, as well.
        trunk: EfficientNet-Lite2, as well.
        train: pictures to train on, with the encoder's tokens.
        searched: pictures of one crop, and their tokens found by search, int (n, tokens).
        test: pictures to measure on, with the encoder's tokens.
        batch: pictures per step.
        seed: seed of everything random.
        codes: name of the tokens' origin, which must be the same to continue a run.
    """

    name = "thinned"

    def __init__(
        self, tokenizer: VQAutoencoder, context: MaskGitNetwork, trunk: EfficientNetLite, train: Dataset,
        searched: tuple[Dataset, np.ndarray], test: Dataset, *, batch: int = 16, seed: int = 0, codes: str = "",
    ):  # fmt: skip
        super().__init__(tokenizer, context, train, searched, test, batch=batch, seed=seed, codes=codes)
        self.trunk = trunk

    def settings(self) -> dict:
        return super().settings() | {"weights": [PERCEPTUAL, SEMANTIC]}

    def set_rates(self, step: int) -> None:
        """Set the learning rates before a step: they rise over the first 3% and fall along a half cosine."""
        for group in self.optimizer.param_groups:
            group["lr"] = self.learning_rate * rate_by_share(self.share)

    def _lost(self, tokens: Tensor, rng: np.random.Generator) -> Tensor:
        size = tokens.shape[1]
        counts = torch.from_numpy(rng.integers(round(SENT[0] * size), round(SENT[1] * size) + 1, len(tokens)))
        rank = self.ranks(tokens, int(counts.max()))
        drawn = torch.from_numpy(rng.random(len(tokens)) < RANDOM)
        rank[drawn] = torch.from_numpy(rng.random((int(drawn.sum()), size)).argsort(1).argsort(1))
        return rank >= counts[:, None]

    @torch.no_grad()
    def ranks(self, tokens: Tensor, count: int) -> Tensor:
        """Rank tokens by distortion as `source.ranking` does, in fewer rounds.

        Args:
            tokens: int64 (batch, n).
            count: number of tokens of a picture to rank.

        Returns:
            int64 (batch, n), places in the ranking; n for those beyond `count`.
        """
        batch, size = tokens.shape
        codes, no_label = self.tokenizer.codebook.float(), torch.full((batch,), self.context.config.num_classes)
        rank = torch.full((batch, size), size)
        first = torch.from_numpy(halton_order(self.grid).astype(np.int64)[: min(count, size // 16)])
        rank[:, first] = torch.arange(len(first))
        for end in np.linspace(len(first), count, ROUNDS + 1).round().astype(int)[1:]:
            start, open_ = int((rank[0] < size).sum()), rank == size
            if end == start:
                continue
            with autocast():
                guesses = self._expected(tokens, open_, no_label).exp()
            cost = (guesses @ codes - codes[tokens[open_]]).square().sum(1).reshape(batch, -1)
            places = open_.nonzero()[:, 1].reshape(batch, -1)
            dearest = places.gather(1, cost.argsort(1, descending=True)[:, : end - start])
            rank.scatter_(1, dearest, torch.arange(start, end).expand(batch, -1))
        return rank

    def _difference(self, decoded: Tensor, pictures: Tensor) -> Tensor:
        with torch.no_grad():
            sent, sent_pooled = self._features(pictures)
        shown, shown_pooled = self._features(decoded)
        alike = PERCEPTUAL * feature_distance(sent, shown) + SEMANTIC * semantic_distance(sent_pooled, shown_pooled)
        return log_error(decoded, pictures) + alike

    def _features(self, pictures: Tensor) -> tuple[Sequence[Tensor], Tensor]:
        """Compute unit vectors of the stages (batch, channels, rows, columns), and pooled features (batch, 1280)."""
        with autocast():
            large = F.interpolate(pictures, (SIDE, SIDE), mode="bilinear", align_corners=False)
            stages = self.trunk.stages(large, TAPS)
            pooled = F.relu6(self.trunk.head(stages[-1])).mean((2, 3))
        return units(stages), pooled

    def evaluate(self) -> dict[str, float]:
        """Measure PSNR and the cosine of EfficientNet-Lite2's pooled features by the percentage of tokens sent, and
        those of the mean of the code vectors in the tokenizer's own decoder."""
        found: dict[str, list[Tensor]] = {}
        for start in range(0, len(self.test.labels), 20):
            pictures = as_input(self.test.pictures[start : start + 20, 0])
            tokens = self.tokenizer.encode(pictures).flatten(1)
            counts = [round(share * tokens.shape[1]) for share in MEASURED_SHARES]
            rank, (_, sent) = self.ranks(tokens, max(counts)), self._features(pictures)
            for share, count in zip(MEASURED_SHARES, counts, strict=True):
                for name, shown in self._both(tokens, rank >= count).items():
                    cosine = F.cosine_similarity(sent.float(), self._features(shown)[1].float())
                    figures = {"psnr_db": psnr_of(shown, pictures), "lite2_cosine": cosine}
                    for figure, values in figures.items():
                        found.setdefault(f"{figure}_{100 * share:.0f}{name}", []).append(values)
        return {name: float(torch.cat(values).mean()) for name, values in found.items()}

    def _both(self, tokens: Tensor, lost: Tensor) -> dict[str, Tensor]:
        """Decode pictures by the network, "", and as the mean of the code vectors, "_mean"."""
        no_label = torch.full((len(tokens),), self.context.config.num_classes)
        with autocast():
            logs = self._expected(tokens, lost, no_label)
            vectors = mean_vectors(self.tokenizer.codebook, tokens, lost, logs.exp())
            mean = self.tokenizer.decode_vectors(vectors.reshape(len(tokens), *self.grid, -1))
            return {"": self._decoded(tokens, lost, logs).float(), "_mean": mean.float()}
