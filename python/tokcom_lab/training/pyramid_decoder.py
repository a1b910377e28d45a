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
from tokcom_lab.training.neighbours import MASKED_SHARE
from tokcom_lab.training.pyramid import CPU, PERCEPTUAL, SEMANTIC, SHARPNESS, WRONG_PICTURES, WRONG_TOKENS, PyramidTask

# photo256 on two busy cores, batches of 8: of the features' distance that a step of training finds, 0.735 at first,
# 0.722 were left after 30 steps in which the critic counted with 0.2 to 0.4 of the other terms. It had learnt for 185
# steps before, and its weight grew on: sharpness rose from 0.44 to 0.80 within 140 steps, but the distance to 0.82, and
# EfficientNet-Lite2 recognised fewer pictures. A critic that counts from the beginning, when it can tell nothing, had
# the distance at 0.93 after 160 steps. A learning rate of 5e-4 instead of 2e-4 had it at 0.75 without a critic.
#
# On processors with AMX, 4 to 5 s per step of 16: the distance of textures (covariances of pixel differences and of the
# first three stages of features in 8 x 8 windows) in the critic's place, its weight raised until sharpness followed. Of
# 128 photographs, searched by latents, 43.0% were recognised at first, with a cosine of 0.747 and sharpness 0.43; after
# 549 steps 43.0%, 0.718 and 0.48, after 881 steps with ten times the weight 39.1%, 0.662 and 0.51. Sharpening what the
# decoder shows by 0.6, `PyramidConfig.sharpening`, had 47.7%, 0.740 and 0.66, at the cost of 0.3 dB.


class PyramidDecoderTask(PyramidTask):
    """Training of the decoder alone by the terms of `PyramidTask`, all of them from the start.

    The critic learns from the start as well, but counts only when it can tell photographs from what is decoded. In some
    of the pictures tokens are replaced by what the context model may guess in their place.

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
        sharpness: ratio of gradient energies to which the critic's weight is adjusted; 0 for no critic.
        compiled: whether to compile the residual blocks.
        codes: name of the tokenizer's and the context model's origin, which must be the same to continue a run.
    """

    name = "decoder"
    learning_rate = 2e-4
    critic_from, voice_from, voice_ramp = 0.0, 0.12, 0.2
    critic_rate, critic_most = 1e-3, 0.4
    risen = 1.0

    def __init__(
        self, config: PyramidConfig, train: Dataset, test: Dataset, trunk: EfficientNetLite, context: MaskGitNetwork, *,
        batch: int = 8, seed: int = 0, device: torch.device = CPU, perceptual: float = PERCEPTUAL,
        semantic: float = SEMANTIC, sharpness: float = SHARPNESS, compiled: bool = False, codes: str = "",
    ):  # fmt: skip
        super().__init__(
            config, train, test, trunk, batch=batch, seed=seed, device=device, perceptual=perceptual,
            semantic=semantic, sharpness=sharpness, compiled=compiled,
        )  # fmt: skip
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

    @torch.no_grad()
    def moved(self) -> None:
        """Update the critic's weight and the average."""
        self._steer()
        follow(self.model.average, self.model.network, int(self.model.steps))
        self.model.steps += 1

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
