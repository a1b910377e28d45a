"""Training of the prior of speech, over tokens of the model's tokenizer."""

import math

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

from tokcom.context.speech_prior_network import SpeechPriorConfig, SpeechPriorNetwork
from tokcom.device import autocast
from tokcom.tokenizers.pitch import FRAME
from tokcom.tokenizers.speech import SpeechTokenizer
from tokcom_lab.speech.dataset import Speech
from tokcom_lab.training.loop import Task
from tokcom_lab.training.optimizers import MuonAdamW

AT_ONCE = 60 * 25
"""Frames tokenized together."""
UNSEEN_START, RECENT = 0.3, 0.4
"""Shares of the windows whose beginning is unknown, as at the start of a stream, and of those whose end is: what comes
now."""


def speech_tokens(speech: Speech, tokenizer: SpeechTokenizer) -> np.ndarray:
    """Tokens of all recordings, joined, uint8 (quantizers, frames)."""
    parts = []
    for start in range(0, len(speech.signal), AT_ONCE * FRAME):
        frame = tokenizer.tokenize(speech.signal[start : start + AT_ONCE * FRAME])
        parts.append(frame.tokens.reshape(frame.grid).astype(np.uint8))
    return np.concatenate(parts, 1)


class SpeechPriorTask(Task):
    """Cross-entropy of masked tokens in windows drawn from joined recordings.

    Args:
        config: shape of the network.
        train, test: tokens, uint8 (quantizers, frames).
        batch: windows per step.
        seed: seed of everything random.
        codes: hash of the tokenizer, which must be the same to continue a run.
    """

    name = "speech prior"
    learning_rate = 2e-3

    def __init__(
        self, config: SpeechPriorConfig, train: np.ndarray, test: np.ndarray, *, batch: int = 32, seed: int = 0,
        codes: str = "",
    ):  # fmt: skip
        torch.manual_seed(seed)
        self.config, self.train, self.test = config, train, test
        self.batch, self.seed, self.codes = batch, seed, codes
        self.model = SpeechPriorNetwork(config)
        # Each quantizer's words begin with their frequencies.
        counts = np.stack([np.bincount(row, minlength=config.codebook_size) + 1.0 for row in train])
        self.model.bias.data = torch.from_numpy(np.log(counts / counts.sum(1, keepdims=True))).float()
        matrices = {name for name, p in self.model.named_parameters() if p.ndim == 2 and name.startswith("blocks.")}
        self.optimizer = MuonAdamW.of(self.model.named_parameters(), matrices, self.learning_rate, weight_decay=0.03)

    def settings(self) -> dict:
        return {"network": self.config.as_dict(), "batch": self.batch, "seed": self.seed, "codes": self.codes}

    def loss(self, rng: np.random.Generator) -> tuple[Tensor, dict[str, float]]:
        starts = rng.integers(0, self.train.shape[1] - self.config.frames, self.batch)
        tokens, shown, wanted = self._masked(self.train, starts, rng, rng.uniform(0.05, 1.0, self.batch) ** 2)
        with autocast():
            logits = self.model(shown, wanted)
        loss = F.cross_entropy(logits.float(), tokens[wanted])
        return loss, {"bits": float(loss.detach()) / math.log(2)}

    def _masked(
        self, source: np.ndarray, starts: np.ndarray, rng: np.random.Generator, shares: np.ndarray
    ) -> tuple[Tensor, Tensor, Tensor]:
        """Windows (batch, quantizers * frames): tokens, what is shown of them, and bool, what is asked for."""
        config = self.config
        windows = np.stack([source[:, start : start + config.frames] for start in starts]).astype(np.int64)
        masked = rng.random(windows.shape) < shares[:, None, None]
        unseen = np.zeros(windows.shape, bool)
        for row in range(len(windows)):
            if rng.random() < UNSEEN_START:
                unseen[row, :, : rng.integers(1, config.frames - 1)] = True
            if rng.random() < RECENT:
                masked[row, :, -int(rng.integers(1, 5)) :] = True
        wanted = masked & ~unseen
        wanted[:, 0, -1] |= ~wanted.any((1, 2))
        shown = np.where(wanted | unseen, config.codebook_size, windows)
        return tuple(torch.from_numpy(each.reshape(len(windows), -1)) for each in (windows, shown, wanted))

    def evaluate(self) -> dict[str, float]:
        """Measure bits per token of unseen speakers: 15% and 50% masked, and the two last frames given those
        before."""
        figures, rng = {}, np.random.default_rng(1)
        starts = rng.integers(0, self.test.shape[1] - self.config.frames, 400)
        windows = np.stack([self.test[:, start : start + self.config.frames] for start in starts]).astype(np.int64)
        last = np.zeros(windows.shape, bool)
        last[:, :, -2:] = True
        for name, masked in (
            ("bits_at_15", rng.random(windows.shape) < 0.15), ("bits_at_50", rng.random(windows.shape) < 0.5),
            ("bits_next_packet", last), ("bits_alone", np.ones(windows.shape, bool)),
        ):  # fmt: skip
            tokens, shown, wanted = (
                torch.from_numpy(each.reshape(len(windows), -1))
                for each in (windows, np.where(masked, self.config.codebook_size, windows), masked)
            )
            figures[name] = float(F.cross_entropy(self.exported(shown, wanted).float(), tokens[wanted])) / math.log(2)
        return figures
