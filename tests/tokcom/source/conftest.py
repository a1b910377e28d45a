import numpy as np
import pytest
import torch

from tokcom.context.condition import Condition
from tokcom.context.maskgit import MaskGit
from tokcom.context.maskgit_network import MaskGitConfig, MaskGitNetwork
from tokcom.frame import LOST, TokenFrame


@pytest.fixture(scope="package")
def prior():
    """A MaskGIT with random weights, far from uniform: 8 x 8 tokens of 48 words, 3 classes."""
    torch.manual_seed(0)
    network = MaskGitNetwork(MaskGitConfig(48, 8, 8, 3, 16, 1, 2, 3, 2)).eval()
    network.head.weight.data *= 6
    return MaskGit(network, "tiny")


@pytest.fixture(scope="package")
def sample():
    """Frames that a context model finds likely: drawn from it, place by place."""

    def draw(prior, seed, cmi=None, grid=None):
        rng = np.random.default_rng(seed)
        grid = grid or prior.grid
        tokens = np.full(int(np.prod(grid)), LOST, np.int32)
        for place in rng.permutation(len(tokens)):
            wanted = np.arange(len(tokens)) == place
            logs = prior.log_probabilities(tokens[None], wanted[None], [Condition(cmi)])[0]
            chances = np.exp(logs.astype(np.float64))
            tokens[place] = rng.choice(len(chances), p=chances / chances.sum())
        return TokenFrame(tokens, prior.codebook, prior.codebook_size, grid, "image", cmi, seed)

    return draw
