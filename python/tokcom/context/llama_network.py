"""The Llama network (Touvron et al., 2023; arXiv 2302.13971), which SmolLM2 is of, over a tree of tokens.

Paths that are followed side by side share what they have in common: every token is a node whose keys and values are
kept once, and a mask says which nodes a new one descends from. Prefill, a step of several paths and the same words
behind all of them are then one and the same pass.
"""

from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from tokcom.context.many_rows_linear import ManyRowsLinear
from tokcom.errors import ParameterError

ATTENTION_ROWS = 128
"""Nodes whose attention is computed together, against none of the nodes added after them."""


@dataclass(frozen=True)
class LlamaConfig:
    """Shape of the network; the defaults are those of SmolLM2-135M.

    Args:
        codebook_size: words of the vocabulary.
        width: width of the residual stream.
        layers: number of layers.
        heads: number of query heads; it must divide `width`.
        kv_heads: number of heads of keys and values; it must divide `heads`.
        hidden: width inside the feed-forward layers.
        context: maximum number of tokens.
        rope_base: base of the rotary embedding's wavelengths.
        norm_epsilon: added to the mean squares of the normalizations.
        begin: word that precedes every text.
        unused: words that do not occur in texts.

    Raises:
        ParameterError: a number is out of its range, or the heads do not divide as required.
    """

    codebook_size: int = 49152
    width: int = 576
    layers: int = 30
    heads: int = 9
    kv_heads: int = 3
    hidden: int = 1536
    context: int = 8192
    rope_base: float = 1e5
    norm_epsilon: float = 1e-5
    begin: int = 0
    unused: tuple[int, ...] = ()

    def __post_init__(self) -> None:
        for name, value in vars(self).items():
            if name not in ("begin", "unused") and not value > 0:
                raise ParameterError(f"{name} is {value}; it must be above 0")
        for word in (self.begin, *self.unused):
            if not 0 <= word < self.codebook_size:
                raise ParameterError(f"word {word} lies outside the vocabulary of {self.codebook_size} words")
        if self.width % self.heads or self.heads % self.kv_heads or self.width // self.heads % 2:
            raise ParameterError(
                f"{self.heads} heads and {self.kv_heads} of keys do not divide a width of {self.width} evenly"
            )


class LlamaNetwork(nn.Module):
    """Predicts the token behind each node of a tree.

    Args:
        config: its shape.
    """

    def __init__(self, config: LlamaConfig):
        super().__init__()
        self.config = config
        self.token_embedding = nn.Embedding(config.codebook_size, config.width)
        self.layers = nn.ModuleList(_Layer(config) for _ in range(config.layers))
        self.norm = nn.RMSNorm(config.width, config.norm_epsilon)
        self.head = ManyRowsLinear(config.width, config.codebook_size, bias=False)

    def forward(
        self, tokens: Tensor, depths: Tensor, mask: Tensor, memory: list[tuple[Tensor, Tensor]] | None
    ) -> tuple[Tensor, list[tuple[Tensor, Tensor]]]:
        """Add nodes to a tree.

        Args:
            tokens: int64 (n,), of the new nodes.
            depths: int64 (n,), how many nodes each descends from.
            mask: bool (n, nodes + n), which nodes, old and new, each descends from, itself among them; no node descends
                from one that is added after it.
            memory: keys and values of the old nodes, (kv_heads, nodes, head width), by layer; None: there are none.

        Returns:
            float (n, width), what `predict` takes, and the memory of all nodes.
        """
        half = self.config.width // self.config.heads // 2
        steps = torch.arange(half, device=tokens.device, dtype=torch.float32)
        angles = depths[:, None].float() * self.config.rope_base ** (-steps / half)
        turn = angles.cos(), angles.sin()
        hidden, kept = self.token_embedding(tokens), []
        bias = hidden.new_zeros(mask.shape).masked_fill_(~mask, -torch.inf)
        for number, layer in enumerate(self.layers):
            hidden, own = layer(hidden, turn, bias, None if memory is None else memory[number])
            kept.append(own)
        return self.norm(hidden), kept

    def predict(self, hidden: Tensor) -> Tensor:
        """float32 (n, codebook_size): logits of the token that follows each node."""
        return self.head(hidden).float()


class _Layer(nn.Module):
    def __init__(self, config: LlamaConfig):
        super().__init__()
        self.heads, self.kv_heads, self.size = config.heads, config.kv_heads, config.width // config.heads
        self.attention_norm = nn.RMSNorm(config.width, config.norm_epsilon)
        self.attention_in = nn.Linear(config.width, (config.heads + 2 * config.kv_heads) * self.size, bias=False)
        self.attention_out = nn.Linear(config.width, config.width, bias=False)
        self.mlp_norm = nn.RMSNorm(config.width, config.norm_epsilon)
        self.mlp_in = nn.Linear(config.width, 2 * config.hidden, bias=False)
        self.mlp_out = nn.Linear(config.hidden, config.width, bias=False)

    def forward(self, x: Tensor, turn: tuple[Tensor, Tensor], bias: Tensor, memory: tuple | None) -> tuple:
        n = len(x)
        parts = self.attention_in(self.attention_norm(x)).view(n, -1, self.size).transpose(0, 1)
        query, key, value = parts.split((self.heads, self.kv_heads, self.kv_heads))
        query, key = _turned(query, *turn), _turned(key, *turn)
        if memory is not None:
            key, value = torch.cat((memory[0], key), 1), torch.cat((memory[1], value), 1)
        x = x + self.attention_out(_mixed(query, key, value, bias).transpose(0, 1).reshape(n, -1))
        gate, up = self.mlp_in(self.mlp_norm(x)).chunk(2, -1)
        return x + self.mlp_out(F.silu(gate) * up), (key, value)


def _mixed(query: Tensor, key: Tensor, value: Tensor, bias: Tensor) -> Tensor:
    """Values that new nodes attend to, (heads, n, size): in parts, each over the nodes up to its last alone."""
    n, mixed = query.shape[1], []
    for start in range(0, n, ATTENTION_ROWS):
        end = min(start + ATTENTION_ROWS, n)
        seen = key.shape[1] - n + end
        mixed.append(
            F.scaled_dot_product_attention(
                query[None, :, start:end], key[None, :, :seen], value[None, :, :seen], bias[start:end, :seen],
                enable_gqa=True,
            )[0]
        )  # fmt: skip
    return torch.cat(mixed, 1)


def _turned(x: Tensor, cos: Tensor, sin: Tensor) -> Tensor:
    """Rotary embedding, (heads, n, size): the first half of a head's numbers with the second."""
    first, second = x.float().chunk(2, -1)
    return torch.cat((first * cos - second * sin, second * cos + first * sin), -1).to(x.dtype)
