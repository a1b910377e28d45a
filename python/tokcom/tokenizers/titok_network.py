"""TiTok: pictures as a short sequence of tokens, by transformers over patches and latent tokens.

Yu et al., "An image is worth 32 tokens for reconstruction and generation", NeurIPS 2024; whose decoder is told a
sentence: Kim et al., "Democratizing text-to-image masked generative models with compact text-aware one-dimensional
tokens" (TA-TiTok), 2025.
"""

from dataclasses import asdict, dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional

PROXY_WORDS, PROXY_DIM = 1024, 256


@dataclass(frozen=True)
class TiTokConfig:
    """Shape of a `TiTokNetwork`; it is stored in the model's card.

    Attributes:
        n_tokens: tokens of a picture.
        encoder, decoder: width, depth and heads of each transformer.
        unit_vectors: whether words and latents are compared, and words decoded, as vectors of length 1.
        by_proxy: whether the decoder finds words of MaskGIT's VQGAN, which a convolutional decoder turns to pixels (the
            published models of two stages), rather than pixels.
        pixel_widths: of that decoder, from the largest level.
        pixel_layers: blocks per level of it.
        text_width: width of the features of a sentence's words that the decoder is told; 0 if it is told none.
        text_places: number of these words.
    """

    image_size: int = 256
    patch: int = 16
    n_tokens: int = 32
    codebook_size: int = 4096
    code_dim: int = 12
    encoder: tuple[int, ...] = (1024, 24, 16)
    decoder: tuple[int, ...] = (1024, 24, 16)
    unit_vectors: bool = True
    by_proxy: bool = True
    pixel_widths: tuple[int, ...] = (128, 128, 256, 256, 512)
    pixel_layers: int = 2
    text_width: int = 0
    text_places: int = 77

    as_dict = asdict

    @property
    def grid(self) -> tuple[int, ...]:
        """Shape of a frame: one row."""
        return (self.n_tokens,)


class TiTokNetwork(nn.Module):
    """Pictures (batch, 3, size, size) in [-1, 1] ↔ token ids (batch, n_tokens)."""

    def __init__(self, config: TiTokConfig):
        super().__init__()
        self.config = config
        self.words = nn.Embedding(config.codebook_size, config.code_dim)
        self.encoder = _Encoder(config)
        self.decoder = _Decoder(config)

    @property
    def codebook(self) -> Tensor:
        """Vectors of the words, (codebook_size, code_dim)."""
        return self._scaled(self.words.weight)

    def encode(self, pictures: Tensor) -> Tensor:
        """Encode pictures to token ids, int64 (batch, n_tokens)."""
        latents = self._scaled(self.encoder((pictures + 1) / 2))
        return torch.cdist(latents, self.codebook[None]).argmin(-1)

    def decode(self, tokens: Tensor, told: Tensor | None = None) -> Tensor:
        """Decode token ids (batch, n_tokens) to pictures (batch, 3, size, size).

        Args:
            tokens: the ids.
            told: features of a sentence's words, (1, text_places, text_width), if the decoder is told one.
        """
        return self.decoder(self.codebook[tokens], told) * 2 - 1

    def _scaled(self, vectors: Tensor) -> Tensor:
        return functional.normalize(vectors, dim=-1) if self.config.unit_vectors else vectors


class _Transformer(nn.Module):
    """Transformer over patches and latent tokens, with the norms before and after."""

    def __init__(self, width: int, depth: int, heads: int):
        super().__init__()
        self.before, self.after = nn.LayerNorm(width), nn.LayerNorm(width)
        layer = nn.TransformerEncoderLayer(
            width, heads, 4 * width, activation="gelu", batch_first=True, norm_first=True
        )
        self.layers = nn.TransformerEncoder(layer, depth, enable_nested_tensor=False)


class _Encoder(_Transformer):
    """Pictures in [0, 1] to latents (batch, n_tokens, code_dim)."""

    def __init__(self, config: TiTokConfig):
        super().__init__(*config.encoder)
        width, side = config.encoder[0], config.image_size // config.patch
        self.by_proxy, self.n_tokens = config.by_proxy, config.n_tokens
        self.patches = nn.Conv2d(3, width, config.patch, config.patch)
        self.first = nn.Parameter(torch.zeros(1, width))
        self.positions = nn.Parameter(torch.zeros(side**2 + 1, width))
        self.latents = nn.Parameter(torch.zeros(config.n_tokens, width))
        self.latent_positions = nn.Parameter(torch.zeros(config.n_tokens, width))
        self.out = nn.Linear(width, config.code_dim)

    def forward(self, pictures: Tensor) -> Tensor:
        patches = self.patches(pictures).flatten(2).mT
        first, latents = (
            each.expand(len(patches), -1, -1) for each in (self.first, self.latents + self.latent_positions)
        )
        x = torch.cat((torch.cat((first, patches), 1) + self.positions, latents), 1)
        x = self.after(self.layers(self.before(x))[:, -self.n_tokens :])
        if self.by_proxy:
            # The published networks of two stages read the rows of this array as its columns.
            x = x.reshape(len(x), x.shape[2], x.shape[1]).mT
        return self.out(x)


class _Decoder(_Transformer):
    """Words' vectors (batch, n_tokens, code_dim) to pictures in [0, 1]."""

    def __init__(self, config: TiTokConfig):
        super().__init__(*config.decoder)
        width, self.side = config.decoder[0], config.image_size // config.patch
        self.embed = nn.Linear(config.code_dim, width)
        self.first = nn.Parameter(torch.zeros(1, width))
        self.mask = nn.Parameter(torch.zeros(1, width))
        self.positions = nn.Parameter(torch.zeros(self.side**2 + 1, width))
        self.latent_positions = nn.Parameter(torch.zeros(config.n_tokens, width))
        if config.text_width:
            self.text = nn.Linear(config.text_width, width)
            self.text_positions = nn.Parameter(torch.zeros(config.text_places, width))
        self.head = _ProxyHead(config) if config.by_proxy else _PixelHead(config)

    def forward(self, vectors: Tensor, told: Tensor | None = None) -> Tensor:
        count, side = len(vectors), self.side
        masks = torch.cat((self.first, self.mask.expand(side**2, -1))) + self.positions
        x = torch.cat((masks.expand(count, -1, -1), self.embed(vectors) + self.latent_positions), 1)
        if told is not None:
            x = torch.cat((x, (self.text(told) + self.text_positions).expand(count, -1, -1)), 1)
        x = self.after(self.layers(self.before(x))[:, 1 : 1 + side**2])
        return self.head(x.mT.unflatten(2, (side, side)))


class _ProxyHead(nn.Module):
    """Probabilities of MaskGIT's words, the mean of their vectors, and MaskGIT's decoder."""

    def __init__(self, config: TiTokConfig):
        from diffusers.models.autoencoders.vae import Decoder

        super().__init__()
        width, levels = config.decoder[0], len(config.pixel_widths)
        self.words = nn.Sequential(nn.Conv2d(width, 2 * width, 1), nn.Tanh(), nn.Conv2d(2 * width, PROXY_WORDS, 1))
        self.vectors = nn.Embedding(PROXY_WORDS, PROXY_DIM)
        self.pixels = Decoder(
            in_channels=PROXY_DIM, out_channels=3, up_block_types=("UpDecoderBlock2D",) * levels,
            block_out_channels=tuple(config.pixel_widths), layers_per_block=config.pixel_layers,
            mid_block_add_attention=False,
        )  # fmt: skip
        for level in self.pixels.up_blocks:  # diffusers' decoder has one block more
            level.resnets = level.resnets[: config.pixel_layers]

    def forward(self, x: Tensor) -> Tensor:
        return self.pixels(torch.einsum("nchw,cd->ndhw", self.words(x).softmax(1), self.vectors.weight))


class _PixelHead(nn.Module):
    """Pixels of each patch, smoothed over their edges."""

    def __init__(self, config: TiTokConfig):
        super().__init__()
        self.patch = config.patch
        self.pixels = nn.Conv2d(config.decoder[0], 3 * config.patch**2, 1)
        self.smooth = nn.Conv2d(3, 3, 3, padding=1)

    def forward(self, x: Tensor) -> Tensor:
        # The network's order is rows, columns, colours; that of pixel_shuffle is colours first.
        values = self.pixels(x).unflatten(1, (-1, 3)).transpose(1, 2).flatten(1, 2)
        return self.smooth(functional.pixel_shuffle(values, self.patch))
