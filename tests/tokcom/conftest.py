import numpy as np
import pytest

from tokcom.context.causal import CausalPrior, Paths


class Chain(CausalPrior):
    """Causal prior without a network: random probabilities of the next word, given the two before it.

    A `shift` away from those of the same seed makes a prior that resembles it.
    """

    def __init__(self, size=12, seed=0, shift=0.0, codebook="chain@00000002", longest=None):
        self.codebook, self.codebook_size, self.grid, self.longest = codebook, size, None, longest
        logits = np.random.default_rng(seed).normal(0, 2, (size, size, size))
        logits += shift * np.random.default_rng(seed + 1).normal(0, 2, logits.shape)
        self.table = (logits - np.log(np.exp(logits).sum(-1, keepdims=True))).astype(np.float32)
        self.asked = 0

    def paths(self, condition):
        return _Links(self)


class _Links(Paths):
    def __init__(self, chain):
        self.chain, self.last = chain, np.zeros((1, 2), int)

    @property
    def log_probabilities(self):
        self.chain.asked += 1
        return self.chain.table[self.last[:, 0], self.last[:, 1]]

    def branch(self, parents, tokens):
        self.last = np.stack([self.last[parents, 1], tokens], 1)

    def select(self, kept):
        self.last = self.last[kept]

    def follow(self, tokens, weigh=True):
        total = np.zeros(len(self.last))
        for token in np.asarray(tokens):
            total += self.log_probabilities[:, token]
            self.last = np.stack([self.last[:, 1], np.full(len(self.last), token)], 1)
        return total


@pytest.fixture(scope="session")
def chain():
    return Chain
