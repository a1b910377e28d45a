"""Training of the decoder of lossy pictures: losses as networks cause them, squared error of the picture."""

import numpy as np
import torch
from torch import Tensor

from tokcom.context.maskgit_network import MaskGitNetwork
from tokcom.device import autocast
from tokcom.packets.layout import SEEDS, packet_positions
from tokcom.protocol.path import Path, PathSettings
from tokcom.tokenizers.concealing import ConcealingConfig, ConcealingNetwork, mean_vectors
from tokcom.tokenizers.rate_distortion import FLAT
from tokcom.tokenizers.vq_network import VQAutoencoder, as_input
from tokcom_lab.training.dataset import Dataset
from tokcom_lab.training.loop import Task
from tokcom_lab.training.optimizers import MuonAdamW
from tokcom_lab.training.tokenizer import draw_pictures, psnr_of

TOKENS_PER_PACKET, PACKETS_PER_DATAGRAM = 4, 8
HIGHEST_LOSS = 0.4
"""Shares of lost datagrams are drawn from 0 to this."""
BURST = 3.0
"""Datagrams in a burst of losses, on average."""
WARM_UP = 16
"""Datagrams before a picture's, after which the path has forgotten that it began without losses."""
LABELLED = 0.75
"""Share of the pictures with which the context model is told the label."""
SEARCHED = 0.5
"""Share of the pictures with tokens found by search."""
MEASURED_DATAGRAMS = (1, 2, 4)
"""Lost datagrams of the pictures that are measured, of 8."""


class ConcealingTask(Task):
    """Training by the logarithm of each picture's squared error, after losses in bursts of datagrams.

    Args:
        tokenizer: the tokenizer, which stays as it is.
        context: its context model, as well.
        train: pictures to train on, with the encoder's tokens.
        searched: pictures of one crop, and their tokens found by search, int (n, tokens).
        test: pictures to measure on, with the encoder's tokens.
        batch: pictures per step.
        seed: seed of everything random.
        codes: name of the tokens' origin, which must be the same to continue a run.
        hidden: features per token within the network.
    """

    name = "concealing"
    learning_rate = 1e-3

    def __init__(
        self, tokenizer: VQAutoencoder, context: MaskGitNetwork, train: Dataset, searched: tuple[Dataset, np.ndarray],
        test: Dataset, *, batch: int = 32, seed: int = 0, codes: str = "", hidden: int = ConcealingConfig.hidden,
    ):  # fmt: skip
        torch.manual_seed(seed)
        self.tokenizer, self.context, self.train, self.searched, self.test = tokenizer, context, train, searched, test
        self.batch, self.seed, self.codes = batch, seed, codes
        self.model = ConcealingNetwork(ConcealingConfig.of(tokenizer, hidden=hidden))
        kernels = {name for name, p in self.model.named_parameters() if name.startswith("blocks.") and p.ndim == 4}
        self.optimizer = MuonAdamW.of(self.model.named_parameters(), kernels, self.learning_rate, weight_decay=1e-4)

    def settings(self) -> dict:
        return {
            "network": self.model.config.as_dict(), "batch": self.batch, "seed": self.seed,
            "classes": list(self.train.classes), "codes": self.codes,
        }  # fmt: skip

    def loss(self, rng: np.random.Generator) -> tuple[Tensor, dict[str, float]]:
        pictures, tokens, labels = self._drawn(rng)
        lost = self._lost(tokens, rng)
        told = np.where(rng.random(self.batch) < LABELLED, labels, self.context.config.num_classes)
        with torch.no_grad(), autocast():
            logs = self._expected(tokens, lost, torch.from_numpy(told))
        with autocast():
            decoded = self._decoded(tokens, lost, logs).float()
        figures = {"psnr_db": float(psnr_of(decoded.detach(), pictures).mean()), "lost": float(lost.float().mean())}
        return self._difference(decoded, pictures), figures

    def _lost(self, tokens: Tensor, rng: np.random.Generator) -> Tensor:
        """Draw the places lost of tokens (batch, n), bool alike."""
        return torch.from_numpy(np.stack([lost_places(self.grid, rng) for _ in tokens]))

    def _difference(self, decoded: Tensor, pictures: Tensor) -> Tensor:
        """Compute the loss of decoded pictures."""
        return ((decoded - pictures).square().mean((1, 2, 3)) + FLAT).log().mean()

    @property
    def grid(self) -> tuple[int, int]:
        """Rows and columns of tokens."""
        return self.context.config.rows, self.context.config.columns

    def _drawn(self, rng: np.random.Generator) -> tuple[Tensor, Tensor, np.ndarray]:
        """Draw pictures, their tokens and labels: some with tokens found by search, others with the encoder's."""
        few, found = self.searched
        count = int(rng.binomial(self.batch, SEARCHED)) if len(found) else 0
        which = rng.integers(0, max(len(found), 1), count)
        shown, labels = draw_pictures(self.train, self.batch - count, rng)
        pictures = as_input(np.concatenate([few.pictures[which, 0], shown]))
        tokens = torch.from_numpy(found[which].astype(np.int64))
        if count < self.batch:
            with torch.no_grad(), autocast():
                encoded = self.tokenizer.encode(pictures[count:]).flatten(1)
            tokens = torch.cat([tokens, encoded])
        return pictures, tokens, np.concatenate([few.labels[which], labels])

    def _expected(self, tokens: Tensor, lost: Tensor, labels: Tensor) -> Tensor:
        masked = tokens.masked_fill(lost, self.context.config.codebook_size)
        return self.context(masked, labels, lost).float().log_softmax(-1)

    def _decoded(self, tokens: Tensor, lost: Tensor, logs: Tensor) -> Tensor:
        shape = len(tokens), *self.grid
        return self.model(self.tokenizer, tokens.reshape(shape), lost.reshape(shape), logs)

    def evaluate(self) -> dict[str, float]:
        """Measure the PSNR by the percentage of tokens lost, told the label, and that of the mean of the code vectors
        in the tokenizer's own decoder."""
        figures = {}
        for datagrams in MEASURED_DATAGRAMS:
            rng, own, mean = np.random.default_rng(datagrams), [], []
            for start in range(0, len(self.test.labels), 20):
                pictures = as_input(self.test.pictures[start : start + 20, 0])
                tokens = self.tokenizer.encode(pictures).flatten(1)
                lost = torch.from_numpy(np.stack([lost_places(self.grid, rng, datagrams) for _ in tokens]))
                with autocast():
                    logs = self._expected(tokens, lost, torch.from_numpy(self.test.labels[start : start + 20]))
                    vectors = mean_vectors(self.tokenizer.codebook, tokens, lost, logs.exp())
                    shown = self.tokenizer.decode_vectors(vectors.reshape(len(tokens), *self.grid, -1))
                    mean.append(psnr_of(shown.float(), pictures))
                    own.append(psnr_of(self._decoded(tokens, lost, logs).float(), pictures))
            percent = round(100 * datagrams / 8)
            figures |= {f"psnr_db_{percent}": float(torch.cat(own).mean())}
            figures |= {f"psnr_db_{percent}_mean": float(torch.cat(mean).mean())}
        return figures


def lost_places(grid: tuple[int, int], rng: np.random.Generator, datagrams: int | None = None) -> np.ndarray:
    """Draw the places of tokens that a network has lost, bool (tokens,).

    Args:
        grid: rows and columns of tokens.
        rng: of the losses and of the layout.
        datagrams: lost ones; None: as a path of bursty losses has them, at least one.
    """
    packets = packet_positions(grid, TOKENS_PER_PACKET, seed=int(rng.integers(SEEDS)))
    number = np.arange(len(packets)) // PACKETS_PER_DATAGRAM
    count = int(number[-1]) + 1
    if datagrams is None:
        path = Path(PathSettings(rng.uniform(0, HIGHEST_LOSS), BURST), int(rng.integers(1 << 31)))
        gone = [not path.arrivals(1, 0.0) for _ in range(WARM_UP + count)][WARM_UP:]
        if not any(gone):  # a whole picture teaches nothing
            gone = np.arange(count) == rng.integers(count)
    else:
        gone = rng.permutation(count) < datagrams
    lost = np.zeros(grid[0] * grid[1], bool)
    lost[packets[np.array(gone)[number]].ravel()] = True
    return lost
