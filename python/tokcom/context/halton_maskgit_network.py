"""Masked transformer whose norms are modulated by the class: the MaskGIT of the Halton scheduler.

Besnier et al., "Halton scheduler for masked generative image transformer", ICLR 2025.
"""

from dataclasses import asdict, dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional

EPS = 1e-5


@dataclass(frozen=True)
class HaltonMaskGitConfig:
    """Shape of a `HaltonMaskGitNetwork`; it is stored in the model's card.

    Attributes:
        head_width: width of an attention head; heads need not fill the network's width.
        registers: learnt tokens that follow those of the picture.
    """

    codebook_size: int = 16384
    grid: tuple[int, ...] = (16, 16)
    num_classes: int = 1000
    width: int = 384
    depth: int = 6
    heads: int = 6
    head_width: int = 64
    mlp_width: int = 1024
    registers: int = 1
    null_class: bool = True

    as_dict = asdict


class HaltonMaskGitNetwork(nn.Module):
    """Logits of words from known tokens and a class."""

    def __init__(self, config: HaltonMaskGitConfig):
        super().__init__()
        self.config = config
        width = config.width
        self.words = nn.Embedding(config.codebook_size + 1, width)
        self.classes = nn.Embedding(config.num_classes + 1, width)
        self.positions = nn.Parameter(torch.zeros(torch.Size(config.grid).numel(), width))
        self.registers = nn.Parameter(torch.zeros(config.registers, width))
        self.blocks = nn.ModuleList(_Block(config) for _ in range(config.depth))
        self.last_norm = nn.RMSNorm(width, eps=EPS)
        self.last_shift = nn.Parameter(torch.zeros(width))
        self.last_modulation = nn.Linear(width, 2 * width)
        self.bias = nn.Parameter(torch.zeros(config.codebook_size))

    def forward(self, tokens: Tensor, labels: Tensor, places: Tensor) -> Tensor:
        """Compute logits (n, codebook_size) at the true entries of `places`, in row-major order.

        Args:
            tokens: int64 (batch, tokens), `codebook_size` where masked.
            labels: int64 (batch,), `num_classes` for none.
            places: bool (batch, tokens).
        """
        told = self.classes(labels)
        x = torch.cat((self.words(tokens) + self.positions, self.registers.expand(len(tokens), -1, -1)), 1)
        for block in self.blocks:
            x = block(x, told)
        shift, scale = self.last_modulation(functional.silu(told))[:, None].chunk(2, -1)
        x = (self.last_norm(x) + self.last_shift) * (1 + scale) + shift
        chosen = x[:, : tokens.shape[1]][places]
        return chosen @ self.words.weight[: self.config.codebook_size].T + self.bias


class _Block(nn.Module):
    """Attention and gated MLP, each shifted, scaled and weighted by what the class says."""

    def __init__(self, config: HaltonMaskGitConfig):
        super().__init__()
        width, inside = config.width, config.heads * config.head_width
        self.heads = config.heads
        self.modulation = nn.Linear(width, 6 * width)
        self.attention_norm, self.mlp_norm = nn.RMSNorm(width, eps=EPS), nn.RMSNorm(width, eps=EPS)
        self.query, self.key, self.value = (nn.Linear(width, inside, bias=False) for _ in range(3))
        self.out = nn.Linear(inside, width, bias=False)
        self.gate, self.up = (nn.Linear(width, config.mlp_width, bias=False) for _ in range(2))
        self.down = nn.Linear(config.mlp_width, width, bias=False)

    def forward(self, x: Tensor, told: Tensor) -> Tensor:
        parts = self.modulation(functional.silu(told))[:, None].chunk(6, -1)
        shift, scale, weight = parts[:3]
        x = x + weight * self._attended(self.attention_norm(x) * (1 + scale) + shift)
        shift, scale, weight = parts[3:]
        h = self.mlp_norm(x) * (1 + scale) + shift
        return x + weight * self.down(functional.silu(self.gate(h)) * self.up(h))

    def _attended(self, h: Tensor) -> Tensor:
        # Queries and keys are normalised over all heads together.
        q, k = (functional.rms_norm(each, each.shape[-1:], eps=EPS) for each in (self.query(h), self.key(h)))
        q, k, v = (each.unflatten(-1, (self.heads, -1)).transpose(1, 2) for each in (q, k, self.value(h)))
        return self.out(functional.scaled_dot_product_attention(q, k, v).transpose(1, 2).flatten(2))
