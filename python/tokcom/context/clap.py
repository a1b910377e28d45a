"""CLAP: sounds and sentences as vectors of one space.

Wu et al., "Large-scale contrastive language-audio pretraining with feature fusion and keyword-to-caption augmentation",
ICASSP 2023.
"""

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass

import numpy as np
import torch
from torch import Tensor, nn
from transformers import ClapConfig, ClapFeatureExtractor, ClapModel, RobertaTokenizer

from tokcom.context.byte_pairs import BytePairNetwork
from tokcom.errors import ParameterError

RATE, SECONDS = 48_000, 10
"""Samples per second of sounds, and the seconds of them that the network hears: shorter sounds are repeated."""
LONGEST_TEXT = 77
"""Words of a sentence that count."""
KEPT = ("text_config", "audio_config", "projection_dim", "projection_hidden_act")
"""Entries of CLAP's configuration that concern its shape."""


@dataclass(frozen=True)
class ClapShape:
    """Shape of a `ClapNetwork`; it is stored in the model's card.

    Attributes:
        published: its configuration as its publisher wrote it, JSON; what does not concern the shape has no effect.
        vocabulary_bytes, merges_bytes: sizes of the vocabulary's files, which are kept with the weights.
    """

    published: str = "{}"
    vocabulary_bytes: int = 1
    merges_bytes: int = 1

    as_dict = asdict


class ClapNetwork(BytePairNetwork):
    """Spectrograms of sounds and words' ids of sentences to embeddings (batch, width)."""

    def __init__(self, config: ClapShape):
        super().__init__(config.vocabulary_bytes, config.merges_bytes)
        self.config = config
        try:
            shape = ClapConfig(**{name: each for name, each in json.loads(config.published).items() if name in KEPT})
        except Exception as error:  # of its checks
            raise ValueError(f"CLAP's configuration cannot be used: {error}") from None
        if shape.audio_config.enable_fusion:
            raise ValueError("this CLAP fuses parts of long sounds, which this network does not do")
        self.model = ClapModel(shape)

    def sounds(self, spectrograms: Tensor) -> Tensor:
        """Embed spectrograms (batch, 1, columns, bands)."""
        return self.model.get_audio_features(spectrograms).pooler_output

    def sentences(self, ids: Tensor) -> Tensor:
        """Embed words' ids (batch, words)."""
        return self.model.get_text_features(ids, attention_mask=torch.ones_like(ids)).pooler_output


class Clap:
    """Encoder of sounds and sentences to unit vectors of one space, whose scalar product tells how they agree.

    Args:
        network: the network, in evaluation mode; it runs on the device that holds it.
        name: name of its model, for messages.

    Raises:
        ModelError: its vocabulary is broken.
    """

    def __init__(self, network: ClapNetwork, name: str):
        self.network = network
        audio = network.model.config.audio_config
        self._listen = ClapFeatureExtractor(
            feature_size=audio.num_mel_bins, sampling_rate=RATE, max_length_s=SECONDS, truncation="rand_trunc",
            padding="repeatpad",
        )  # fmt: skip
        self._words = network.words(RobertaTokenizer, name)

    def embed(self, texts: Sequence[str]) -> Tensor:
        """Embed sentences as unit vectors, (sentences, width)."""
        found = []
        with torch.inference_mode():
            for text in texts:
                ids = self._words([text], truncation=True, max_length=LONGEST_TEXT)["input_ids"]
                found.append(self.network.sentences(torch.tensor(ids, device=self.network.merges.device)))
        return nn.functional.normalize(torch.cat(found), dim=-1)

    def embed_sounds(self, sounds: Sequence[np.ndarray]) -> Tensor:
        """Embed sounds as unit vectors, (sounds, width).

        Args:
            sounds: float (n,), at RATE samples per second; only the first SECONDS of each count.

        Raises:
            ParameterError: a sound is empty, or not a 1-D array of finite floats.
        """
        found = []
        with torch.inference_mode():
            for sound in sounds:
                if sound.ndim != 1 or not sound.size or not np.issubdtype(sound.dtype, np.floating):
                    raise ParameterError(
                        f"a sound must be a 1-D array of floats, not {sound.dtype} of shape {sound.shape}"
                    )
                if not np.isfinite(sound).all():
                    raise ParameterError("the sound holds values that are not finite")
                heard = self._listen(sound[: RATE * SECONDS], sampling_rate=RATE, return_tensors="pt")["input_features"]
                found.append(self.network.sounds(heard.to(next(self.network.parameters()))))
        return nn.functional.normalize(torch.cat(found), dim=-1)
