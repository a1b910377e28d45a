"""Priors whose networks predict masked tokens: batches of one size, all words or the most likely ones."""

from abc import abstractmethod
from collections.abc import Sequence
from typing import Protocol

import numpy as np
import torch
from torch import Tensor, nn

from tokcom.context.condition import Condition
from tokcom.context.prediction import Prediction
from tokcom.context.prior import Prior
from tokcom.device import network_bytes
from tokcom.errors import ModelError
from tokcom.frame import LOST, TokenFrame

AT_ONCE = {"cpu": 1, "cuda": 16}
"""Frames per call of the network, by type of device; smaller batches are padded. One frame keeps a CPU busy, and its
probabilities then do not depend on the rest of a batch."""


class MaskedPrior(Prior):
    """Prior of a network that takes tokens, of which some are masked.

    A subclass provides `logits`.

    Args:
        network: the network, in evaluation mode; it runs on the device that holds it.
        codebook: name of the codebook whose tokens it predicts.
        codebook_size: number of words in it; the same number is the mask's.
        grid: shape of its frames.
    """

    def __init__(self, network: nn.Module, codebook: str, codebook_size: int, grid: tuple[int, ...]):
        self.network = network
        self.codebook, self.codebook_size, self.grid = codebook, codebook_size, grid
        self.at_once = AT_ONCE[self._device.type]
        self.n_bytes = network_bytes(network)

    @property
    def _device(self) -> torch.device:
        return next(self.network.parameters()).device

    @abstractmethod
    def logits(self, tokens: Tensor, conditions: Sequence[Condition], places: Tensor) -> Tensor:
        """Compute logits (n, codebook_size) at the true entries of `places`, in row-major order.

        Args:
            tokens: int64 (frames, tokens), `codebook_size` where masked.
            conditions: one per frame.
            places: bool (frames, tokens).
        """

    def log_probabilities(
        self, tokens: np.ndarray, wanted: np.ndarray, conditions: Sequence[Condition]
    ) -> np.ndarray:  # fmt: skip
        return self.predict(tokens, wanted, conditions).log_probability

    def predict(
        self, tokens: np.ndarray, wanted: np.ndarray, conditions: Sequence[Condition], top: int | None = None
    ) -> Prediction:
        starts = range(0, len(tokens), self.at_once)
        parts = [slice(start, start + self.at_once) for start in starts]
        with torch.inference_mode():
            found = [self._predict(tokens[part], wanted[part], conditions[part], top) for part in parts]
        chosen, words = (np.concatenate(arrays) for arrays in zip(*((c, w) for c, w, _ in found), strict=True))
        if top is None or top >= self.codebook_size:
            return Prediction.dense(chosen)
        return Prediction(chosen, self.codebook_size, words, np.concatenate([rest for _, _, rest in found]))

    def _predict(
        self, tokens: np.ndarray, wanted: np.ndarray, conditions: Sequence[Condition], top: int | None
    ) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Predict one batch of frames: log-probabilities, their words, and the log-probability of all other words
        together."""
        count, missing = len(tokens), self.at_once - len(tokens)
        masked = np.where(wanted | (tokens == LOST), self.codebook_size, tokens).astype(np.int64)
        masked, wanted = (np.concatenate([each, each[-1:].repeat(missing, 0)]) for each in (masked, wanted))
        told = [*conditions, *[conditions[-1]] * missing]
        places = torch.from_numpy(wanted).to(self._device)
        found = self.logits(torch.from_numpy(masked).to(self._device), told, places)
        logs = found[: int(wanted[:count].sum())].float().log_softmax(-1)
        if top is None or top >= self.codebook_size:
            return logs.cpu().numpy(), np.zeros(0, np.int32), np.zeros(0, np.float32)
        words = logs.topk(top, -1).indices.sort(-1).values
        chosen = logs.gather(-1, words)
        rest = (1 - chosen.double().exp().sum(-1)).clamp(min=1e-12).log()
        return chosen.cpu().numpy(), words.int().cpu().numpy(), rest.float().cpu().numpy()


class MaskedConfig(Protocol):
    """Shape of a network that predicts masked tokens from a class label.

    Attributes:
        codebook_size: number of words; the same number is the mask's in the tokens that the network is given.
        grid: shape of its frames.
        num_classes: number of labels; the same number stands for no label.
        null_class: whether it has learnt what to say without a label.
    """

    codebook_size: int
    grid: tuple[int, ...]
    num_classes: int
    null_class: bool


class LabelledPrior(MaskedPrior):
    """Prior of a public network told by a class label.

    Args:
        network: the network, in evaluation mode, with a `MaskedConfig` as `config`; called with tokens, labels int64
            (frames,) and places, it returns `MaskedPrior.logits`.
        codebook: name of the codebook whose tokens it predicts.
    """

    def __init__(self, network: nn.Module, codebook: str):
        config = network.config
        super().__init__(network, codebook, config.codebook_size, tuple(config.grid))
        self.num_classes = config.num_classes

    def require_fit(self, frame: TokenFrame, condition: Condition) -> None:
        super().require_fit(frame, condition)
        if condition.label is None and not self.network.config.null_class:
            raise ModelError(
                f"frame {frame.frame_id} comes without a label, and this model has learnt none but labelled pictures: "
                f"send a class label, 0 to {self.num_classes - 1}"
            )

    def logits(self, tokens: Tensor, conditions: Sequence[Condition], places: Tensor) -> Tensor:
        labels = [self.num_classes if each.label is None else each.label for each in conditions]
        return self.network(tokens, torch.tensor(labels, device=self._device), places)
