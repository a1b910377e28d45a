"""Training of the tokenizer for photographs."""

import copy
from collections.abc import Callable, Sequence

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from tokcom.context.efficientnet_lite import EfficientNetLite
from tokcom.device import autocast
from tokcom.tokenizers.pyramid_network import NormalizedBlock, PyramidConfig, PyramidVQNetwork
from tokcom_lab.training.averaging import average_of, follow
from tokcom_lab.training.critic import STAGES, Critic
from tokcom_lab.training.dataset import Dataset
from tokcom_lab.training.loop import Task, rate_by_share
from tokcom_lab.training.losses import (
    balanced,
    coarse_error,
    critic_loss,
    feature_distance,
    fooling_loss,
    gradient_energy,
    log_error,
    semantic_distance,
    sharpness,
    units,
)
from tokcom_lab.training.neighbours import MASKED_SHARE, NeighbourPredictor, soft_bits
from tokcom_lab.training.optimizers import MuonAdamW
from tokcom_lab.training.picture_feed import PictureFeed
from tokcom_lab.training.tokenizer import psnr_of, rotated, use_of_codes

TAPS = (0, 2, 4, 10, 15)
"""Blocks of EfficientNet-Lite0 whose outputs are compared: strides 2, 4, 8, 16 and 32."""
CROP = 0.75
"""Side of the random window seen by features and critic, as a share of the picture's."""

# Weights of the terms, against log_error's 1.
#
# The run of 5.6 minutes on an H100 (33,414 photographs, 2,810 steps of 96) had 0.3, perceptual 4, no semantic term, and
# the critic from half of it on at a weight of at most 0.8, where it stayed. It gave 22.1 dB, sharpness 0.44 and 44%
# agreement of EfficientNet-Lite2; the target is 21.5 dB, 0.8 and 70%. PERCEPTUAL, SEMANTIC, SHARPNESS and the limit of
# ADVERSARIAL therefore trade decibels for appearance; no GPU has run with them yet.
#
# Fifty steps of 8 more from that run's weights, on processors and without a critic, measured on 64 photographs: with 4
# and no semantic term 22.71 dB, sharpness 0.19 and a cosine of EfficientNet-Lite2's features of 0.737; with 12 and 2
# 22.54 dB, 0.25 and 0.752. Most of the sharpness is the critic's. From random weights, a hundred steps of 6 with the
# critic: 18.27 dB and 0.22 with 4 and no semantic term, 18.09 dB and 0.36 with these.
#
# In the decoder's weights the gradient of a unit of perceptual was 0.4 of that of log_error and coarse_error together,
# of a unit of semantic 0.75, at a cosine of 0.7.
COARSE_WEIGHT = 0.3
PERCEPTUAL = 12.0
SEMANTIC = 2.0
FEATURES_AT_FIRST, FEATURES_RAMP = 1 / 3, 0.4
"""Initial share of PERCEPTUAL, that run's 4, and the share of the training over which it rises to 1, as SEMANTIC does
from 0: features mean little before there is a picture."""
SHARPNESS = 1.1
"""Target sharpness of decoded pictures, to which the critic's weight is adjusted. The exported average is softer: 0.44
when the network itself had 0.58."""
ADVERSARIAL = (0.2, 0.05, 3.0)
"""Length of the critic's gradient relative to that of the other terms: initial, smallest, largest."""
STEERING = 0.03
"""Growth of the logarithm of the critic's weight per step and unit of missing sharpness."""
ADVERSARIAL_FROM, ADVERSARIAL_RAMP = 0.5, 0.05
"""Share of the training after which there is a critic, and over which its weight rises."""
CRITIC_RATE = 3e-4
RATE = 0.08
"""Weight of one bit per token in nepers of mean squared error: 0.35 dB of PSNR."""
RATE_RAMP = 0.4
"""Share of the training over which the rate term rises to RATE."""
COMMITMENT = 10.0
PREDICTOR_WIDTH = 128
PACE, FIRST_PACE, PACE_STEPS = 0.01, 0.3, 20
"""Share of the codebook's averages replaced per step: final, initial, and the number of steps after which it has
halved."""
REVIVAL_USE = 0.03
"""Use of a code, relative to the average, below which it moves to a latent of the batch."""
REVIVAL_EVERY, REVIVAL_UNTIL = 10, 0.7
"""Steps between revivals, and the share of the training after which they stop, so that the words keep their meaning."""
INITIAL_SPREAD = 0.05
WRONG_FROM, WRONG_PICTURES, WRONG_TOKENS = 0.4, 0.25, 0.4
"""Share of the training after which the decoder sees wrong tokens; share of pictures with wrong tokens; largest share
of wrong ones among the masked tokens of such a picture."""
CPU = torch.device("cpu")
COMPILED_SHAPES = 64
MEASURED_AT_ONCE = 32
"""Pictures measured at a time."""


class PyramidTask(Task):
    """Training by pixels, features, a critic in the second half, and the tokens' cost under a context model.

    The codebook is a moving average of the latents that chose each word, kept on the unit sphere; gradients pass it by
    a rotation, and tokens have a cost as in `TokenizerTask`. In a quarter of the pictures some tokens are replaced by
    plausible ones, drawn from the predictor of neighbours, as by a receiver's context model: the decoder learns not to
    trust a token that does not fit. The average over the last thousand steps is measured and exported.

    Args:
        config: shape of the network.
        train: pictures to train on, of which the central square is used.
        test: pictures to measure on.
        trunk: EfficientNet-Lite0, whose features are compared.
        batch: pictures per step.
        seed: seed of everything random.
        device: device of the training.
        perceptual: weight of the features' distance.
        semantic: weight of the pooled features' distance.
        sharpness: ratio of gradient energies to which the critic's weight is adjusted; 0 for no critic.
        compiled: whether to compile the residual blocks, which takes a minute and pays off on a GPU after a few.
    """

    name = "tokenizer"
    learning_rate = 1e-3
    critic_from = voice_from = ADVERSARIAL_FROM
    voice_ramp = ADVERSARIAL_RAMP
    critic_rate, critic_most = CRITIC_RATE, ADVERSARIAL[2]

    def __init__(
        self, config: PyramidConfig, train: Dataset, test: Dataset, trunk: EfficientNetLite, *, batch: int = 96,
        seed: int = 0, device: torch.device = CPU, perceptual: float = PERCEPTUAL,
        semantic: float = SEMANTIC, sharpness: float = SHARPNESS, compiled: bool = False,
    ):  # fmt: skip
        torch.manual_seed(seed)
        self.config, self.batch, self.seed, self.device = config, batch, seed, device
        self.classes = list(train.classes)
        self.weights = {"perceptual": perceptual, "semantic": semantic, "sharpness": sharpness}
        self.feed, self.test = PictureFeed(train, device), PictureFeed(test, device)
        self.trunk = copy.deepcopy(trunk).to(device, memory_format=torch.channels_last)
        network = PyramidVQNetwork(config)
        channels = [self.trunk.blocks[TAPS[stage]].project.out_channels for stage in STAGES]
        self.model = _Training(network, channels).to(device, memory_format=torch.channels_last)
        learning = [*self.model.network.named_parameters(), *self.model.predictor.named_parameters()]
        kernels = {name for name, p in learning if "blocks" in name and p.ndim == 4}
        self.optimizer = self._optimizer(learning, kernels)
        if compiled:
            # Blocks share code but differ in width and size: compile each separately.
            torch._dynamo.config.recompile_limit = max(torch._dynamo.config.recompile_limit, COMPILED_SHAPES)
            for module in [each for each in self.model.network.modules() if isinstance(each, NormalizedBlock)]:
                module.compile(dynamic=False)

    def _optimizer(self, learning: Sequence[tuple[str, nn.Parameter]], kernels: set[str]) -> MuonAdamW:
        """Make the optimizer of what decodes, by name, and of the critic."""
        self.generating = [p for _, p in learning]
        return MuonAdamW.of(
            learning, kernels, self.learning_rate, weight_decay=1e-4, batched=True,
            further=[{"params": list(self.model.critic.parameters()), "weight_decay": 0.01, "betas": (0.5, 0.9)}],
        )  # fmt: skip

    @property
    def trained(self) -> PyramidVQNetwork:
        return self.model.network

    @property
    def exported(self) -> PyramidVQNetwork:
        return self.model.average

    def settings(self) -> dict:
        return {
            "network": self.config.as_dict(), "batch": self.batch, "seed": self.seed, "classes": self.classes,
        } | self.weights  # fmt: skip

    def warm_start(self, weights: dict[str, Tensor]) -> None:
        super().warm_start(weights)
        self.exported.load_state_dict(self.trained.state_dict())
        self._begin_codes(self.trained.codebook)
        self.model.code_age.fill_(round(PACE_STEPS * FIRST_PACE / PACE))  # they move slowly from the first step on

    def set_rates(self, step: int) -> None:
        """Set the rates as `rate_by_share`, except the critic's, which falls only in the last fifth."""
        for group in self.optimizer.param_groups:
            group["lr"] = self.learning_rate * rate_by_share(self.share)
        self.optimizer.param_groups[-1]["lr"] = self.critic_rate * min(1.0, (1.02 - self.share) / 0.2)

    def clip(self) -> Tensor:
        """Clip the decoder's gradient and the critic's separately; return the decoder's norm."""
        nn.utils.clip_grad_norm_(self.model.critic.parameters(), 1.0)
        return nn.utils.clip_grad_norm_(self.generating, 1.0)

    def loss(self, rng: np.random.Generator) -> tuple[Tensor, dict[str, float]]:
        model, pictures = self.model, self.feed.draw(self.batch, rng)
        with autocast(self.device):
            latents = model.network.latents(pictures)
        flat = latents.detach().flatten(0, 2)
        if not bool(model.code_use.any()):
            self._begin_codes(self._sampled(flat, self.config.codebook_size, rng))
        codebook = model.network.codebook
        with torch.no_grad():
            tokens = model.network.quantize(latents)
        codes = codebook[tokens]
        vectors = rotated(latents, codes)
        masked = self._shares(MASKED_SHARE, len(pictures)) > self._random(*tokens.shape)
        with autocast(self.device):
            logits = model.predictor(vectors, masked).float()
        bits = soft_bits(latents[masked], codebook, logits)
        shown = vectors
        if self.share > WRONG_FROM:
            shown = self._some_wrong(vectors, masked, logits.detach(), codebook)
        with autocast(self.device):
            decoded = model.network.decode_vectors(shown).float()
        value, gradient, critic, figures = self._at_the_picture(decoded.detach(), pictures, rng)
        rate = RATE * min(1.0, self.share / RATE_RAMP)
        # The gradients of the terms at the picture are combined there and propagated through the decoder once.
        through = (decoded * gradient).sum()
        total = through - through.detach() + value + rate * bits + COMMITMENT * F.mse_loss(latents, codes) + critic
        self.drawn = flat, tokens.flatten(), rng
        error = (decoded.detach() - pictures).square().mean((1, 2, 3))
        used = (model.code_use > REVIVAL_USE * self._mean_use).float().mean()
        figures = {"psnr_db": 10 * torch.log10(4 / error).mean(), "bits": bits.detach(), "codes_used": used} | figures
        return total, {name: float(figure) for name, figure in figures.items()}

    def _at_the_picture(
        self, decoded: Tensor, pictures: Tensor, rng: np.random.Generator
    ) -> tuple[Tensor, Tensor, Tensor, dict[str, Tensor]]:
        """Compute the terms that compare pictures, their gradient at the decoded pictures, the critic's own loss, and
        figures."""
        model, leaf = self.model, decoded.requires_grad_()
        window = self._window(rng)
        heard = self.heard
        with torch.no_grad():
            sent, sent_pooled = self._features(window(pictures))
        shown, shown_pooled = self._features(window(leaf))
        perceptual, semantic = feature_distance(sent, shown), semantic_distance(sent_pooled, shown_pooled)
        risen = self.risen
        value = (
            log_error(leaf, pictures) + COARSE_WEIGHT * coarse_error(leaf, pictures)
            + self.weights["perceptual"] * (FEATURES_AT_FIRST + (1 - FEATURES_AT_FIRST) * risen) * perceptual
            + self.weights["semantic"] * risen * semantic
        )  # fmt: skip
        (gradient,) = torch.autograd.grad(value, leaf, retain_graph=heard)
        self.measured_sharpness = sharpness(decoded.detach().clamp(-1, 1), pictures)
        figures = {"features": perceptual.detach(), "sharpness": self.measured_sharpness}
        critic = decoded.new_zeros(())
        if heard:
            with autocast(self.device):
                fooling = fooling_loss(model.critic(window(leaf), [shown[stage] for stage in STAGES]))
            (against,) = torch.autograd.grad(fooling, leaf)
            gradient = balanced(gradient, against, self.voice * model.adversarial)
        if self.criticised:
            with autocast(self.device):
                real = model.critic(window(pictures), [sent[stage] for stage in STAGES])
                fake = model.critic(window(decoded.detach()), [shown[stage].detach() for stage in STAGES])
            critic = critic_loss(real, fake)
            figures |= {"critic": critic.detach(), "critic_weight": model.adversarial}
        return value.detach(), gradient, critic, figures

    @property
    def risen(self) -> float:
        """Share to which the weights of features have risen, 0 to 1."""
        return min(1.0, self.share / FEATURES_RAMP)

    @property
    def criticised(self) -> bool:
        """Whether there is a critic by now."""
        return self.weights["sharpness"] > 0 and self.share >= self.critic_from

    @property
    def voice(self) -> float:
        """Share of the critic's weight that counts, 0 to 1."""
        return min(1.0, max(0.0, (self.share - self.voice_from) / self.voice_ramp))

    @property
    def heard(self) -> bool:
        """Whether the critic counts by now."""
        return self.criticised and self.voice > 0

    @torch.no_grad()
    def moved(self) -> None:
        """Update the state that no gradient updates; after the step, so that a diverging step leaves no trace."""
        model = self.model
        self._steer()
        self._move_codes(*self.drawn)
        follow(model.average, model.network, int(model.steps))
        model.steps += 1

    def _steer(self) -> None:
        """Adjust the critic's weight to the sharpness of what was decoded."""
        model = self.model
        model.sharpness.lerp_(self.measured_sharpness, 0.02)
        if self.heard:
            model.adversarial.mul_(torch.exp(STEERING * (self.weights["sharpness"] - model.sharpness)))
            model.adversarial.clamp_(ADVERSARIAL[1], self.critic_most)

    def evaluate(self) -> dict[str, float]:
        """Measure the encoder's tokens on the test pictures: PSNR, sharpness over all, distance of EfficientNet-Lite0's
        features, the training target, and use of words."""
        network, quality, tokens, distance = self.exported, [], [], []
        energies = torch.zeros(2, device=self.device)
        for start in range(0, len(self.test), MEASURED_AT_ONCE):
            pictures = self.test.at(np.arange(start, min(start + MEASURED_AT_ONCE, len(self.test))))
            tokens.append(network.encode(pictures))
            decoded = network.decode(tokens[-1]).clamp(-1, 1)
            quality.append(psnr_of(decoded, pictures))
            both = [gradient_energy(each) * len(pictures) for each in (decoded, pictures)]
            energies += torch.stack(both)
            distance.append(feature_distance(self._features(pictures)[0], self._features(decoded)[0]) * len(pictures))
        return {
            "psnr_db": float(torch.cat(quality).mean()), "sharpness": float(energies[0] / energies[1]),
            "lite0_distance": float(torch.stack(distance).sum()) / len(self.test),
        } | use_of_codes(torch.cat(tokens), self.config)  # fmt: skip

    def _features(self, pictures: Tensor) -> tuple[list[Tensor], Tensor]:
        """Compute unit vectors of the stages (batch, channels, rows, columns), and pooled features (batch,
        channels)."""
        with autocast(self.device):
            stages = self.trunk.stages(pictures, TAPS)
            pooled = F.relu6(self.trunk.head(stages[-1])).mean((2, 3))
        return units(stages), pooled

    def _window(self, rng: np.random.Generator) -> Callable[[Tensor], Tensor]:
        """Make a function that crops one random window from pictures."""
        side = round(CROP * self.config.image_size)
        top, left = (int(each) for each in rng.integers(0, self.config.image_size - side + 1, 2))
        return lambda pictures: pictures[:, :, top : top + side, left : left + side]

    def _some_wrong(self, vectors: Tensor, masked: Tensor, logits: Tensor, codebook: Tensor) -> Tensor:
        """Replace some code vectors by those of plausible wrong tokens."""
        gumbel = -torch.empty_like(logits).exponential_().log()
        guesses = torch.zeros_like(masked, dtype=torch.long)
        guesses[masked] = (logits + gumbel).argmax(-1)
        chosen = self._random(len(masked), 1, 1) < WRONG_PICTURES
        wrong = masked & chosen & (self._shares((0.0, WRONG_TOKENS), len(masked)) > self._random(*masked.shape))
        return torch.where(wrong[..., None], codebook[guesses], vectors)

    def _move_codes(self, latents: Tensor, tokens: Tensor, rng: np.random.Generator) -> None:
        model, words, age = self.model, self.config.codebook_size, int(self.model.code_age)
        pace = max(PACE, FIRST_PACE / (1 + age / PACE_STEPS))
        model.code_age += 1
        model.code_use.lerp_(torch.bincount(tokens, minlength=words).float(), pace)
        model.code_sum.lerp_(torch.zeros_like(model.code_sum).index_add_(0, tokens, latents), pace)
        if age % REVIVAL_EVERY == 0 and self.share < REVIVAL_UNTIL:
            dead = torch.nonzero(model.code_use < REVIVAL_USE * self._mean_use).flatten()
            if len(dead):
                model.code_sum[dead], model.code_use[dead] = self._sampled(latents, len(dead), rng), 1.0
        model.network.codebook.copy_(F.normalize(model.code_sum, dim=1))

    def _begin_codes(self, codebook: Tensor) -> None:
        self.model.network.codebook.copy_(codebook)
        self.model.code_use.fill_(self._mean_use)
        self.model.code_sum.copy_(codebook * self._mean_use)

    def _sampled(self, latents: Tensor, count: int, rng: np.random.Generator) -> Tensor:
        """Draw distinct latents from (n, code_dim)."""
        chosen = latents[torch.from_numpy(rng.integers(0, len(latents), count)).to(self.device)]
        return F.normalize(chosen + INITIAL_SPREAD * torch.randn_like(chosen), dim=1)

    @property
    def _mean_use(self) -> float:
        """Mean number of uses of a word per batch."""
        side = self.config.image_size // self.config.patch_size
        return self.batch * side**2 / self.config.codebook_size

    def _random(self, *shape: int) -> Tensor:
        return torch.rand(shape, device=self.device)

    def _shares(self, limits: tuple[float, float], count: int) -> Tensor:
        """Draw one share per picture between limits, (count, 1, 1)."""
        least, greatest = limits
        return least + (greatest - least) * self._random(count, 1, 1)


class _Training(nn.Module):
    """Content of a checkpoint: the network and its average, auxiliary networks, and the state of the training."""

    def __init__(self, network: PyramidVQNetwork, channels: list[int]):
        super().__init__()
        config = network.config
        self.network, self.average = network, average_of(network)
        self.predictor = NeighbourPredictor(config.code_dim, config.codebook_size, PREDICTOR_WIDTH)
        self.critic = Critic(channels)
        self.register_buffer("code_use", torch.zeros(config.codebook_size))
        self.register_buffer("code_sum", torch.zeros(config.codebook_size, config.code_dim))
        self.register_buffer("code_age", torch.zeros((), dtype=torch.long))
        self.register_buffer("steps", torch.zeros((), dtype=torch.long))
        self.register_buffer("adversarial", torch.tensor(ADVERSARIAL[0]))
        self.register_buffer("sharpness", torch.tensor(0.5))
