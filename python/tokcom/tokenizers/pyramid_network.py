"""VQ autoencoder for photographs: large patches, a small encoder and a large decoder, width by scale.

A larger decoder helps, a larger encoder hardly does (Hansen-Estruch et al., "ViTok", 2025), so the decoder has four
times the operations of the encoder.
"""

from collections import OrderedDict
from dataclasses import asdict, dataclass
from math import log2

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from tokcom.tokenizers.vq_network import VQAutoencoder

ENCODER_PATCH = 4
"""Side in pixels of the patches that become channels before the encoder's first scale."""
SCALES = ((96, 1), (160, 2), (256, 3), (320, 3))
"""Width and number of blocks of the encoder's scales, finest first: patches of 4 pixels use one, of 8 two …"""
DECODER_SCALES = ((64, 2), (128, 3), (256, 3), (320, 4), (384, 4))
"""Width and number of blocks of the decoder's scales: patches of 4 pixels use two, of 8 three …"""
STRONGEST = 4.0
"""Largest sharpening."""


@dataclass(frozen=True)
class PyramidConfig:
    """Shape of a `PyramidVQNetwork`; it is stored in the model's card.

    The encoder's scales run from a quarter of the picture's side down to the grid of tokens, the decoder's from the
    grid of tokens up to half the side; each halves or doubles the one before. `*_widths` are channels and `*_blocks`
    residual blocks per scale. `sharpening` is the gain of the detail of decoded pictures (unsharp masking): training
    for little error makes detail that cannot be known fainter than it is. Training itself leaves it at 0.
    """

    image_size: int = 256
    patch_size: int = 16
    codebook_size: int = 1024
    code_dim: int = 16
    encoder_widths: tuple[int, ...] = (96, 160, 256)
    encoder_blocks: tuple[int, ...] = (1, 2, 3)
    decoder_widths: tuple[int, ...] = (320, 256, 128, 64)
    decoder_blocks: tuple[int, ...] = (4, 3, 3, 2)
    sharpening: float = 0.0

    as_dict = asdict

    @classmethod
    def of_grid(cls, size: int, grid: int, words: int) -> "PyramidConfig":
        """Choose the shape for pictures of `size` x `size` pixels in `grid` x `grid` tokens of `words` words.

        Raises:
            ValueError: patches would not be of 4, 8, 16 or 32 pixels, or there are fewer than 2 words.
        """
        patch = size // grid
        if patch * grid != size or patch not in (4, 8, 16, 32):
            raise ValueError(
                f"pictures of {size} pixels in {grid} x {grid} tokens have patches of {size / grid:g} pixels; "
                "it must be 4, 8, 16 or 32"
            )
        if words < 2:
            raise ValueError(f"a codebook of {words} words; it must be at least 2")
        encoder, decoder = SCALES[: int(log2(patch)) - 1], DECODER_SCALES[: int(log2(patch))][::-1]
        widths, blocks = zip(*encoder, strict=True)
        decoder_widths, decoder_blocks = zip(*decoder, strict=True)
        return cls(size, patch, words, cls.code_dim, widths, blocks, decoder_widths, decoder_blocks)

    def __post_init__(self) -> None:
        for name, widths, blocks, patch in (
            ("encoder", self.encoder_widths, self.encoder_blocks, ENCODER_PATCH * 2 ** (len(self.encoder_widths) - 1)),
            ("decoder", self.decoder_widths, self.decoder_blocks, 2 ** len(self.decoder_widths)),
        ):
            if len(widths) != len(blocks) or patch != self.patch_size:
                raise ValueError(
                    f"{name}: widths {widths} and blocks {blocks} of its scales give patches of {patch} pixels, not "
                    f"{self.patch_size}"
                )
        if not 0 <= self.sharpening <= STRONGEST:
            raise ValueError(f"sharpening is {self.sharpening}; it must be 0 to {STRONGEST:g}")
        if self.image_size % self.patch_size:
            raise ValueError(f"pictures of {self.image_size} pixels are not a multiple of patches of {self.patch_size}")


class NormalizedBlock(nn.Module):
    """x + conv(gelu(conv(gelu(norm(x))))), the identity at initialisation.

    The norm is the root mean square over the channels of one position, so that the effect of a wrong token stays local.
    """

    def __init__(self, width: int):
        super().__init__()
        self.scale = nn.Parameter(torch.ones(width, 1, 1))
        self.first = nn.Conv2d(width, width, 3, padding=1)
        self.second = nn.Conv2d(width, width, 3, padding=1)
        nn.init.zeros_(self.second.weight)
        nn.init.zeros_(self.second.bias)

    def forward(self, x: Tensor) -> Tensor:
        inverse = torch.rsqrt(x.float().square().mean(1, keepdim=True) + 1e-6).to(x.dtype)
        return x + self.second(F.gelu(self.first(F.gelu(x * inverse * self.scale.to(x.dtype)))))


class PyramidVQNetwork(VQAutoencoder):
    """The pyramid autoencoder; see `VQAutoencoder` for its shapes."""

    def __init__(self, config: PyramidConfig):
        super().__init__(config)
        self.encoder, self.decoder = _encoder(config), _decoder(config)
        self.grid_width = config.decoder_widths[0]

    def pixels(self, features: Tensor) -> Tensor:
        decoded = super().pixels(features)
        if not self.config.sharpening:
            return decoded
        return decoded + self.config.sharpening * (decoded - _smoothed(decoded))


def _smoothed(pictures: Tensor) -> Tensor:
    """Smooth pictures (batch, channels, rows, columns) by the binomial filter of 3 x 3 pixels."""
    line = pictures.new_tensor([0.25, 0.5, 0.25])
    channels = pictures.shape[1]
    kernel = (line[:, None] * line).expand(channels, 1, 3, 3)
    return F.conv2d(F.pad(pictures, (1, 1, 1, 1), mode="replicate"), kernel, groups=channels)


def _encoder(config: PyramidConfig) -> nn.Sequential:
    widths = config.encoder_widths
    layers: OrderedDict[str, nn.Module] = OrderedDict(unshuffle=nn.PixelUnshuffle(ENCODER_PATCH))
    layers["stem"] = nn.Conv2d(3 * ENCODER_PATCH**2, widths[0], 3, padding=1)
    for scale, (width, blocks) in enumerate(zip(widths, config.encoder_blocks, strict=True)):
        if scale:
            layers[f"down{scale}"] = nn.Conv2d(widths[scale - 1], width, 2, stride=2)
        layers[f"blocks{scale}"] = nn.Sequential(*(NormalizedBlock(width) for _ in range(blocks)))
    layers["activation"] = nn.GELU()
    layers["head"] = nn.Conv2d(widths[-1], config.code_dim, 1)
    return nn.Sequential(layers)


def _decoder(config: PyramidConfig) -> nn.Sequential:
    widths = config.decoder_widths
    layers: OrderedDict[str, nn.Module] = OrderedDict(stem=nn.Conv2d(config.code_dim, widths[0], 3, padding=1))
    for scale, (width, blocks) in enumerate(zip(widths, config.decoder_blocks, strict=True)):
        if scale:
            layers[f"widen{scale}"] = nn.Conv2d(widths[scale - 1], width * 2**2, 1)
            layers[f"up{scale}"] = nn.PixelShuffle(2)
        layers[f"blocks{scale}"] = nn.Sequential(*(NormalizedBlock(width) for _ in range(blocks)))
    layers["activation"] = nn.GELU()
    layers["head"] = nn.Conv2d(widths[-1], 3 * 2**2, 3, padding=1)
    layers["pixels"] = nn.PixelShuffle(2)
    return nn.Sequential(layers)
