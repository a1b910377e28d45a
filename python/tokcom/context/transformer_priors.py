"""Language models of the package transformers as priors of text: causal ones for beams, masked ones for turns."""

from collections.abc import Sequence
from copy import copy, deepcopy

import numpy as np
import torch
from torch import Tensor, nn

from tokcom.context.causal import CausalPrior, Paths
from tokcom.context.condition import Condition
from tokcom.context.prior import Prior
from tokcom.context.transformer_networks import CausalNetwork, MaskedNetwork, TransformerConfig
from tokcom.device import network_bytes
from tokcom.frame import LOST

AT_ONCE = {"cpu": 1, "cuda": 16}
"""Frames per call of a masked network, by type of device."""


class _OfTransformers(Prior):
    """Common base of both kinds of priors.

    Args:
        network: the network, in evaluation mode; where its weights lie, it runs.
        codebook: name of the codebook, whose words are those of the network's vocabulary.
    """

    takes: frozenset[str] = frozenset()

    def __init__(self, network: nn.Module, codebook: str):
        config: TransformerConfig = network.config
        self.device = next(network.parameters()).device
        self.network = network.to(self.device)  # buffers that were not loaded
        self.codebook, self.codebook_size, self.grid = codebook, config.codebook_size, None
        self.longest = config.context - len(config.before) - len(config.behind)
        self.n_bytes = network_bytes(network)
        self._unused = torch.tensor(config.unused, dtype=torch.int64, device=self.device)

    def normalized(self, logits: Tensor) -> Tensor:
        """Log-probabilities of words that texts have, (..., codebook_size); the others are overwritten."""
        return logits[..., : self.codebook_size].index_fill_(-1, self._unused, -torch.inf).log_softmax(-1)


class CausalTransformer(_OfTransformers, CausalPrior):
    """Probabilities from a `CausalNetwork`."""

    network: CausalNetwork

    def paths(self, condition: Condition) -> Paths:
        return _Sequences(self)


class _Sequences(Paths):
    """Paths as a batch of sequences, each with a memory of its own."""

    def __init__(self, prior: CausalTransformer):
        self._prior, self._memory = prior, None
        self._next = self._read(torch.tensor([prior.network.config.before], device=prior.device))[:, -1]

    @property
    def log_probabilities(self) -> np.ndarray:
        return self._next.cpu().numpy()

    def branch(self, parents: np.ndarray, tokens: np.ndarray) -> None:
        self.select(parents)
        self._next = self._read(self._tensor(tokens)[:, None])[:, -1]

    def select(self, kept: np.ndarray) -> None:
        if np.array_equal(kept, np.arange(len(self._next))):
            return
        index = self._tensor(kept)
        self._memory.batch_select_indices(index)
        self._next = self._next[index]

    def fork(self) -> Paths:
        twin = copy(self)
        twin._memory = deepcopy(self._memory)  # it grows in place
        return twin

    def follow(self, tokens: np.ndarray, weigh: bool = True) -> np.ndarray:
        behind = self._tensor(tokens).expand(len(self._next), -1)
        before = self._next
        logs = self._read(behind)
        self._next = logs[:, -1]
        if not weigh:
            return np.zeros(len(before))
        told = torch.cat((before[:, None], logs[:, :-1]), 1)
        return told.gather(2, behind[..., None]).double().sum((1, 2)).cpu().numpy()

    def _read(self, tokens: Tensor) -> Tensor:
        with torch.inference_mode():
            logits, self._memory = self._prior.network(tokens, self._memory)
            return self._prior.normalized(logits)

    def _tensor(self, values: np.ndarray) -> Tensor:
        return torch.from_numpy(np.asarray(values, np.int64)).to(self._prior.device)


class MaskedTransformer(_OfTransformers):
    """Probabilities from a `MaskedNetwork`: of any tokens, given any others."""

    network: MaskedNetwork

    def __init__(self, network: MaskedNetwork, codebook: str):
        super().__init__(network, codebook)
        self.at_once = AT_ONCE.get(self.device.type, 1)

    def log_probabilities(
        self, tokens: np.ndarray, wanted: np.ndarray, conditions: Sequence[Condition]
    ) -> np.ndarray:  # fmt: skip
        config, found = self.network.config, []
        masked = np.where(wanted | (tokens == LOST), config.mask, tokens).astype(np.int64)
        ends = [np.tile(np.array(each, np.int64), (len(tokens), 1)) for each in (config.before, config.behind)]
        whole = np.concatenate([ends[0], masked, ends[1]], 1)
        places = np.pad(wanted, ((0, 0), (len(config.before), len(config.behind))))
        for start in range(0, len(tokens), self.at_once):
            part = slice(start, start + self.at_once)
            with torch.inference_mode():
                logits = self.network(torch.from_numpy(whole[part]).to(self.device))
                found.append(self.normalized(logits[torch.from_numpy(places[part]).to(self.device)]).cpu().numpy())
        return np.concatenate(found)
