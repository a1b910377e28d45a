"""Training of a speech tokenizer: spectra, intelligibility, and codebooks that follow the encoder."""

import numpy as np
import torch
from scipy.signal import resample
from torch import Tensor

from tokcom.device import autocast
from tokcom.tokenizers.pitch import FRAME, pitch_words
from tokcom.tokenizers.speech_network import SpeechConfig, SpeechNetwork
from tokcom_lab.speech.dataset import Speech
from tokcom_lab.speech.quality import estoi_of, excerpts
from tokcom_lab.speech.spectral_loss import intelligibility, spectral_distance
from tokcom_lab.training.averaging import average_of
from tokcom_lab.training.loop import Task

FRAMES = 50
"""Frames of a training segment: 2 s."""
UNQUANTIZED_STEPS = 300
"""Steps at the beginning without quantizers; then their codebooks are clustered."""
CODEBOOK_DECAY = 0.98
REVIVAL_USE = 0.05
COMMITMENT, SPECTRAL, INTELLIGIBLE = 0.25, 0.5, 2.0
"""Weights in the loss."""
STRETCH = 1.16
"""Largest factor by which pitch and tempo of a segment are changed."""
LOUDNESS_DB = 5.0
"""Standard deviation of the level of a segment."""


class SpeechTokenizerTask(Task):
    """Training of a `SpeechNetwork` on segments of random start, level and speed.

    Args:
        config: shape of the network.
        train, test: recordings, of different speakers.
        batch: segments per step.
        seed: seed of everything random.
    """

    name = "speech tokenizer"
    learning_rate = 1.5e-3

    def __init__(self, config: SpeechConfig, train: Speech, test: Speech, *, batch: int = 10, seed: int = 0):
        torch.manual_seed(seed)
        self.config, self.train, self.test, self.batch, self.seed = config, train, test, batch, seed
        self.model = SpeechNetwork(config)
        stages, size, width = self.model.codebooks.shape
        self.model.register_buffer("code_use", torch.zeros(stages, size))
        self.model.register_buffer("code_sum", torch.zeros(stages, size, width))
        self.model.register_buffer("code_use_steps", torch.zeros(()))
        self.model.chosen_average = average_of(self.model)
        self.optimizer = torch.optim.AdamW(
            [each for name, each in self.model.named_parameters() if not name.startswith("chosen_average")],
            lr=self.learning_rate, betas=(0.9, 0.98), weight_decay=1e-3,
        )  # fmt: skip

    @property
    def exported(self) -> SpeechNetwork:
        return self.model.chosen_average

    def settings(self) -> dict:
        return {
            "network": self.config.as_dict(), "batch": self.batch, "seed": self.seed,
            "recordings": len(self.train.names),
        }  # fmt: skip

    def loss(self, rng: np.random.Generator) -> tuple[Tensor, dict[str, float]]:
        model = self.model
        signals = np.stack([self._segment(rng) for _ in range(self.batch)])
        pitch = torch.from_numpy(pitch_words(signals, self.config.codebook_size))
        wanted = torch.from_numpy(signals)
        features = model.log_mel(wanted)
        with autocast():
            latents = model.latents(features, pitch).float()
        vectors, commitment = latents, torch.zeros(())
        self.drawn = None
        if model.code_use_steps >= UNQUANTIZED_STEPS:
            with torch.no_grad():
                words = model.quantize(latents)
                codes = model.vectors(words)
            vectors = latents + (codes - latents).detach()
            commitment = (latents - codes).square().mean()
            self.drawn = words
        self.latents, self.rng_of_codes = latents.detach().flatten(0, 1), rng
        noise = torch.from_numpy(rng.standard_normal(signals.shape, np.float32))
        with autocast():
            gains = model.gains(vectors, pitch)
        made = model.excited(*gains, pitch, noise)
        distance, clear = spectral_distance(made, wanted), intelligibility(made, wanted)
        loss = SPECTRAL * distance + INTELLIGIBLE * (1 - clear) + COMMITMENT * commitment
        return loss, {"spectral": float(distance.detach()), "estoi": float(clear.detach())}

    def moved(self) -> None:
        model = self.model
        with torch.no_grad():
            model.code_use_steps += 1
            if self.drawn is not None:
                self._move_codes()
            elif model.code_use_steps >= UNQUANTIZED_STEPS:
                self._cluster()
        self._follow()

    def _follow(self) -> None:
        own = {name: each for name, each in self.model.named_parameters() if not name.startswith("chosen_average")}
        average = dict(self.exported.named_parameters())
        kept = min(0.999, (float(self.model.code_use_steps) + 2) / (float(self.model.code_use_steps) + 11))
        with torch.no_grad():
            torch._foreach_lerp_([average[name] for name in own], [each.detach() for each in own.values()], 1 - kept)
            self.exported.codebooks.copy_(self.model.codebooks)

    def _cluster(self) -> None:
        """Set the codebooks by k-means of the latents, stage by stage."""
        rest, model = self.latents, self.model
        size = self.config.codebook_size
        for stage in range(len(model.codebooks)):
            codes = rest[torch.from_numpy(self.rng_of_codes.permutation(len(rest))[:size])].clone()
            for _ in range(12):
                nearest = torch.cdist(rest, codes).argmin(1)
                count = torch.bincount(nearest, minlength=size).float()
                total = torch.zeros_like(codes).index_add_(0, nearest, rest)
                codes = torch.where(count[:, None] > 0, total / count.clamp_min(1)[:, None], codes)
            model.codebooks[stage], model.code_sum[stage], model.code_use[stage] = codes, codes * 4, 4.0
            rest = rest - codes[torch.cdist(rest, codes).argmin(1)]

    def _move_codes(self) -> None:
        """Move each code towards the mean of what chose it; unused ones to random latents (van den Oord et al.,
        2017)."""
        model, rest, size = self.model, self.latents, self.config.codebook_size
        for stage, words in enumerate(self.drawn.transpose(0, 1).flatten(1)):
            use = torch.bincount(words, minlength=size).float()
            total = torch.zeros_like(model.code_sum[stage]).index_add_(0, words, rest)
            model.code_use[stage].lerp_(use, 1 - CODEBOOK_DECAY)
            model.code_sum[stage].lerp_(total, 1 - CODEBOOK_DECAY)
            dead = torch.nonzero(model.code_use[stage] < REVIVAL_USE).flatten()
            if len(dead):
                chosen = rest[torch.from_numpy(self.rng_of_codes.integers(0, len(rest), len(dead)))]
                model.code_sum[stage, dead], model.code_use[stage, dead] = chosen, 1.0
            former = model.codebooks[stage][words]
            model.codebooks[stage] = model.code_sum[stage] / model.code_use[stage, :, None]
            rest = rest - former

    def _segment(self, rng: np.random.Generator) -> np.ndarray:
        """Draw a segment with speech, float32 (FRAMES * FRAME,)."""
        length = FRAMES * FRAME
        while True:
            own = int(length * STRETCH ** rng.uniform(-1, 1)) // 40 * 40
            start = int(rng.integers(0, len(self.train.signal) - own))
            piece = self.train.signal[start : start + own]
            if np.square(piece).mean() > 3e-4:
                break
        gain = 10 ** (LOUDNESS_DB * rng.standard_normal() / 20)
        return np.clip(resample(piece, length) * gain, -1, 1).astype(np.float32)

    def evaluate(self) -> dict[str, float]:
        network, figures = self.exported, {}
        for speaker, signals in excerpts(self.test).items():
            figures[f"estoi_{speaker}"] = float(np.mean([estoi_of(each, coded(network, each)) for each in signals]))
        return {"estoi": float(np.mean(list(figures.values())))} | figures


def coded(network: SpeechNetwork, signal: np.ndarray, seed: int = 0) -> np.ndarray:
    """Encode and decode a signal (n * FRAME,) with a network."""
    pitch = torch.from_numpy(pitch_words(signal[None], network.config.codebook_size))
    noise = torch.from_numpy(np.random.default_rng(seed).standard_normal((1, len(signal)), np.float32))
    with torch.inference_mode():
        latents = network.latents(network.log_mel(torch.from_numpy(signal[None])), pitch)
        return network.synthesize(network.vectors(network.quantize(latents)), pitch, noise)[0].numpy()
