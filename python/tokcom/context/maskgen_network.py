"""MaskGen's masked transformer: tokens of TA-TiTok in any order, told by a sentence.

Kim et al., "Democratizing text-to-image masked generative models with compact text-aware one-dimensional tokens", 2025;
blocks are those of diffusers.
"""

import math
from dataclasses import asdict, dataclass

import torch
from diffusers.models.attention import JointTransformerBlock
from diffusers.models.normalization import AdaLayerNormContinuous
from torch import Tensor, nn

EPS = 1e-6
AESTHETIC_SCORE, SCORE_SCALE, LONGEST_PERIOD = 6.5, 100, 1000
"""Score of pictures that the network is told to expect, and how: as sines and cosines of 100 times it."""


@dataclass(frozen=True)
class MaskGenConfig:
    """Shape of a `MaskGenNetwork`; it is stored in the model's card.

    Attributes:
        vocabulary: rows of the embedding: the words, the mask, and rows that are not used.
        score_width: width of the sines and cosines of the score; 0 if it is not told.
    """

    codebook_size: int = 8192
    grid: tuple[int, ...] = (128,)
    vocabulary: int = 9194
    width: int = 1024
    depth: int = 16
    heads: int = 16
    text_width: int = 768
    embedding: int = 768
    score_width: int = 256

    as_dict = asdict


class MaskGenNetwork(nn.Module):
    """Logits of words from known tokens, features of a sentence's words, and its embedding."""

    def __init__(self, config: MaskGenConfig):
        super().__init__()
        self.config = config
        width = config.width
        self.words = nn.Embedding(config.vocabulary, width)
        self.positions = nn.Parameter(torch.zeros(torch.Size(config.grid).numel(), width))
        self.text = nn.Linear(config.text_width, width)
        self.told = nn.Linear(config.embedding + config.score_width, width)
        self.blocks = nn.ModuleList(
            JointTransformerBlock(width, config.heads, width // config.heads, context_pre_only=each == config.depth - 1)
            for each in range(config.depth)
        )
        self.norm = AdaLayerNormContinuous(width, width, elementwise_affine=False, eps=EPS)

    def forward(self, tokens: Tensor, features: Tensor, embeddings: Tensor, places: Tensor) -> Tensor:
        """Compute logits (n, codebook_size) at the true entries of `places`, in row-major order.

        Args:
            tokens: int64 (batch, tokens), `codebook_size` where masked.
            features: of the sentences' words, (batch, words, text_width).
            embeddings: of the sentences, (batch, embedding).
            places: bool (batch, tokens).
        """
        x, text = self.words(tokens) + self.positions, self.text(features)
        score = self._score(embeddings).expand(len(tokens), -1)
        told = self.told(torch.cat((embeddings, score), 1))
        for block in self.blocks:
            text, x = block(x, text, told)
        return self.norm(x, told)[places] @ self.words.weight[: self.config.codebook_size].T

    def _score(self, like: Tensor) -> Tensor:
        half = self.config.score_width // 2
        rates = torch.exp(torch.arange(half, device=like.device) * (-math.log(LONGEST_PERIOD) / max(half, 1)))
        angles = AESTHETIC_SCORE * SCORE_SCALE * rates
        return torch.cat((angles.sin(), angles.cos())).to(like)[None]
