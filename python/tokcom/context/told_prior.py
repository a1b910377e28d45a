"""Priors of masked tokens that are told a sentence through CLIP's text encoder: aMUSEd and MaskGen."""

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from tokcom.context.clip_text import EMPTY, ClipText
from tokcom.context.condition import Condition
from tokcom.context.masked_prior import MaskedPrior


class ToldPrior(MaskedPrior):
    """Prior told by a sentence; without one it is told the empty one, as its authors do for guidance.

    Args:
        network: the network, in evaluation mode; it runs on the device that holds it. It takes tokens, features of the
            sentences' words before the encoder's last block, embeddings of the sentences, and places, and returns
            `MaskedPrior.logits`.
        codebook: name of the codebook whose tokens it predicts.
        encoder: encoder of sentences, on the same device.
    """

    takes = frozenset({"text"})

    def __init__(self, network: nn.Module, codebook: str, encoder: ClipText):
        super().__init__(network, codebook, network.config.codebook_size, tuple(network.config.grid))
        self._encoder = encoder

    def logits(self, tokens: Tensor, conditions: Sequence[Condition], places: Tensor) -> Tensor:
        found = [self._encoder.encode(EMPTY if each.text is None else each.text) for each in conditions]
        features = torch.cat([each.before_last for each in found])
        return self.network(tokens, features, torch.cat([each.embedding for each in found]), places)
