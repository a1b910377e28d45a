"""Convolutional VQ autoencoder of the embedded picture tokenizers.

Patches become channels (space to depth), residual 3x3 convolutions mix them, and each cell of the grid is replaced by
the code of the nearest direction in a codebook of unit vectors. Cosine look-up keeps all codes in use and makes them
scale-free (Yu et al., "Vector-quantized image modeling with improved VQGAN", ICLR 2022).
"""

from collections import OrderedDict
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F

if TYPE_CHECKING:
    from tokcom.tokenizers.pyramid_network import PyramidConfig


GRID_LAYERS = 2
"""First layers of a decoder, which work on the grid of tokens: stem and blocks."""


def as_input(pictures: np.ndarray) -> Tensor:
    """Convert uint8 (batch, size, size, 3) to float32 (batch, 3, size, size) in [-1, 1]."""
    return torch.tensor(pictures).float().permute(0, 3, 1, 2) / 127.5 - 1


def as_pictures(output: Tensor) -> Tensor:
    """Convert float32 (batch, 3, size, size), clipped to [-1, 1], to uint8 (batch, size, size, 3)."""
    return ((output.clamp(-1, 1) + 1) * 127.5).round().byte().permute(0, 2, 3, 1).contiguous()


@dataclass(frozen=True)
class VQConfig:
    """Shape of a `VQNetwork`; it is stored in the model's card."""

    image_size: int = 64
    patch_size: int = 4
    codebook_size: int = 1024
    code_dim: int = 16
    width: int = 128
    encoder_blocks: int = 4
    decoder_blocks: int = 8
    detail_width: int = 64
    detail_blocks: int = 3

    as_dict = asdict


class ResidualBlock(nn.Module):
    """x + conv(gelu(conv(gelu(x)))), the identity at initialisation."""

    def __init__(self, width: int):
        super().__init__()
        self.first = nn.Conv2d(width, width, 3, padding=1)
        self.second = nn.Conv2d(width, width, 3, padding=1)
        nn.init.zeros_(self.second.weight)
        nn.init.zeros_(self.second.bias)

    def forward(self, x: Tensor) -> Tensor:
        return x + self.second(F.gelu(self.first(F.gelu(x))))


class VQAutoencoder(nn.Module):
    """Autoencoder: pictures (batch, 3, size, size) in [-1, 1] ↔ token ids (batch, size/patch, size/patch).

    A subclass provides `encoder`, from pictures to (batch, code_dim, rows, columns), and `decoder`, its inverse, whose
    first `GRID_LAYERS` layers keep rows and columns.

    Args:
        config: shape of the network, with `image_size`, `patch_size`, `codebook_size` and `code_dim`.

    Attributes:
        grid_width: number of the decoder's features per token, after these layers.
    """

    encoder: nn.Module
    decoder: nn.Sequential
    grid_width: int

    def __init__(self, config: "VQConfig | PyramidConfig"):
        super().__init__()
        self.config = config
        codebook = torch.randn(config.codebook_size, config.code_dim)
        self.register_buffer("codebook", F.normalize(codebook, dim=1))

    def latents(self, pictures: Tensor) -> Tensor:
        """Encode pictures (batch, 3, size, size) to unit vectors (batch, rows, columns, code_dim)."""
        return F.normalize(self.encoder(pictures).float().permute(0, 2, 3, 1), dim=-1)

    def quantize(self, latents: Tensor) -> Tensor:
        """Find the ids (…) of the codes nearest to unit vectors (…, code_dim)."""
        return (latents @ self.codebook.to(latents.dtype).T).argmax(-1)

    def encode(self, pictures: Tensor) -> Tensor:
        """Encode pictures to token ids, int64 (batch, rows, columns)."""
        return self.quantize(self.latents(pictures))

    def decode_vectors(self, vectors: Tensor) -> Tensor:
        """Decode code vectors (batch, rows, columns, code_dim) to pictures (batch, 3, size, size)."""
        return self.pixels(self.grid_features(vectors))

    def grid_features(self, vectors: Tensor) -> Tensor:
        """Compute the decoder's features on the grid of tokens, (batch, grid_width, rows, columns), of code vectors
        (batch, rows, columns, code_dim)."""
        return self.decoder[:GRID_LAYERS](vectors.permute(0, 3, 1, 2))

    def pixels(self, features: Tensor) -> Tensor:
        """Decode features on the grid to pictures (batch, 3, size, size)."""
        return self.decoder[GRID_LAYERS:](features)

    def decode(self, tokens: Tensor) -> Tensor:
        """Decode token ids (batch, rows, columns) to pictures (batch, 3, size, size)."""
        return self.decode_vectors(self.codebook[tokens])


class VQNetwork(VQAutoencoder):
    """Network of one width for small patches: residual blocks on the grid of tokens, then a few at half a patch."""

    def __init__(self, config: VQConfig):
        super().__init__(config)
        width, patch = config.width, config.patch_size
        self.grid_width = width
        half = patch // 2
        self.encoder = nn.Sequential(
            OrderedDict(
                unshuffle=nn.PixelUnshuffle(patch),
                stem=nn.Conv2d(3 * patch**2, width, 3, padding=1),
                blocks=nn.Sequential(*(ResidualBlock(width) for _ in range(config.encoder_blocks))),
                activation=nn.GELU(),
                head=nn.Conv2d(width, config.code_dim, 1),
            )
        )
        self.decoder = nn.Sequential(
            OrderedDict(
                stem=nn.Conv2d(config.code_dim, width, 3, padding=1),
                blocks=nn.Sequential(*(ResidualBlock(width) for _ in range(config.decoder_blocks))),
                widen=nn.Conv2d(width, config.detail_width * half**2, 1),
                shuffle=nn.PixelShuffle(half),
                detail=nn.Sequential(*(ResidualBlock(config.detail_width) for _ in range(config.detail_blocks))),
                activation=nn.GELU(),
                head=nn.Conv2d(config.detail_width, 3 * 2**2, 3, padding=1),
                pixels=nn.PixelShuffle(2),
            )
        )
