"""Masked transformer that predicts tokens from known ones and from a class label.

MaskGIT (Chang et al., CVPR 2022) with a depthwise convolution before attention: neighbours predict a picture's token
best, which a small model does not learn by attention alone.
"""

from dataclasses import asdict, dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional as F


@dataclass(frozen=True)
class MaskGitConfig:
    """Shape of a `MaskGitNetwork`; it is stored in the model's card."""

    codebook_size: int = 1024
    rows: int = 16
    columns: int = 16
    num_classes: int = 102
    width: int = 192
    depth: int = 6
    heads: int = 3
    kernel_size: int = 5
    mlp_ratio: int = 4
    condition_dim: int = 0
    """Dimension of the sentences' embeddings that represent classes, from a table; 0 if each class has its own learnt
    vector."""

    as_dict = asdict


class MaskGitBlock(nn.Module):
    """Block of depthwise convolution over the grid, attention over all positions, and MLP, each pre-normalised and
    residual."""

    def __init__(self, config: MaskGitConfig):
        super().__init__()
        width = config.width
        self.grid = (config.rows, config.columns)
        self.heads = config.heads
        self.conv_norm = nn.LayerNorm(width)
        self.conv = nn.Conv2d(width, width, config.kernel_size, padding=config.kernel_size // 2, groups=width)
        self.attention_norm = nn.LayerNorm(width)
        self.qkv = nn.Linear(width, 3 * width)
        self.projection = nn.Linear(width, width)
        self.mlp_norm = nn.LayerNorm(width)
        self.mlp = nn.Sequential(
            nn.Linear(width, config.mlp_ratio * width), nn.GELU(), nn.Linear(config.mlp_ratio * width, width)
        )

    def forward(self, x: Tensor) -> Tensor:
        batch, places, width = x.shape
        grid = self.conv_norm(x).transpose(1, 2).reshape(batch, width, *self.grid)
        x = x + self.conv(grid).flatten(2).transpose(1, 2)
        qkv = self.qkv(self.attention_norm(x)).reshape(batch, places, 3, self.heads, width // self.heads)
        query, key, value = qkv.permute(2, 0, 3, 1, 4)
        if x.is_cuda:
            mixed = F.scaled_dot_product_attention(query, key, value)
        else:
            # Written out: PyTorch's fused attention takes a fifth longer on CPUs at 256 positions.
            mixed = (query * query.shape[-1] ** -0.5 @ key.transpose(-1, -2)).softmax(-1) @ value
        x = x + self.projection(mixed.transpose(1, 2).reshape(batch, places, width))
        return x + self.mlp(self.mlp_norm(x))


class MaskGitNetwork(nn.Module):
    """Network with logits over the codebook at chosen positions of token grids.

    Id `codebook_size` is [MASK], label `num_classes` the null class ("no CMI"). If classes are sentences, row i of
    `conditions` is the embedding of class i, and that of the null class is zero.
    """

    def __init__(self, config: MaskGitConfig):
        super().__init__()
        self.config = config
        width = config.width
        self.token_embedding = nn.Embedding(config.codebook_size + 1, width)
        self.position_embedding = nn.Parameter(torch.zeros(config.rows * config.columns, width))
        if config.condition_dim:
            self.register_buffer("conditions", torch.zeros(config.num_classes + 1, config.condition_dim))
            self.condition = nn.Linear(config.condition_dim, width)
        else:
            self.class_embedding = nn.Embedding(config.num_classes + 1, width)
        self.blocks = nn.ModuleList(MaskGitBlock(config) for _ in range(config.depth))
        self.head_norm = nn.LayerNorm(width)
        self.head = nn.Linear(width, config.codebook_size)
        embeddings = [self.token_embedding.weight, self.position_embedding]
        for embedding in embeddings if config.condition_dim else [*embeddings, self.class_embedding.weight]:
            nn.init.normal_(embedding, std=0.02)
        for block in self.blocks:
            for last in (block.projection, block.mlp[-1]):
                nn.init.normal_(last.weight, std=0.02 / (2 * config.depth) ** 0.5)

    def forward(self, tokens: Tensor, labels: Tensor, places: Tensor) -> Tensor:
        """Compute logits (n, codebook_size) at the true entries of `places`, in row-major order.

        Args:
            tokens: int64 (batch, rows * columns), [MASK] where unknown.
            labels: int64 (batch,), the null class without CMI.
            places: bool (batch, rows * columns).
        """
        return self.predict(self.token_embedding(tokens), self.told(labels), places)

    def told(self, labels: Tensor) -> Tensor:
        """Embed labels (batch,) for `predict`, (batch, width)."""
        return self.condition(self.conditions[labels]) if self.config.condition_dim else self.class_embedding(labels)

    def predict(self, embedded: Tensor, told: Tensor, places: Tensor) -> Tensor:
        """Do as `forward` from embeddings: a token with probabilities of words is the mixture of their embeddings.

        Args:
            embedded: (batch, rows * columns, width).
            told: (batch, width), embedding of the class.
            places: bool (batch, rows * columns).
        """
        return self.head(self.head_norm(self._features(embedded, told)[places]))

    def everywhere(self, tokens: Tensor, labels: Tensor) -> Tensor:
        """Compute logits (batch, rows * columns, codebook_size) at all positions; arguments as for `forward`."""
        return self.head(self.head_norm(self._features(self.token_embedding(tokens), self.told(labels))))

    def _features(self, embedded: Tensor, told: Tensor) -> Tensor:
        x = embedded + self.position_embedding + told[:, None]
        for block in self.blocks:
            x = block(x)
        return x

    def unlabelled(self, tokens: Tensor, masked: Tensor) -> Tensor:
        """Compute logits (n, codebook_size) of the masked ones of `tokens`, (batch, rows * columns), without CMI."""
        label = tokens.new_full((len(tokens),), self.config.num_classes)
        return self(tokens.masked_fill(masked, self.config.codebook_size), label, masked)
