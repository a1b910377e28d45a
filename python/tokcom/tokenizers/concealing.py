"""Decoder of pictures some of whose tokens were lost: it is told what the context model expects in their place.

The tokenizer's decoder learnt to show words. Where a token is lost, it is given the mean of the code vectors that the
context model expects, which lies between them. The network here corrects the decoder's features around lost tokens, so
that they show what has the least squared error. Elsewhere it leaves them alone: a sender that searches for tokens
chooses them for that very decoder.
"""

import math
from dataclasses import asdict, dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from tokcom.tokenizers.vq_network import ResidualBlock, VQAutoencoder

MARKS = 2
"""Features of a lost token besides what is expected: the loss, and the entropy of what is expected, at most 1."""
REACH = 1
"""Rows and columns around a lost token in which features are corrected."""


@dataclass(frozen=True)
class ConcealingConfig:
    """Shape of a `ConcealingNetwork`; it is stored in the model's card.

    Attributes:
        codebook_size, code_dim: those of the tokenizer.
        width: features per token of the tokenizer's decoder, its `grid_width`.
        blocks: residual blocks on the grid of tokens.
        expected: features of a word that is expected.
        hidden: features per token within the blocks.
    """

    codebook_size: int = 1024
    code_dim: int = 16
    width: int = 128
    blocks: int = 4
    expected: int = 48
    hidden: int = 128

    as_dict = asdict

    @classmethod
    def of(cls, tokenizer: VQAutoencoder, **more: int) -> "ConcealingConfig":
        """Make the shape that fits a tokenizer's network; `more` are other attributes."""
        return cls(tokenizer.config.codebook_size, tokenizer.config.code_dim, tokenizer.grid_width, **more)


class ConcealingNetwork(nn.Module):
    """Correction of features between the grid of a tokenizer's decoder and its pixel layers; 0 at initialisation."""

    def __init__(self, config: ConcealingConfig):
        super().__init__()
        self.config = config
        self.expected = nn.Linear(config.codebook_size, config.expected, bias=False)
        nn.init.normal_(self.expected.weight, std=0.3)
        self.stem = nn.Conv2d(config.width + config.code_dim + MARKS + config.expected, config.hidden, 1)
        self.blocks = nn.Sequential(*(ResidualBlock(config.hidden) for _ in range(config.blocks)))
        self.head = nn.Conv2d(config.hidden, config.width, 1)
        nn.init.zeros_(self.head.weight)
        nn.init.zeros_(self.head.bias)

    def fits(self, tokenizer: nn.Module) -> bool:
        """Tell whether this has the shape of a tokenizer's network."""
        if not isinstance(tokenizer, VQAutoencoder):
            return False
        own, needed = self.config, ConcealingConfig.of(tokenizer)
        return (own.codebook_size, own.code_dim, own.width) == (needed.codebook_size, needed.code_dim, needed.width)

    def forward(self, tokenizer: VQAutoencoder, tokens: Tensor, lost: Tensor, log_probabilities: Tensor) -> Tensor:
        """Decode pictures, (batch, 3, size, size) in [-1, 1].

        Args:
            tokenizer: network of the tokenizer, to which this belongs.
            tokens: int64 (batch, rows, columns); values at lost places are ignored.
            lost: bool (batch, rows, columns).
            log_probabilities: (lost tokens, words), natural ones of the context model, in row-major order.
        """
        probabilities = log_probabilities.exp()
        vectors = mean_vectors(tokenizer.codebook, tokens, lost, probabilities)
        nats = -(probabilities * log_probabilities.clamp_min(-1e4)).sum(-1, keepdim=True)
        entropy = nats / math.log(self.config.codebook_size)
        told = torch.cat([torch.ones_like(entropy), entropy, self.expected(probabilities)], -1)
        marks = vectors.new_zeros(*lost.shape, told.shape[-1])
        marks[lost] = told.to(marks)
        features = tokenizer.grid_features(vectors)
        seen = torch.cat([features, torch.cat([vectors, marks], -1).permute(0, 3, 1, 2).to(features)], 1)
        around = F.max_pool2d(lost[:, None].to(features), 2 * REACH + 1, 1, REACH)
        correction = self.head(F.gelu(self.blocks(self.stem(seen))))
        return tokenizer.pixels(features + around * correction)


def mean_vectors(codebook: Tensor, tokens: Tensor, lost: Tensor, probabilities: Tensor) -> Tensor:
    """Compute the code vectors of tokens (…,), and of lost ones their means, (…, code_dim).

    Args:
        codebook: (words, code_dim).
        tokens: int64 (…,); values at lost places are ignored.
        lost: bool (…,).
        probabilities: float (lost tokens, words), in row-major order.
    """
    vectors = codebook[tokens.masked_fill(lost, 0)]
    vectors[lost] = (probabilities @ codebook.to(probabilities)).to(vectors)
    return vectors
