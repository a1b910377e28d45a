"""Public convolutional VQ tokenizers as diffusers' VQModel: VQGAN, MaskGIT's VQGAN, aMUSEd's VQ.

Esser et al., "Taming transformers for high-resolution image synthesis", CVPR 2021; Chang et al., "MaskGIT", CVPR 2022.
"""

from dataclasses import asdict, dataclass

import torch
from diffusers import VQModel
from torch import Tensor, nn
from torch.nn import functional


@dataclass(frozen=True)
class VQModelConfig:
    """Shape of a `VQModelNetwork`; it is stored in the model's card.

    Attributes:
        layers, decoder_layers: residual blocks per level of the encoder, and of the decoder.
        attention: whether the smallest level of encoder and decoder attends.
        middle_attention: whether their middle blocks attend.
        unit_vectors: whether words and latents are compared, and words decoded, as vectors of length 1.
        unit_range: whether the network's pictures are in [0, 1] rather than [-1, 1].
    """

    image_size: int = 256
    patch_size: int = 16
    codebook_size: int = 1024
    code_dim: int = 256
    latent_dim: int = 256
    widths: tuple[int, ...] = (128, 128, 256, 256, 512)
    layers: int = 2
    decoder_layers: int = 3
    attention: bool = True
    middle_attention: bool = True
    unit_vectors: bool = False
    unit_range: bool = False

    as_dict = asdict


class VQModelNetwork(nn.Module):
    """Pictures (batch, 3, size, size) in [-1, 1] ↔ token ids (batch, rows, columns)."""

    def __init__(self, config: VQModelConfig):
        super().__init__()
        self.config = config
        plain = len(config.widths) - 1
        down, up = ("AttnDownEncoderBlock2D", "AttnUpDecoderBlock2D") if config.attention else (_DOWN, _UP)
        self.model = VQModel(
            down_block_types=(_DOWN,) * plain + (down,),
            up_block_types=(up,) + (_UP,) * plain,
            block_out_channels=tuple(config.widths),
            layers_per_block=max(config.layers, config.decoder_layers - 1),
            latent_channels=config.latent_dim,
            sample_size=config.image_size,
            num_vq_embeddings=config.codebook_size,
            vq_embed_dim=config.code_dim,
            mid_block_add_attention=config.middle_attention,
        )

        # VQModel has one block per level more in its decoder than in its encoder.
        for side, layers in (
            (self.model.encoder.down_blocks, config.layers),
            (self.model.decoder.up_blocks, config.decoder_layers),
        ):
            for level in side:
                level.resnets = level.resnets[:layers]

    @property
    def codebook(self) -> Tensor:
        """Vectors of the words, (codebook_size, code_dim)."""
        return self._scaled(self.model.quantize.embedding.weight)

    def encode(self, pictures: Tensor) -> Tensor:
        """Encode pictures to token ids, int64 (batch, rows, columns)."""
        latents = self.model.encode((pictures + 1) / 2 if self.config.unit_range else pictures).latents
        distances = torch.cdist(self._scaled(latents.flatten(2).mT), self.codebook[None])
        return distances.argmin(-1).view(len(pictures), *latents.shape[2:])

    def decode(self, tokens: Tensor) -> Tensor:
        """Decode token ids (batch, rows, columns) to pictures (batch, 3, size, size)."""
        vectors = self.model.post_quant_conv(self.codebook[tokens].permute(0, 3, 1, 2))
        pictures = self.model.decoder(vectors)
        return pictures * 2 - 1 if self.config.unit_range else pictures

    def _scaled(self, vectors: Tensor) -> Tensor:
        return functional.normalize(vectors, dim=-1) if self.config.unit_vectors else vectors


_DOWN, _UP = "DownEncoderBlock2D", "UpDecoderBlock2D"
