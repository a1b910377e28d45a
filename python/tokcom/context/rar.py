"""RAR as a prior: a picture's tokens in raster order, each from those before it and a class."""

import numpy as np
import torch
from torch import Tensor

from tokcom.context.causal import CausalPrior, Paths
from tokcom.context.condition import Condition
from tokcom.context.rar_network import RarNetwork
from tokcom.device import network_bytes


class Rar(CausalPrior):
    """Prior of a `RarNetwork`.

    Args:
        network: the network, in evaluation mode; it runs on the device that holds it.
        codebook: name of the codebook whose tokens it predicts.
    """

    takes = frozenset({"label"})

    def __init__(self, network: RarNetwork, codebook: str):
        self.network, self.codebook = network, codebook
        self.codebook_size, self.grid = network.config.codebook_size, tuple(network.config.grid)
        self.num_classes, self.longest = network.config.num_classes, int(np.prod(self.grid))
        self.n_bytes = network_bytes(network)

    def paths(self, condition: Condition) -> Paths:
        return _Paths(self.network, condition.label)


class _Paths(Paths):
    """Paths side by side, each with its own memory."""

    def __init__(self, network: RarNetwork, label: int | None):
        self._network, self._label = network, label
        with torch.inference_mode():
            features, self._memory = network.begin(label)
        self._last = features[:, -1]

    @property
    def log_probabilities(self) -> np.ndarray:
        return self._predicted(self._last).cpu().numpy()

    def branch(self, parents: np.ndarray, tokens: np.ndarray) -> None:
        self.select(parents)
        self._put(self._tensor(tokens)[:, None])

    def select(self, kept: np.ndarray) -> None:
        index = self._tensor(kept)
        self._last = self._last[index]
        self._memory = [(keys[index], values[index]) for keys, values in self._memory]

    def follow(self, tokens: np.ndarray, weigh: bool = True) -> np.ndarray:
        n, behind = len(self._last), self._tensor(tokens)
        before = self._last[:, None]
        features = self._put(behind.expand(n, -1))
        if not weigh:
            return np.zeros(n)
        logs = self._predicted(torch.cat((before, features[:, :-1]), 1))
        return logs.gather(2, behind.expand(n, -1)[..., None])[..., 0].double().sum(1).cpu().numpy()

    def _put(self, tokens: Tensor) -> Tensor:
        with torch.inference_mode():
            features, self._memory = self._network(tokens, self._label, self._memory)
        self._last = features[:, -1]
        return features

    def _predicted(self, features: Tensor) -> Tensor:
        with torch.inference_mode():
            return self._network.predict(features).float().log_softmax(-1)

    def _tensor(self, numbers: np.ndarray) -> Tensor:
        return torch.from_numpy(np.asarray(numbers, np.int64)).to(self._last.device)
