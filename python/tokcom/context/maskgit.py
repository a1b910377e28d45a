"""MaskGIT as a prior."""

from collections.abc import Callable, Sequence
from functools import lru_cache

import torch
from torch import Tensor

from tokcom.context.condition import Condition
from tokcom.context.masked_prior import MaskedPrior
from tokcom.context.maskgit_network import MaskGitNetwork
from tokcom.context.sentence_map import SentenceMap
from tokcom.errors import ModelError
from tokcom.frame import TokenFrame


class MaskGit(MaskedPrior):
    """Prior of a `MaskGitNetwork`: in any order, given a label or, if classes are sentences, any sentence.

    A sentence, or a point of its space, takes the place of a label that came with it.

    Args:
        network: the network, in evaluation mode; it runs on the device that holds it.
        codebook: name of the codebook whose tokens it predicts.
        encoder: encoder of sentences to embeddings, (sentences, embedding); None to accept no text.
        mapping: map of embeddings to vectors of classes, for a network whose classes are not sentences; None without.
    """

    def __init__(
        self, network: MaskGitNetwork, codebook: str, encoder: Callable[[Sequence[str]], Tensor] | None = None,
        mapping: SentenceMap | None = None,
    ):  # fmt: skip
        shape = network.config
        super().__init__(network, codebook, shape.codebook_size, (shape.rows, shape.columns))
        self._embedded = lru_cache(maxsize=256)(lambda text: encoder([text])[0])
        self.num_classes, self._mapping = network.config.num_classes, mapping
        self._width = network.config.condition_dim if mapping is None else mapping.config.embedding
        taken = {"label"} | ({"embedding"} if self._width else set())
        self.takes = frozenset(taken | ({"text"} if encoder is not None else set()))

    def require_fit(self, frame: TokenFrame, condition: Condition) -> None:
        super().require_fit(frame, condition)
        if condition.embedding is not None and condition.embedding.shape != (self._width,):
            raise ModelError(
                f"frame {frame.frame_id} comes with an embedding of {len(condition.embedding)} numbers; this model "
                f"takes {self._width}"
            )

    def logits(self, tokens: Tensor, conditions: Sequence[Condition], places: Tensor) -> Tensor:
        return self.network.predict(self.network.token_embedding(tokens), self._told(conditions), places)

    def _told(self, conditions: Sequence[Condition]) -> Tensor:
        """Embed conditions for the network, (frames, width)."""
        network = self.network
        labels = [self.num_classes if each.label is None else each.label for each in conditions]
        labels = torch.tensor(labels, device=self._device)
        described = {row: found for row, each in enumerate(conditions) if (found := self._point(each)) is not None}
        if network.config.condition_dim:
            told = network.conditions[labels].clone()
            for row, point in described.items():
                told[row] = point.to(told)
            return network.condition(told)
        told = network.class_embedding(labels)
        if described and self._mapping is not None:
            points = torch.stack(list(described.values()))
            told[list(described)] = self._mapping(points.to(told)).to(told)
        return told

    def _point(self, condition: Condition) -> Tensor | None:
        """Find the embedding that a condition holds, or of its sentence."""
        if condition.embedding is not None:
            return torch.tensor(condition.embedding)
        return self._embedded(condition.text) if condition.text is not None and "text" in self.takes else None
