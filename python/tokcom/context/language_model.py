"""A causal language model as a prior of text."""

from collections.abc import Iterator
from copy import deepcopy
from typing import TypeVar

import numpy as np
import torch
from torch import Tensor

from tokcom.context.causal import CausalPrior, Paths
from tokcom.context.condition import Condition
from tokcom.context.int8 import to_int8
from tokcom.context.llama_network import LlamaNetwork
from tokcom.device import network_bytes

IDLE_NODES = 64
"""Nodes of paths that ended which are kept before they are cleared away."""
AT_ONCE = 512
"""Largest number of tokens that a pass puts behind every path: what it takes in memory grows by their square."""
ALONG = 1024
"""Largest number of tokens of a pass along a single path."""
PREDICTED = 160
"""Largest number of tokens of which the probabilities of all words are held at once."""

Rows = TypeVar("Rows", np.ndarray, Tensor)


class LanguageModel(CausalPrior):
    """Probabilities from a `LlamaNetwork`, on processors in 8 bits.

    Args:
        network: the network, in evaluation mode; where it lies, it runs.
        codebook: name of the codebook, whose words are those of the network's vocabulary.
        int8: whether its weights are held in 8 bits, a copy of its own; None: on processors.
    """

    def __init__(self, network: LlamaNetwork, codebook: str, int8: bool | None = None):
        self.device = network.token_embedding.weight.device
        int8 = self.device.type == "cpu" if int8 is None else int8
        self.network = to_int8(deepcopy(network)) if int8 else network
        self.codebook, self.codebook_size, self.grid = codebook, network.config.codebook_size, None
        self.longest = network.config.context - 1
        self.n_bytes = network_bytes(self.network)
        self.n_bytes += sum(getattr(each, "n_bytes", 0) for each in self.network.modules())
        self.unused = torch.tensor(network.config.unused, dtype=torch.int64, device=self.device)

    def paths(self, condition: Condition) -> Paths:
        return _Tree(self)


class _Tree(Paths):
    """Paths as ways from the root of a tree to some of its nodes."""

    def __init__(self, model: LanguageModel):
        self._network, self._unused, self._device = model.network, model.unused, model.device
        self._ancestors = torch.zeros((1, 0), dtype=torch.bool, device=self._device)
        self._depth, self._memory = 0, None
        self._add(self._nodes(np.array([self._network.config.begin])), self._ancestors, 1)

    @property
    def log_probabilities(self) -> np.ndarray:
        if self._next is None:
            self._next = self._predicted(self._hidden)
        return self._next.cpu().numpy()

    def branch(self, parents: np.ndarray, tokens: np.ndarray) -> None:
        self.select(parents)
        self._add(self._nodes(tokens), self._ancestors, 1)

    def select(self, kept: np.ndarray) -> None:
        index = self._nodes(kept)
        self._ancestors, self._hidden = self._ancestors[index], self._hidden[index]
        self._next = None if self._next is None else self._next[index]
        used = self._ancestors.any(0)
        if int((~used).sum()) > IDLE_NODES:
            nodes = used.nonzero()[:, 0]
            self._memory = [(key[:, nodes], value[:, nodes]) for key, value in self._memory]
            self._ancestors = self._ancestors[:, nodes]

    def follow(self, tokens: np.ndarray, weigh: bool = True) -> np.ndarray:
        return np.sum([self._follow(part, weigh) for part in _split(tokens, AT_ONCE)], axis=0)

    def traced(self, tokens: np.ndarray) -> list[Paths]:
        states, before, depth = [self.fork()], self._ancestors.shape[1], self._depth
        if not len(tokens):
            return states
        nodes = self._nodes(tokens)
        hidden = self._add(nodes, self._ancestors, len(nodes))
        logs = self._predicted(hidden)
        for number in range(1, len(nodes) + 1):
            state, kept, last = self.fork(), before + number, slice(number - 1, number)
            state._memory = [(key[:, :kept], value[:, :kept]) for key, value in self._memory]
            state._ancestors, state._depth = self._ancestors[:, :kept], depth + number
            state._hidden, state._next = hidden[last], logs[last]
            states.append(state)
        return states

    def along(self, tokens: np.ndarray) -> Iterator[np.ndarray]:
        for part in _split(tokens, ALONG):
            nodes, before = self._nodes(part), self._hidden
            hidden = torch.cat((before, self._add(nodes, self._ancestors, len(nodes))[:-1]))
            for rows in _split(hidden, PREDICTED):
                yield self._predicted(rows).cpu().numpy()

    def _follow(self, tokens: np.ndarray, weigh: bool) -> np.ndarray:
        n, m = len(self._ancestors), len(tokens)
        behind = self._nodes(tokens)
        first = self.log_probabilities[:, int(tokens[0])].astype(np.float64) if weigh else np.zeros(n)
        hidden = self._add(behind.repeat(n), self._ancestors, m)
        if weigh and m > 1:
            logs = self._predicted(hidden.view(n, m, -1)[:, :-1].reshape(n * (m - 1), -1))
            rest = logs.gather(1, behind[1:].repeat(n)[:, None]).view(n, m - 1)
            first = first + rest.double().sum(1).cpu().numpy()
        return first

    def _nodes(self, numbers: np.ndarray) -> Tensor:
        return torch.from_numpy(np.asarray(numbers, np.int64)).to(self._device)

    def _add(self, tokens: Tensor, ancestors: Tensor, m: int) -> Tensor:
        """Put m nodes behind each path; returns what the network makes of all of them, path by path."""
        n, device = len(ancestors), tokens.device
        own = torch.ones((m, m), dtype=torch.bool, device=device).tril()
        own = torch.block_diag(*[own] * n) if m > 1 else torch.eye(n, dtype=torch.bool, device=device)
        mask = torch.cat((ancestors.repeat_interleave(m, 0), own.bool()), 1)
        depths = torch.arange(self._depth, self._depth + m, device=device).repeat(n)
        with torch.inference_mode():
            hidden, self._memory = self._network(tokens, depths, mask, self._memory)
        self._depth += m
        self._ancestors = mask[m - 1 :: m]
        self._hidden, self._next = hidden[m - 1 :: m], None
        return hidden

    def _predicted(self, hidden: Tensor) -> Tensor:
        with torch.inference_mode():
            return self._network.predict(hidden).index_fill_(1, self._unused, -torch.inf).log_softmax(-1)


def _split(rows: Rows, most: int) -> list[Rows]:
    """Split rows into the fewest parts of at most `most`, all of one length or 1 less: short ones are slow per row."""
    parts = -(-len(rows) // most)
    return [rows[len(rows) * part // parts : len(rows) * (part + 1) // parts] for part in range(parts)]
