"""Masked transformer with connections from its first blocks to its last, a U-ViT: TiTok's generator of 128 tokens.

Bao et al., "All are worth words: a ViT backbone for diffusion models", CVPR 2023.
"""

from dataclasses import asdict, dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional


@dataclass(frozen=True)
class UVitMaskGitConfig:
    """Shape of a `UVitMaskGitNetwork`; it is stored in the model's card.

    Attributes:
        half_depth: blocks before, and blocks behind, the middle one.
    """

    codebook_size: int = 4096
    grid: tuple[int, ...] = (128,)
    num_classes: int = 1000
    width: int = 1024
    half_depth: int = 10
    heads: int = 16
    mlp_width: int = 4096
    null_class: bool = True

    as_dict = asdict


class UVitMaskGitNetwork(nn.Module):
    """Logits of words from known tokens and a class, which comes before them as one more token."""

    def __init__(self, config: UVitMaskGitConfig):
        super().__init__()
        self.config = config
        width, half = config.width, config.half_depth
        self.embedding = nn.Embedding(config.codebook_size + config.num_classes + 2, width)
        self.positions = nn.Parameter(torch.zeros(torch.Size(config.grid).numel() + 1, width))
        self.down = nn.ModuleList(_Block(config) for _ in range(half))
        self.middle = _Block(config)
        self.up = nn.ModuleList(_Block(config, joins=True) for _ in range(half))
        self.norm = nn.LayerNorm(width)
        self.head = nn.Linear(width, config.codebook_size)

    def forward(self, tokens: Tensor, labels: Tensor, places: Tensor) -> Tensor:
        """Compute logits (n, codebook_size) at the true entries of `places`, in row-major order.

        Args:
            tokens: int64 (batch, tokens), `codebook_size` where masked.
            labels: int64 (batch,), `num_classes` for none.
            places: bool (batch, tokens).
        """
        ids = torch.cat((self.config.codebook_size + 1 + labels[:, None], tokens), 1)
        x, passed = self.embedding(ids) + self.positions, []
        for block in self.down:
            x = block(x)
            passed.append(x)
        x = self.middle(x)
        for block in self.up:
            x = block(block.skip_linear(torch.cat((x, passed.pop()), -1)))
        return self.head(self.norm(x[:, 1:][places]))


class _Block(nn.Module):
    """Attention and MLP, pre-normalised and residual, under the names of the published weights."""

    def __init__(self, config: UVitMaskGitConfig, joins: bool = False):
        super().__init__()
        width, self.heads = config.width, config.heads
        self.norm1, self.norm2 = nn.LayerNorm(width), nn.LayerNorm(width)
        self.attn = nn.ModuleDict({"qkv": nn.Linear(width, 3 * width, bias=False), "proj": nn.Linear(width, width)})
        self.mlp = nn.ModuleDict({"fc1": nn.Linear(width, config.mlp_width), "fc2": nn.Linear(config.mlp_width, width)})
        if joins:
            self.skip_linear = nn.Linear(2 * width, width)

    def forward(self, x: Tensor) -> Tensor:
        parts = self.attn["qkv"](self.norm1(x)).chunk(3, -1)
        q, k, v = (each.unflatten(-1, (self.heads, -1)).transpose(1, 2) for each in parts)
        x = x + self.attn["proj"](functional.scaled_dot_product_attention(q, k, v).transpose(1, 2).flatten(2))
        return x + self.mlp["fc2"](functional.gelu(self.mlp["fc1"](self.norm2(x))))
