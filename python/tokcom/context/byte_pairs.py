"""Vocabularies of public encoders of sentences, kept with the weights: words by byte-pair encoding."""

import json
import os
from collections.abc import Callable

import torch
from torch import nn

from tokcom.errors import ModelError

os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")


class BytePairNetwork(nn.Module):
    """Network that holds the files of its vocabulary beside its weights.

    Args:
        vocabulary_bytes, merges_bytes: sizes of the files.
    """

    def __init__(self, vocabulary_bytes: int, merges_bytes: int):
        super().__init__()
        self.register_buffer("vocabulary", torch.zeros(vocabulary_bytes, dtype=torch.uint8))
        self.register_buffer("merges", torch.zeros(merges_bytes, dtype=torch.uint8))

    def words(self, kind: Callable, name: str, **settings: object) -> Callable:
        """Make the tokenizer of its vocabulary.

        Args:
            kind: class of transformers' tokenizer.
            name: name of the model, for messages.
            settings: further arguments of the class.

        Raises:
            ModelError: the files are broken.
        """
        try:
            vocabulary = json.loads(bytes(self.vocabulary.cpu().numpy()).decode())
            lines = bytes(self.merges.cpu().numpy()).decode().splitlines()
            # The first line is a comment, the last ones of some files are empty.
            pairs = [tuple(line.split()) for line in lines if line and not line.startswith("#version")]
            return kind(vocab=vocabulary, merges=pairs, **settings)
        except Exception as error:  # of the packages that read them
            raise ModelError(f"{name}: its vocabulary cannot be read: {error}") from None
