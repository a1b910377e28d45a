"""Private training of MaskGIT: DP-SGD (Abadi et al., CCS 2016; arXiv 1607.00133) with optimizer and accountant of
Opacus.

The gradient of each picture is clipped, and noise is added to their sum, so that the weights tell little of any picture
alone: whatever is learnt from them is at most e^epsilon times as likely with a picture as without it, but for a
probability delta. Pictures and noise of a step are drawn from the operating system's entropy, not from the run's seed:
with a seed that is known, the noise could be subtracted.
"""

import math
import secrets
from dataclasses import asdict, dataclass

import numpy as np
import torch
from torch import Tensor, nn
from torch.func import functional_call, grad_and_value, vmap
from torch.nn import functional as F

from tokcom.context.maskgit_network import MaskGitConfig
from tokcom.errors import ParameterError
from tokcom_lab.training.maskgit import LABEL_DROPOUT, MASKED_SHARE, MaskGitTask

AT_ONCE = 16
"""Pictures whose gradients are in memory together."""


@dataclass(frozen=True)
class Privacy:
    """Demands on a private training, per picture of the training split.

    Args:
        epsilon: bound on the privacy loss, above 0.
        delta: probability with which it may be exceeded; it must be below 1 per picture.
        clip: norm to which the gradient of each picture is clipped, above 0.

    Raises:
        ParameterError: a number is out of its range.
    """

    epsilon: float = 8.0
    delta: float = 1e-5
    clip: float = 1.0

    def __post_init__(self) -> None:
        for name, value in asdict(self).items():
            if not 0 < value < (1 if name == "delta" else math.inf):
                most = ", and below 1" if name == "delta" else ""
                raise ParameterError(f"{name} is {value:g}; it must be a finite number above 0{most}")


class _Everywhere(nn.Module):
    """Network with logits at all places: masks of any size have one shape."""

    def __init__(self, network: nn.Module):
        super().__init__()
        self.network = network

    def forward(self, tokens: Tensor, labels: Tensor) -> Tensor:
        return self.network.everywhere(tokens, labels)


class PrivateMaskGitTask(MaskGitTask):
    """MaskGIT by DP-SGD: each picture takes part in a step with the same probability, independently of the others.

    Args:
        config, train_tokens, train_labels, test_tokens, test_labels, seed, codes: as for `MaskGitTask`.
        batch: expected number of pictures per step, at most that of the training split.
        privacy: the demands.
        steps: total number of steps, for which the noise is chosen.

    Raises:
        ParameterError: no noise meets the demands, or the batch or delta is too large for the pictures.
    """

    def __init__(
        self, config: MaskGitConfig, train_tokens: np.ndarray, train_labels: np.ndarray, test_tokens: np.ndarray,
        test_labels: np.ndarray, *, batch: int, privacy: Privacy, steps: int, seed: int = 0, codes: str = "",
    ):  # fmt: skip
        from opacus.optimizers import DPOptimizer

        count = len(train_labels)
        if batch > count:
            raise ParameterError(f"batch is {batch}; private training of {count} pictures takes at most {count}")
        if privacy.delta >= 1 / count:
            raise ParameterError(f"delta is {privacy.delta:g}; with {count} pictures it must be below {1 / count:.2g}")
        super().__init__(
            config, train_tokens, train_labels, test_tokens, test_labels, batch=batch, seed=seed, codes=codes
        )
        self.privacy, self.steps, self.share_per_step = privacy, steps, batch / count
        self.noise = _noise(privacy, self.share_per_step, steps)
        self._secret = np.random.default_rng()
        self._names, self._parameters = zip(*self.model.named_parameters(), strict=True)
        self._gradients = vmap(grad_and_value(self._picture_loss), in_dims=(None, 0, 0, 0))
        self._last: dict[str, Tensor] = {}
        self.optimizer = DPOptimizer(
            torch.optim.Adam(self._parameters, self.learning_rate),
            noise_multiplier=self.noise,
            max_grad_norm=privacy.clip,
            expected_batch_size=batch,
            generator=torch.Generator().manual_seed(secrets.randbits(63)),
        )

    def settings(self) -> dict:
        return super().settings() | {"privacy": asdict(self.privacy), "steps": self.steps}

    def loss(self, rng: np.random.Generator) -> tuple[Tensor, dict[str, float]]:
        self.optimizer.zero_grad()  # sums of the step before
        tokens, labels, masked = self._drawn()
        weights, total = dict(zip(self._names, self._parameters, strict=True)), 0.0
        weights = {f"network.{name}": each.detach() for name, each in weights.items()}
        parts = range(0, max(len(tokens), 1), AT_ONCE)
        for start in parts:
            part = slice(start, start + AT_ONCE)
            if len(tokens):
                self._last, values = self._gradients(weights, tokens[part], labels[part], masked[part])
                total += float(values.sum())
            else:  # nobody takes part in this step, which noise alone moves
                self._last = {name: each.new_zeros(0, *each.shape) for name, each in weights.items()}
            if start != parts[-1]:
                self._hand_over()
                self.optimizer.signal_skip_step(True)
                self.optimizer.step()
                self.optimizer.zero_grad()
        mean = total / max(len(tokens), 1)
        # The gradients are there: backward() has nothing to add.
        return self._parameters[0].sum() * 0 + mean, {"bits": mean / math.log(2)}

    def clip(self) -> Tensor:
        """Hand the pictures' gradients to the optimizer, which clips them; return their mean norm."""
        self._hand_over()
        squares = [each.flatten(1).square().sum(1) for each in self._last.values()]
        norms = torch.stack(squares).sum(0).sqrt()
        return norms.mean() if len(norms) else torch.zeros(())

    def spent(self, steps: int) -> dict[str, float]:
        """Compute what the pictures' privacy has cost after a number of steps, for the card."""
        from opacus.accountants import RDPAccountant

        accountant = RDPAccountant()
        accountant.history = [(self.noise, self.share_per_step, steps)]
        epsilon = float(accountant.get_epsilon(self.privacy.delta))
        return {
            "epsilon": round(epsilon, 3), "delta": self.privacy.delta, "noise": round(self.noise, 4),
            "clip": self.privacy.clip, "share_per_step": round(self.share_per_step, 6), "steps": steps,
        }  # fmt: skip

    def _drawn(self) -> tuple[Tensor, Tensor, Tensor]:
        """Draw the pictures of a step: tokens int64 (n, places), labels int64 (n,), masks bool (n, places)."""
        rng = self._secret
        chosen = np.flatnonzero(rng.random(len(self.train_labels)) < self.share_per_step)
        variant = rng.integers(0, self.train_tokens.shape[1], len(chosen))
        tokens = self.train_tokens[chosen, variant].astype(np.int64)
        labels = self.train_labels[chosen].copy()
        labels[rng.random(len(chosen)) < LABEL_DROPOUT] = self.config.num_classes
        masked = rng.random(tokens.shape) < rng.uniform(*np.sqrt(MASKED_SHARE), (len(chosen), 1)) ** 2
        return torch.from_numpy(tokens), torch.from_numpy(labels), torch.from_numpy(masked)

    def _picture_loss(self, weights: dict[str, Tensor], tokens: Tensor, label: Tensor, masked: Tensor) -> Tensor:
        """Compute the mean cross-entropy of the masked tokens of one picture."""
        hidden = torch.where(masked, self.config.codebook_size, tokens)
        logits = functional_call(_Everywhere(self.model), weights, (hidden[None], label[None]))[0]
        each = F.cross_entropy(logits, tokens, reduction="none")
        return (each * masked).sum() / masked.sum().clamp(min=1)

    def _hand_over(self) -> None:
        for name, parameter in zip(self._names, self._parameters, strict=True):
            parameter.grad_sample = self._last[f"network.{name}"]


def _noise(privacy: Privacy, share: float, steps: int) -> float:
    """Choose the noise, relative to the clipped norm, that meets the demands.

    Raises:
        ParameterError: there is no such noise.
    """
    from opacus.accountants.utils import get_noise_multiplier

    demands = {"target_epsilon": privacy.epsilon, "target_delta": privacy.delta}
    try:
        return float(get_noise_multiplier(**demands, sample_rate=share, steps=steps, accountant="rdp"))
    except ValueError as error:
        raise ParameterError(f"epsilon is {privacy.epsilon:g}; no noise meets it: {error}") from None
