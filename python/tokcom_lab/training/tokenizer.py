"""Training of the VQ tokenizer: reconstruction, predictability, commitment, and a codebook that follows the latents."""

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

from tokcom.device import autocast
from tokcom.tokenizers.pyramid_network import PyramidConfig
from tokcom.tokenizers.rate_distortion import FLAT
from tokcom.tokenizers.vq_network import VQAutoencoder, VQConfig, VQNetwork, as_input
from tokcom_lab.training.dataset import Dataset
from tokcom_lab.training.loop import Task
from tokcom_lab.training.neighbours import MASKED_SHARE, NeighbourPredictor, neighbour_bits

CODEBOOK_DECAY = 0.99
REVIVAL_USE = 0.02
"""Smoothed number of uses per batch below which a code moves to a latent of the batch (the average is 8 at batch
32)."""


COMMITMENT = 10.0
RATE = 0.12
"""Weight of one bit per token in nepers of mean squared error: 0.52 dB of PSNR."""


class TokenizerTask(Task):
    """Training by the logarithm of each picture's squared error, i.e. its PSNR, plus its tokens' cost under a context
    model.

    A token that is predictable from its neighbours is easier to receive, so the encoder learns to choose, among codes
    that look alike, the expected one (rate-distortion optimisation with `neighbours` as the rate). Gradients pass the
    quantizer rotated onto the code (Fifty et al., ICLR 2025). The codebook is a moving average of the latents that
    chose each code (van den Oord et al., 2017), kept on the unit sphere; unused codes are moved to random latents of
    the batch.
    """

    name = "tokenizer"
    learning_rate = 1e-3
    growing = ("encoder.blocks.", "decoder.blocks.", "decoder.detail.")

    def __init__(self, config: VQConfig, train: Dataset, test: Dataset, *, batch: int = 32, seed: int = 0):
        torch.manual_seed(seed)
        self.config, self.train, self.test, self.batch, self.seed = config, train, test, batch, seed
        self.model = VQNetwork(config).to(memory_format=torch.channels_last)
        self.model.predictor = NeighbourPredictor(config.code_dim, config.codebook_size)
        self.model.register_buffer("code_use", torch.zeros(config.codebook_size))
        self.model.register_buffer("code_sum", torch.zeros(config.codebook_size, config.code_dim))
        self.optimizer = torch.optim.AdamW(self.model.parameters(), lr=self.learning_rate, weight_decay=1e-4)

    def settings(self) -> dict:
        return {
            "network": self.config.as_dict(),
            "batch": self.batch,
            "seed": self.seed,
            "classes": list(self.train.classes),
        }

    def warm_start(self, weights: dict[str, Tensor]) -> None:
        super().warm_start(weights)
        use = self.batch * (self.config.image_size // self.config.patch_size) ** 2 / self.config.codebook_size
        self.model.code_use.fill_(use)
        self.model.code_sum.copy_(self.model.codebook * use)

    def loss(self, rng: np.random.Generator) -> tuple[Tensor, dict[str, float]]:
        pictures = as_input(draw_pictures(self.train, self.batch, rng)[0])
        codebook = self.model.codebook
        with autocast():
            latents = self.model.latents(pictures)
            with torch.no_grad():
                tokens = self.model.quantize(latents)
            codes = codebook[tokens]
            vectors = rotated(latents, codes)
            decoded = self.model.decode_vectors(vectors).float()
            share = rng.uniform(*MASKED_SHARE, (self.batch, 1, 1))
            masked = torch.from_numpy(rng.random(tokens.shape) < share)
            bits = neighbour_bits(self.model.predictor, latents, vectors, codebook, masked)
        error = (decoded - pictures).square().mean((1, 2, 3))
        commitment = F.mse_loss(latents, codes)
        self.drawn = latents.detach().flatten(0, 2), tokens.flatten(), rng
        used = (self.model.code_use > REVIVAL_USE).float().mean()
        # Pictures span [-1, 1]: PSNR = 10 log10(4 / MSE).
        return (error + FLAT).log().mean() + RATE * bits + COMMITMENT * commitment, {
            "psnr_db": float(10 * torch.log10(4 / error.detach()).mean()),
            "bits": float(bits.detach()),
            "codes_used": float(used),
        }

    def moved(self) -> None:
        # Only now: before, gradients depend on the old codes, or may turn out not to be finite.
        self._move_codes(*self.drawn)

    @torch.no_grad()
    def _move_codes(self, latents: Tensor, tokens: Tensor, rng: np.random.Generator) -> None:
        model, size = self.model, self.config.codebook_size
        latents = latents.float()
        use = torch.bincount(tokens, minlength=size).float()
        total = torch.zeros_like(model.code_sum).index_add_(0, tokens, latents)
        model.code_use.lerp_(use, 1 - CODEBOOK_DECAY)
        model.code_sum.lerp_(total, 1 - CODEBOOK_DECAY)
        dead = torch.nonzero(model.code_use < REVIVAL_USE).flatten()
        if len(dead):
            chosen = latents[torch.from_numpy(rng.integers(0, len(latents), len(dead)))]
            model.code_sum[dead], model.code_use[dead] = chosen, 1.0
        model.codebook.copy_(F.normalize(model.code_sum, dim=1))

    def evaluate(self) -> dict[str, float]:
        quality, tokens = [], []
        for start in range(0, len(self.test.labels), 64):
            pictures = as_input(self.test.pictures[start : start + 64, 0])
            tokens.append(self.model.encode(pictures))
            quality.append(psnr_db(self.model, pictures, tokens[-1]))
        return {"psnr_db": float(torch.cat(quality).mean())} | use_of_codes(torch.cat(tokens), self.config)


def psnr_db(model: VQAutoencoder, pictures: Tensor, tokens: Tensor) -> Tensor:
    """Compute the PSNR in dB of each picture (batch, 3, size, size) decoded from its tokens, rounded to 8 bits."""
    return psnr_of(model.decode(tokens), pictures)


def psnr_of(decoded: Tensor, pictures: Tensor) -> Tensor:
    """Compute the PSNR in dB of each decoded picture (batch, 3, size, size), rounded to 8 bits."""
    shown = ((decoded.clamp(-1, 1) + 1) * 127.5).round() / 127.5 - 1
    return 10 * torch.log10(4 / (shown - pictures).square().mean((1, 2, 3)))


def use_of_codes(tokens: Tensor, config: VQConfig | PyramidConfig) -> dict[str, float]:
    """Compute the zeroth-order entropy of tokens in bits, and the number of codes in use."""
    share = torch.bincount(tokens.flatten(), minlength=config.codebook_size) / tokens.numel()
    return {
        "token_entropy_bits": float(-(share * share.clamp_min(1e-12).log2()).sum()),
        "codes_used": int((share > 0).sum()),
    }


def rotated(latents: Tensor, codes: Tensor) -> Tensor:
    """Return the codes, with gradients to the latents through the rotation from one to the other."""
    start, end = latents.detach(), codes
    middle = F.normalize(start + end, dim=-1)
    return (
        latents
        - 2 * (latents * middle).sum(-1, keepdim=True) * middle
        + 2 * (latents * start).sum(-1, keepdim=True) * end
    )


def draw_pictures(data: Dataset, batch: int, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """Draw random pictures, crops and mirrorings, uint8 (batch, size, size, 3), and their labels, int64 (batch,)."""
    picture = rng.integers(0, data.pictures.shape[0], batch)
    crop = rng.integers(0, data.pictures.shape[1], batch)
    drawn = data.pictures[picture, crop]
    mirrored = rng.random(batch) < 0.5
    drawn[mirrored] = drawn[mirrored, :, ::-1]
    return drawn, data.labels[picture]
