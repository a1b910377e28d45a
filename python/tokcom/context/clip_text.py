"""CLIP's text encoder: sentences as vectors, which public models of pictures and sounds are told.

Radford et al., "Learning transferable visual models from natural language supervision", ICML 2021.
"""

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from functools import lru_cache
from typing import NamedTuple

import torch
from torch import Tensor, nn
from transformers import CLIPTextConfig, CLIPTextModelWithProjection, CLIPTokenizer

from tokcom.context.byte_pairs import BytePairNetwork

EMPTY = ""
"""The sentence that stands for none."""


@dataclass(frozen=True)
class ClipTextShape:
    """Shape of a `ClipTextNetwork`; it is stored in the model's card.

    Attributes:
        pad: number of the word behind a sentence's end: that of the end in OpenAI's files, 0 in open_clip.
        vocabulary_bytes, merges_bytes: sizes of the vocabulary's files, which are kept with the weights.
    """

    vocabulary: int = 49408
    width: int = 768
    depth: int = 12
    heads: int = 12
    mlp_width: int = 3072
    embedding: int = 768
    longest: int = 77
    activation: str = "quick_gelu"
    pad: int = 49407
    vocabulary_bytes: int = 1
    merges_bytes: int = 1

    as_dict = asdict


class ClipTextNetwork(BytePairNetwork):
    """Words' ids (batch, longest) to features of each place and to embeddings of the sentences."""

    def __init__(self, config: ClipTextShape):
        super().__init__(config.vocabulary_bytes, config.merges_bytes)
        self.config = config
        shape = CLIPTextConfig(
            vocab_size=config.vocabulary, hidden_size=config.width, num_hidden_layers=config.depth,
            num_attention_heads=config.heads, intermediate_size=config.mlp_width, projection_dim=config.embedding,
            max_position_embeddings=config.longest, hidden_act=config.activation, eos_token_id=2,
        )  # fmt: skip
        self.model = CLIPTextModelWithProjection(shape)

    def forward(self, ids: Tensor) -> "Encoded":
        """Encode sentences."""
        places = torch.arange(ids.shape[1], device=ids.device)[None]
        found = self.model(ids, position_ids=places, output_hidden_states=True)
        return Encoded(found.hidden_states[-2], found.last_hidden_state, found.text_embeds)


class Encoded(NamedTuple):
    """Encoded sentences.

    Attributes:
        before_last: features of the words before the last block, (batch, longest, width).
        last: those behind it and its norm.
        embedding: of the sentences, (batch, embedding).
    """

    before_last: Tensor
    last: Tensor
    embedding: Tensor


class ClipText:
    """Encoder of sentences.

    Args:
        network: the network, in evaluation mode; it runs on the device that holds it.
        name: name of its model, for messages.

    Raises:
        ModelError: its vocabulary is broken.
    """

    def __init__(self, network: ClipTextNetwork, name: str):
        self.network = network
        self._words = network.words(CLIPTokenizer, name, model_max_length=network.config.longest)
        self.encode = lru_cache(maxsize=64)(self._encode)

    def embed(self, texts: Sequence[str]) -> Tensor:
        """Embed sentences as unit vectors, (sentences, embedding)."""
        found = torch.cat([self.encode(text).embedding for text in texts])
        return nn.functional.normalize(found, dim=-1)

    def ids(self, text: str) -> Tensor:
        """Words' ids of a sentence, int64 (1, longest); what is too long is cut."""
        shape = self.network.config
        words = self._words([text], truncation=True, max_length=shape.longest)["input_ids"][0]
        padded = [*words, *[shape.pad] * (shape.longest - len(words))]
        return torch.tensor([padded], device=self.network.merges.device)

    def _encode(self, text: str) -> Encoded:
        """Encode a sentence, as a batch of one."""
        with torch.inference_mode():
            return self.network(self.ids(text))
