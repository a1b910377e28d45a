"""MaskGIT as a prior."""

from collections.abc import Callable, Sequence
from functools import lru_cache

import numpy as np
import torch
from torch import Tensor

from tokcom.context.condition import Condition
from tokcom.context.maskgit_network import MaskGitNetwork
from tokcom.context.prediction import Prediction
from tokcom.context.prior import Prior
from tokcom.errors import ModelError
from tokcom.frame import LOST, TokenFrame

AT_ONCE = {"cpu": 1, "cuda": 16}
"""Frames per call of the network, by type of device; smaller batches are padded. One frame keeps a CPU busy, and its
probabilities then do not depend on the rest of a batch."""


class MaskGit(Prior):
    """Prior of a `MaskGitNetwork`: in any order, given a label or, if classes are sentences, any sentence.

    Args:
        network: the network, in evaluation mode; it runs on the device that holds it.
        codebook: name of the codebook whose tokens it predicts.
        encoder: encoder of sentences to embeddings of classes, (sentences, condition_dim); None to accept no text.
    """

    def __init__(
        self, network: MaskGitNetwork, codebook: str, encoder: Callable[[Sequence[str]], Tensor] | None = None
    ):
        self.network = network
        self._embedded = lru_cache(maxsize=256)(lambda text: encoder([text])[0])
        self.codebook = codebook
        self.codebook_size = network.config.codebook_size
        self.grid = (network.config.rows, network.config.columns)
        self.num_classes = network.config.num_classes
        taken = {"label"} | ({"embedding"} if network.config.condition_dim else set())
        self.takes = frozenset(taken | ({"text"} if encoder is not None else set()))
        self.at_once = AT_ONCE[self._weights.device.type]
        self.n_bytes = sum(each.numel() * each.element_size() for each in network.state_dict().values())

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

    def require_fit(self, frame: TokenFrame, condition: Condition) -> None:
        super().require_fit(frame, condition)
        width = self.network.config.condition_dim
        if condition.embedding is not None and condition.embedding.shape != (width,):
            raise ModelError(
                f"frame {frame.frame_id} comes with an embedding of {len(condition.embedding)} numbers; this model "
                f"takes {width}"
            )

    def _predict(
        self, tokens: np.ndarray, wanted: np.ndarray, conditions: Sequence[Condition], top: int | None
    ) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Predict one batch of frames: log-probabilities, their words, and the log-probability of all other words
        together."""
        count, missing = len(tokens), self.at_once - len(tokens)
        device = self._weights.device
        masked = np.where(wanted | (tokens == LOST), self.codebook_size, tokens).astype(np.int64)
        masked, wanted = (np.concatenate([each, each[-1:].repeat(missing, 0)]) for each in (masked, wanted))
        places, shown = torch.from_numpy(wanted).to(device), torch.from_numpy(masked).to(device)
        logits = self._logits(shown, [*conditions, *[conditions[-1]] * missing], places)
        logs = logits[: int(wanted[:count].sum())].float().log_softmax(-1)
        if top is None or top >= self.codebook_size:
            return logs.cpu().numpy(), np.zeros(0, np.int32), np.zeros(0, np.float32)
        words = logs.topk(top, -1).indices.sort(-1).values
        chosen = logs.gather(-1, words)
        rest = (1 - chosen.double().exp().sum(-1)).clamp(min=1e-12).log()
        return chosen.cpu().numpy(), words.int().cpu().numpy(), rest.float().cpu().numpy()

    def _logits(self, tokens: Tensor, conditions: Sequence[Condition], places: Tensor) -> Tensor:
        """Compute logits (n, codebook_size) at the true entries of `places` of a full batch."""
        return self.network.predict(self.network.token_embedding(tokens), self._told(conditions), places)

    def _told(self, conditions: Sequence[Condition]) -> Tensor:
        """Embed conditions for the network, (frames, width)."""
        network, device = self.network, self._weights.device
        labels = [self.num_classes if each.label is None else each.label for each in conditions]
        labels = torch.tensor(labels, device=device)
        if not network.config.condition_dim:
            return network.class_embedding(labels)
        told = network.conditions[labels].clone()
        for row, condition in enumerate(conditions):
            if condition.embedding is not None:
                told[row] = torch.tensor(condition.embedding).to(told)
            elif condition.text is not None:
                told[row] = self._embedded(condition.text).to(told)
        return network.condition(told)

    @property
    def _weights(self) -> Tensor:
        return self.network.position_embedding
