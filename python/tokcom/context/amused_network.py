"""aMUSEd's masked transformer: pictures' tokens in any order, told by a sentence.

Patil et al., "aMUSEd: an open MUSE reproduction" (2024), by diffusers' UVit2DModel.
"""

from dataclasses import asdict, dataclass

import torch
from diffusers import UVit2DModel
from torch import Tensor, nn

AESTHETIC_SCORE = 6
"""Score of pictures that the network is told to expect, as its authors do."""


@dataclass(frozen=True)
class AmusedConfig:
    """Shape of an `AmusedNetwork`; it is stored in the model's card.

    Attributes:
        mask: number of the mask in the network's vocabulary, in which the words come first.
        image_size: side of the pictures in pixels, which the network is told.
    """

    codebook_size: int = 8192
    grid: tuple[int, ...] = (16, 16)
    image_size: int = 256
    vocabulary: int = 8256
    mask: int = 8255
    width: int = 1024
    depth: int = 22
    heads: int = 16
    mlp_width: int = 2816
    block_width: int = 768
    block_heads: int = 12
    res_blocks: int = 3
    text_width: int = 768
    embedding: int = 768

    as_dict = asdict


class AmusedNetwork(nn.Module):
    """Logits of words from known tokens, features of a sentence's words, and its embedding."""

    def __init__(self, config: AmusedConfig):
        super().__init__()
        self.config = config
        self.model = UVit2DModel(
            hidden_size=config.width, cond_embed_dim=config.embedding, encoder_hidden_size=config.text_width,
            vocab_size=config.vocabulary, codebook_size=config.codebook_size, in_channels=config.block_width,
            block_out_channels=config.block_width, num_res_blocks=config.res_blocks,
            block_num_heads=config.block_heads, num_hidden_layers=config.depth, num_attention_heads=config.heads,
            intermediate_size=config.mlp_width, sample_size=config.grid[0],
        )  # fmt: skip

    def forward(self, tokens: Tensor, features: Tensor, embeddings: Tensor, places: Tensor) -> Tensor:
        """Compute logits (n, codebook_size) at the true entries of `places`, in row-major order.

        Args:
            tokens: int64 (batch, tokens), `codebook_size` where masked.
            features: of the sentences' words, (batch, words, text_width).
            embeddings: of the sentences, (batch, embedding).
            places: bool (batch, tokens).
        """
        config = self.config
        ids = tokens.masked_fill(tokens == config.codebook_size, config.mask).view(-1, *config.grid)
        about = torch.tensor([config.image_size, config.image_size, 0, 0, AESTHETIC_SCORE]).to(embeddings)
        logits = self.model(ids, features, embeddings, about.expand(len(tokens), -1))
        return logits.flatten(2).mT[places]
