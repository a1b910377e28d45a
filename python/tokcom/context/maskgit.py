"""MaskGIT as a context model."""

import numpy as np
import torch

from tokcom.context.maskgit_network import MaskGitNetwork
from tokcom.context.model import ContextModel
from tokcom.frame import LOST


class MaskGit(ContextModel):
    """Log-probabilities from a `MaskGitNetwork`.

    Args:
        network: the network, in evaluation mode.
        codebook: name of the codebook whose tokens it predicts.
    """

    def __init__(self, network: MaskGitNetwork, codebook: str):
        self.network = network
        self.codebook = codebook
        self.codebook_size = network.config.codebook_size
        self.grid = (network.config.rows, network.config.columns)
        self.num_classes = network.config.num_classes

    def log_probabilities(self, tokens: np.ndarray, cmi: int | None) -> np.ndarray:
        lost = torch.from_numpy(tokens == LOST)[None]
        masked = torch.from_numpy(np.where(tokens == LOST, self.codebook_size, tokens).astype(np.int64))[None]
        label = torch.tensor([self.num_classes if cmi is None else cmi])
        with torch.inference_mode():
            return self.network(masked, label, lost).float().log_softmax(-1).numpy()
