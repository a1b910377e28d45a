"""Searches for tokens that are better than the encoder's, by name in a model's card."""

from typing import Protocol

from torch import Tensor

from tokcom.tokenizers.entropy_constrained import EntropyConstrainedSearch
from tokcom.tokenizers.rate_distortion import RateDistortionSearch


class TokenSearch(Protocol):
    """Search that starts from given tokens; it is made of a tokenizer's network, a context model and a rate."""

    def improve(self, pictures: Tensor, tokens: Tensor, visits: int, first: int = 0) -> Tensor:
        """Improve tokens, int64 (batch, rows, columns), of pictures, float (batch, 3, size, size) in [-1, 1], in a
        number of passes, of which `first` were made before."""


SEARCHES = {"pictures": RateDistortionSearch, "latents": EntropyConstrainedSearch}
"""Searches by what the error is measured on."""
PICTURES = "pictures"
