"""Causal transformer over a picture's tokens in raster order, told by a class: RAR.

Yu et al., "Randomized autoregressive visual generation", ICCV 2025.
"""

from dataclasses import asdict, dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional

EPS = 1e-6
PREFIX = 2
"""Places before the picture's tokens: a learnt one, and the class."""

Memory = list[tuple[Tensor, Tensor]]
"""Keys and values of each block, (paths, heads, places, head width)."""


@dataclass(frozen=True)
class RarConfig:
    """Shape of a `RarNetwork`; it is stored in the model's card."""

    codebook_size: int = 1024
    grid: tuple[int, ...] = (16, 16)
    num_classes: int = 1000
    width: int = 768
    depth: int = 24
    heads: int = 16
    mlp_width: int = 3072

    as_dict = asdict

    @property
    def n_tokens(self) -> int:
        """Tokens of a frame."""
        return int(torch.Size(self.grid).numel())


class RarNetwork(nn.Module):
    """Features of the places that follow those in memory, and logits of the token behind a place.

    One table embeds words, an unused mask, classes and the null class, in this order.
    """

    def __init__(self, config: RarConfig):
        super().__init__()
        self.config = config
        width, places = config.width, config.n_tokens + PREFIX
        self.embedding = nn.Embedding(config.codebook_size + config.num_classes + 2, width)
        self.first = nn.Parameter(torch.zeros(width))
        self.positions = nn.Parameter(torch.zeros(places, width))
        self.next_positions = nn.Parameter(torch.zeros(config.n_tokens, width))
        self.steps = nn.Parameter(torch.zeros(places, width))
        self.blocks = nn.ModuleList(_Block(config) for _ in range(config.depth))
        self.last_modulation = nn.Linear(width, 2 * width)
        self.head = nn.Linear(width, config.codebook_size)

    def begin(self, label: int | None) -> tuple[Tensor, Memory]:
        """Compute the places before the picture's tokens, for one path.

        Args:
            label: number of the class; None for the null class.

        Returns:
            As of `forward`.
        """
        told = self.embedding.weight[self._class(label)]
        inputs = torch.stack((self.first, told)) + self.positions[:PREFIX]
        nothing = torch.zeros_like(self.next_positions[:1])
        return self._run((inputs + torch.cat((nothing, self.next_positions[:1])))[None], label, 0, None)

    def forward(self, tokens: Tensor, label: int | None, memory: Memory) -> tuple[Tensor, Memory]:
        """Put tokens behind the places in memory.

        Args:
            tokens: int64 (paths, n).
            label: number of the class; None for the null class.
            memory: of the places before, by path.

        Returns:
            Features (paths, n, width), and the memory with the new places.
        """
        start = memory[0][0].shape[2]
        end = start + tokens.shape[1]
        ahead = self.next_positions[start - PREFIX + 1 : end - PREFIX + 1]
        ahead = functional.pad(ahead, (0, 0, 0, tokens.shape[1] - len(ahead)))  # behind the last token is none
        return self._run(self.embedding(tokens) + self.positions[start:end] + ahead, label, start, memory)

    def predict(self, features: Tensor) -> Tensor:
        """Logits (…, codebook_size) of the token behind each place, from its features (…, width)."""
        return self.head(features)

    def _class(self, label: int | None) -> int:
        config = self.config
        return config.codebook_size + 1 + (config.num_classes if label is None else label)

    def _run(self, x: Tensor, label: int | None, start: int, memory: Memory | None) -> tuple[Tensor, Memory]:
        steps = self.steps[start : start + x.shape[1]]
        told = functional.silu(self.embedding.weight[self._class(label)] + steps)
        reached = []
        for number, block in enumerate(self.blocks):
            x, kept = block(x, told, None if memory is None else memory[number])
            reached.append(kept)
        scale, shift = self.last_modulation(told).chunk(2, -1)
        return _norm(x) * (1 + scale) + shift, reached


class _Block(nn.Module):
    """Causal attention and MLP, each shifted, scaled and weighted by what class and place say."""

    def __init__(self, config: RarConfig):
        super().__init__()
        width, self.heads = config.width, config.heads
        self.modulation = nn.Linear(width, 6 * width)
        self.norm1, self.norm2 = nn.LayerNorm(width, eps=EPS), nn.LayerNorm(width, eps=EPS)
        self.qkv, self.out = nn.Linear(width, 3 * width), nn.Linear(width, width)
        self.query_norm, self.key_norm = (nn.LayerNorm(width // config.heads, eps=EPS) for _ in range(2))
        self.mlp_in, self.mlp_out = nn.Linear(width, config.mlp_width), nn.Linear(config.mlp_width, width)

    def forward(
        self, x: Tensor, told: Tensor, memory: tuple[Tensor, Tensor] | None
    ) -> tuple[Tensor, tuple[Tensor, Tensor]]:
        shift, scale, weight, mlp_shift, mlp_scale, mlp_weight = self.modulation(told).chunk(6, -1)
        h = self.norm1(x) * (1 + scale) + shift
        q, k, v = (each.unflatten(-1, (self.heads, -1)).transpose(1, 2) for each in self.qkv(h).chunk(3, -1))
        q, k = self.query_norm(q), self.key_norm(k)
        if memory is not None:
            k, v = torch.cat((memory[0], k), 2), torch.cat((memory[1], v), 2)
        new, all_places = q.shape[2], k.shape[2]
        seen = torch.ones(new, all_places, dtype=torch.bool, device=x.device).tril(all_places - new)
        mixed = functional.scaled_dot_product_attention(q, k, v, seen)
        x = x + weight * self.out(mixed.transpose(1, 2).flatten(2))
        h = self.norm2(x) * (1 + mlp_scale) + mlp_shift
        return x + mlp_weight * self.mlp_out(functional.gelu(self.mlp_in(h))), (k, v)


def _norm(x: Tensor) -> Tensor:
    return functional.layer_norm(x, x.shape[-1:], eps=EPS)
