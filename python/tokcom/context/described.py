"""Tokenizers whose decoder is told a sentence through CLIP's text encoder."""

from tokcom.context.clip_text import ClipText
from tokcom.tokenizers.sequence import DescribedTokenizer
from tokcom.tokenizers.titok_network import TiTokNetwork


def described_tokenizer(network: TiTokNetwork, codebook: str, encoder: ClipText) -> DescribedTokenizer:
    """Make a tokenizer of a network and of an encoder of sentences on the same device."""
    return DescribedTokenizer(network, codebook, lambda text: encoder.encode(text).last)
