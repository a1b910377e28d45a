"""Masked transformer of a picture's tokens and its class, as a stock `TransformerEncoder`.

Besnier and Chen, "A PyTorch reproduction of masked generative image transformer" (2023); the network of the paper's
figure 4.
"""

from dataclasses import asdict, dataclass

import torch
from torch import Tensor, nn

OUTER_EPS, INNER_EPS = 1e-12, 1e-5


@dataclass(frozen=True)
class EncoderMaskGitConfig:
    """Shape of an `EncoderMaskGitNetwork`; it is stored in the model's card."""

    codebook_size: int = 1024
    grid: tuple[int, ...] = (16, 16)
    num_classes: int = 1000
    width: int = 768
    depth: int = 24
    heads: int = 16
    mlp_width: int = 3072
    null_class: bool = True

    as_dict = asdict

    @property
    def n_tokens(self) -> int:
        """Tokens of a frame."""
        return int(torch.Size(self.grid).numel())


class EncoderMaskGitNetwork(nn.Module):
    """Logits of words from known tokens and a class, which follows them as one more token.

    One table embeds words, mask, classes and the null class, in this order, and is the last layer's, too.
    """

    def __init__(self, config: EncoderMaskGitConfig):
        super().__init__()
        self.config = config
        width, places = config.width, config.n_tokens
        self.embedding = nn.Embedding(config.codebook_size + config.num_classes + 2, width)
        self.positions = nn.Parameter(torch.zeros(places + 1, width))
        self.bias = nn.Parameter(torch.zeros(places, config.codebook_size))
        self.first = nn.Sequential(
            nn.LayerNorm(width, eps=OUTER_EPS), nn.Linear(width, width), nn.GELU(),
            nn.LayerNorm(width, eps=OUTER_EPS), nn.Linear(width, width),
        )  # fmt: skip
        layer = nn.TransformerEncoderLayer(
            width, config.heads, config.mlp_width, activation="gelu", batch_first=True, norm_first=True,
            layer_norm_eps=INNER_EPS,
        )  # fmt: skip
        self.encoder = nn.TransformerEncoder(layer, config.depth, enable_nested_tensor=False)
        self.last = nn.Sequential(
            nn.LayerNorm(width, eps=OUTER_EPS), nn.Linear(width, width), nn.GELU(), nn.LayerNorm(width, eps=OUTER_EPS)
        )

    def forward(self, tokens: Tensor, labels: Tensor, places: Tensor) -> Tensor:
        """Compute logits (n, codebook_size) at the true entries of `places`, in row-major order.

        Args:
            tokens: int64 (batch, tokens), `codebook_size` where masked.
            labels: int64 (batch,), `num_classes` for none.
            places: bool (batch, tokens).
        """
        words = self.config.codebook_size
        ids = torch.cat((tokens, words + 1 + labels[:, None]), 1)
        x = self.encoder(self.first(self.embedding(ids) + self.positions))[:, :-1]
        bias = self.bias.expand(len(tokens), -1, -1)[places]
        return self.last(x[places]) @ self.embedding.weight[:words].T + bias
