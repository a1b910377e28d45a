"""Predictability of a tokenizer's tokens from their neighbours: the rate term of its training."""

import math

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from tokcom.tokenizers.vq_network import ResidualBlock

WIDTH = 96
BLOCKS = 2
SHARPNESS = 25.0
"""Inverse temperature of the soft choice among codes: half of the weight is on the nearest one or two."""
MASKED_SHARE = (0.05, 0.5)


class NeighbourPredictor(nn.Module):
    """Predictor of masked cells in a grid of code vectors from the cells around them (7 x 7 in total).

    It is deliberately small: any context model can predict what it can.

    Args:
        code_dim: dimension of a code vector.
        codebook_size: number of codes.
        width: channels of the hidden layers.
    """

    def __init__(self, code_dim: int, codebook_size: int, width: int = WIDTH):
        super().__init__()
        self.stem = nn.Conv2d(code_dim + 1, width, 3, padding=1)
        self.blocks = nn.Sequential(*(ResidualBlock(width) for _ in range(BLOCKS)))
        self.head = nn.Linear(width, codebook_size)

    def forward(self, vectors: Tensor, masked: Tensor) -> Tensor:
        """Compute logits (n, codebook_size) at the n true entries of `masked`, bool (batch, rows, columns); `vectors`
        are (batch, rows, columns, code_dim)."""
        shown = torch.cat([vectors * ~masked[..., None], masked[..., None].to(vectors.dtype)], -1)
        hidden = self.blocks(self.stem(shown.permute(0, 3, 1, 2)))
        return self.head(F.gelu(hidden).permute(0, 2, 3, 1)[masked])


def neighbour_bits(
    predictor: NeighbourPredictor, latents: Tensor, vectors: Tensor, codebook: Tensor, masked: Tensor
) -> Tensor:
    """Compute the mean bits of the masked cells' codes given the others.

    Each cell's code is a soft choice by its latent's distance to all codes, so that the gradient tells the encoder
    which of the nearby codes is more likely; gradients also flow through the vectors around it.

    Args:
        predictor: predictor, trained by the same loss.
        latents: (batch, rows, columns, code_dim), unit vectors before quantization.
        vectors: the same after it, with a straight-through gradient.
        codebook: (codebook_size, code_dim).
        masked: bool (batch, rows, columns).
    """
    return soft_bits(latents[masked], codebook, predictor(vectors, masked))


def soft_bits(latents: Tensor, codebook: Tensor, logits: Tensor) -> Tensor:
    """Compute the mean bits of codes under logits (n, codebook_size), with a soft choice of codes by the distance of
    latents (n, code_dim) to all codes."""
    choice = (SHARPNESS * latents @ codebook.T).softmax(-1)
    return -(choice * logits.float().log_softmax(-1)).sum(-1).mean() / math.log(2)
