"""Further training of the decoder of a tokenizer for photographs: its words stay, and with them every prior of them."""

import numpy as np
import torch
from torch import Tensor

from tokcom.context.efficientnet_lite import EfficientNetLite
from tokcom.context.maskgit_network import MaskGitNetwork
from tokcom.device import autocast
from tokcom.tokenizers.pyramid_network import PyramidConfig
from tokcom_lab.training.averaging import follow
from tokcom_lab.training.dataset import Dataset
from tokcom_lab.training.losses import pixel_differences, texture_distance
from tokcom_lab.training.neighbours import MASKED_SHARE
from tokcom_lab.training.pyramid import (
    CPU,
    PERCEPTUAL,
    SEMANTIC,
    SHARPNESS,
    WRONG_PICTURES,
    WRONG_TOKENS,
    Features,
    PyramidTask,
)

TEXTURED = 3
"""Stages of features, finest first, whose textures are compared, beside differences of pixels."""
TEXTURE = (20.0, 2.0, 200.0)
"""Weight of the textures' distance: initial, smallest, largest."""
STEERING = 0.02
"""Growth of the logarithm of the textures' weight per step and unit of missing sharpness."""


class PyramidDecoderTask(PyramidTask):
    """Training of the decoder alone by the terms of `PyramidTask`, all of them from the start, and by textures in place
    of a critic.

    In some of the pictures tokens are replaced by what the context model may guess in their place.

    Args:
        config: shape of the network.
        train: pictures to train on, of which the central square is used.
        test: pictures to measure on.
        trunk: EfficientNet-Lite0, whose features are compared.
        context: the context model of the tokens; it is not told what the pictures show.
        batch: pictures per step.
        seed: seed of everything random.
        device: device of the training.
        perceptual: weight of the features' distance.
        semantic: weight of the pooled features' distance.
        sharpness: ratio of gradient energies to which the textures' weight is adjusted; 0 for none.
        compiled: whether to compile the residual blocks.
        codes: name of the tokenizer's and the context model's origin, which must be the same to continue a run.
    """

    name = "decoder"
    learning_rate = 3e-4
    risen, criticised = 1.0, False

    def __init__(
        self, config: PyramidConfig, train: Dataset, test: Dataset, trunk: EfficientNetLite, context: MaskGitNetwork, *,
        batch: int = 8, seed: int = 0, device: torch.device = CPU, perceptual: float = PERCEPTUAL,
        semantic: float = SEMANTIC, sharpness: float = SHARPNESS, compiled: bool = False, codes: str = "",
    ):  # fmt: skip
        super().__init__(
            config, train, test, trunk, batch=batch, seed=seed, device=device, perceptual=perceptual,
            semantic=semantic, sharpness=sharpness, compiled=compiled,
        )  # fmt: skip
        self.model.register_buffer("texture", torch.tensor(TEXTURE[0]))
        self.codes = codes
        self.context = context.to(device).eval().requires_grad_(False)
        for part in (self.model.network.encoder, self.model.predictor):
            part.requires_grad_(False)
        learning = list(self.model.network.decoder.named_parameters())
        kernels = {name for name, p in learning if "blocks" in name and p.ndim == 4}
        self.optimizer = self._optimizer(learning, kernels)

    def settings(self) -> dict:
        return super().settings() | {"codes": self.codes}

    def loss(self, rng: np.random.Generator) -> tuple[Tensor, dict[str, float]]:
        network, pictures = self.model.network, self.feed.draw(self.batch, rng)
        with torch.no_grad(), autocast(self.device):
            vectors = network.codebook[self._some_guessed(network.encode(pictures))]
        with autocast(self.device):
            decoded = network.decode_vectors(vectors).float()
        value, gradient, critic, figures = self._at_the_picture(decoded.detach(), pictures, rng)
        through = (decoded * gradient).sum()
        error = (decoded.detach() - pictures).square().mean((1, 2, 3))
        figures = {"psnr_db": 10 * torch.log10(4 / error).mean()} | figures
        return through - through.detach() + value + critic, {name: float(each) for name, each in figures.items()}

    def _unlikeness(self, sent: Features, shown: Features) -> tuple[Tensor, dict[str, Tensor]]:
        value, figures = super()._unlikeness(sent, shown)
        if not self.weights["sharpness"]:
            return value, figures
        maps = ([pixel_differences(each.pictures), *each.stages[:TEXTURED]] for each in (sent, shown))
        texture = texture_distance(*maps)
        figures |= {"texture": texture.detach(), "texture_weight": self.model.texture}
        return value + self.model.texture * texture, figures

    @torch.no_grad()
    def moved(self) -> None:
        """Update the textures' weight and the average."""
        model = self.model
        model.sharpness.lerp_(self.measured_sharpness, 0.02)
        model.texture.mul_(torch.exp(STEERING * (self.weights["sharpness"] - model.sharpness)))
        model.texture.clamp_(*TEXTURE[1:])
        follow(model.average, model.network, int(model.steps))
        model.steps += 1

    def _some_guessed(self, tokens: Tensor) -> Tensor:
        """Replace tokens of some pictures by guesses of the context model, (batch, rows, columns)."""
        chosen = self._random(len(tokens)) < WRONG_PICTURES
        if not bool(chosen.any()):
            return tokens
        own = tokens[chosen].flatten(1)
        masked = self._shares(MASKED_SHARE, len(own))[:, 0] > self._random(*own.shape)
        wrong = masked & (self._shares((0.0, WRONG_TOKENS), len(own))[:, 0] > self._random(*own.shape))
        words, untold = self.config.codebook_size, torch.full((len(own),), self.context.config.num_classes)
        logits = self.context(own.masked_fill(masked, words), untold.to(own.device), wrong).float()
        guessed = own.clone()
        guessed[wrong] = (logits - torch.empty_like(logits).exponential_().log()).argmax(-1)
        shown = tokens.clone()
        shown[chosen] = guessed.reshape(-1, *tokens.shape[1:])
        return shown
