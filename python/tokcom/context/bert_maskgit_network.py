"""Masked transformers of image tokens as transformers' BERT: Google's MaskGIT, and TiTok's generators.

Chang et al., "MaskGIT", CVPR 2022; Yu et al., "An image is worth 32 tokens", NeurIPS 2024.
"""

from dataclasses import asdict, dataclass

import torch
from torch import Tensor, nn
from transformers import BertConfig, BertModel
from transformers.activations import ACT2FN

EPS = 1e-12


@dataclass(frozen=True)
class BertMaskGitConfig:
    """Shape of a `BertMaskGitNetwork`; it is stored in the model's card.

    Attributes:
        mask: number of the mask in the network's vocabulary, in which the words come first.
        first_class: number of class 0 in it; the others follow, then the null class if there is one.
        activation: name of the activation function: gelu_new is that of Flax.
        tied: whether the last layer is MaskGIT's, transformed and tied to the embedding, or a linear one.
    """

    codebook_size: int = 1024
    grid: tuple[int, ...] = (16, 16)
    num_classes: int = 1000
    width: int = 768
    depth: int = 24
    heads: int = 16
    mlp_width: int = 3072
    vocabulary: int = 2025
    mask: int = 2024
    first_class: int = 1024
    activation: str = "gelu_new"
    tied: bool = True
    null_class: bool = False

    as_dict = asdict


class BertMaskGitNetwork(nn.Module):
    """Logits of words from known tokens and a class, which comes before them as one more token."""

    def __init__(self, config: BertMaskGitConfig):
        super().__init__()
        self.config = config
        n_tokens = torch.Size(config.grid).numel()
        shape = BertConfig(
            vocab_size=config.vocabulary, hidden_size=config.width, num_hidden_layers=config.depth,
            num_attention_heads=config.heads, intermediate_size=config.mlp_width, hidden_act=config.activation,
            max_position_embeddings=n_tokens + 1, type_vocab_size=1, layer_norm_eps=EPS, pad_token_id=None,
        )  # fmt: skip
        self.bert = BertModel(shape, add_pooling_layer=False)
        if config.tied:
            self.transform = nn.Sequential(
                nn.Linear(config.width, config.width), ACT2FN[config.activation], nn.LayerNorm(config.width, eps=EPS)
            )
            self.bias = nn.Parameter(torch.zeros(config.codebook_size))
        else:
            self.head = nn.Linear(config.width, config.codebook_size)

    def forward(self, tokens: Tensor, labels: Tensor, places: Tensor) -> Tensor:
        """Compute logits (n, codebook_size) at the true entries of `places`, in row-major order.

        Args:
            tokens: int64 (batch, tokens), `codebook_size` where masked.
            labels: int64 (batch,), `num_classes` for none.
            places: bool (batch, tokens).
        """
        words = self.config.codebook_size
        ids = torch.cat(
            (self.config.first_class + labels[:, None], tokens.masked_fill(tokens == words, self.config.mask)), 1
        )
        # Given rather than left to buffers, which are not part of the weights.
        order = torch.arange(ids.shape[1], device=ids.device)[None]
        found = self.bert(ids, position_ids=order, token_type_ids=torch.zeros_like(ids)).last_hidden_state
        chosen = found[:, 1:][places]
        if not self.config.tied:
            return self.head(chosen)
        return self.transform(chosen) @ self.bert.embeddings.word_embeddings.weight[:words].T + self.bias
