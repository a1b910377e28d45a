"""MaskGIT as a prior."""

from collections.abc import Callable, Sequence
from functools import lru_cache

import torch
from torch import Tensor

from tokcom.context.condition import Condition
from tokcom.context.masked_prior import MaskedPrior
from tokcom.context.maskgit_network import MaskGitNetwork
from tokcom.errors import ModelError
from tokcom.frame import TokenFrame


class MaskGit(MaskedPrior):
    """Prior of a `MaskGitNetwork`: in any order, given a label or, if classes are sentences, any sentence.

    Args:
        network: the network, in evaluation mode; it runs on the device that holds it.
        codebook: name of the codebook whose tokens it predicts.
        encoder: encoder of sentences to embeddings of classes, (sentences, condition_dim); None to accept no text.
    """

    def __init__(
        self, network: MaskGitNetwork, codebook: str, encoder: Callable[[Sequence[str]], Tensor] | None = None
    ):
        shape = network.config
        super().__init__(network, codebook, shape.codebook_size, (shape.rows, shape.columns))
        self._embedded = lru_cache(maxsize=256)(lambda text: encoder([text])[0])
        self.num_classes = network.config.num_classes
        taken = {"label"} | ({"embedding"} if network.config.condition_dim else set())
        self.takes = frozenset(taken | ({"text"} if encoder is not None else set()))

    def require_fit(self, frame: TokenFrame, condition: Condition) -> None:
        super().require_fit(frame, condition)
        width = self.network.config.condition_dim
        if condition.embedding is not None and condition.embedding.shape != (width,):
            raise ModelError(
                f"frame {frame.frame_id} comes with an embedding of {len(condition.embedding)} numbers; this model "
                f"takes {width}"
            )

    def logits(self, tokens: Tensor, conditions: Sequence[Condition], places: Tensor) -> Tensor:
        return self.network.predict(self.network.token_embedding(tokens), self._told(conditions), places)

    def _told(self, conditions: Sequence[Condition]) -> Tensor:
        """Embed conditions for the network, (frames, width)."""
        network = self.network
        labels = [self.num_classes if each.label is None else each.label for each in conditions]
        labels = torch.tensor(labels, device=self._device)
        if not network.config.condition_dim:
            return network.class_embedding(labels)
        told = network.conditions[labels].clone()
        for row, condition in enumerate(conditions):
            if condition.embedding is not None:
                told[row] = torch.tensor(condition.embedding).to(told)
            elif condition.text is not None:
                told[row] = self._embedded(condition.text).to(told)
        return network.condition(told)
