"""Tokenizers whose decoder is told a sentence through CLIP's text encoder."""

from copy import copy

import numpy as np
from torch import Tensor

from tokcom.context.clip_text import EMPTY, ClipText
from tokcom.context.description import sentence_of
from tokcom.frame import TokenFrame
from tokcom.tokenizers.sequence import SequenceTokenizer
from tokcom.tokenizers.titok_network import TiTokNetwork


class DescribedTokenizer(SequenceTokenizer):
    """Tokenizer whose decoder is told the sentence that came with a frame; else one that `described` names, or the
    empty one.

    Args:
        network: the network, in evaluation mode; it runs on the device that holds it.
        codebook: identity of its codebook.
        encoder: encoder of sentences, on the same device.
    """

    text = EMPTY

    def __init__(self, network: TiTokNetwork, codebook: str, encoder: ClipText):
        super().__init__(network, codebook)
        self._encoder = encoder

    def described(self, text: str) -> "DescribedTokenizer":
        """Make a tokenizer that decodes pictures of which a sentence is known."""
        other = copy(self)
        other.text = text
        return other

    def detokenize(self, frame: TokenFrame) -> np.ndarray:
        text = sentence_of(frame.description)
        told = self if text in (None, self.text) else self.described(text)
        return super(DescribedTokenizer, told).detokenize(frame)

    def _pictures(self, tokens: Tensor) -> Tensor:
        return self.network.decode(tokens, self._encoder.encode(self.text).last)
