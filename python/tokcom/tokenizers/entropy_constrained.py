"""Entropy-constrained quantisation: tokens chosen by the distance of their codes from what the encoder found, and by
their cost under a context model.

An encoder takes the nearest code, however unlikely it is beside its neighbours. Among codes that are nearly as close
there is often one that a receiver expects (Chou, Lookabaugh and Gray, "Entropy-constrained vector quantization", IEEE
Transactions on Acoustics, Speech and Signal Processing, 1989, here with a conditional entropy). The search takes for
each token the code that maximises

    cosine of latent and code + rate · log2(probability of the code given the other tokens).

For unit vectors, 1 minus the cosine is half the squared distance. Nothing is decoded, so the search takes a few passes
of the context model and is for transmitters in a hurry, or with large decoders. `RateDistortionSearch` judges by the
picture instead.
"""

import math

import torch
from torch import Tensor

from tokcom.tokenizers.rate_distortion import PARITIES, TokenLogits, nats_at
from tokcom.tokenizers.vq_network import VQAutoencoder


class EntropyConstrainedSearch:
    """Search for tokens that are close to the latents of pictures and expected by a receiver.

    Args:
        network: the tokenizer's network.
        prior: the context model.
        rate: weight of one bit, beside the cosine of latent and code.
    """

    def __init__(self, network: VQAutoencoder, prior: TokenLogits, rate: float):
        self.network, self.prior, self.rate = network, prior, rate

    @torch.no_grad()
    def improve(self, pictures: Tensor, tokens: Tensor, visits: int, first: int = 0) -> Tensor:
        """Improve the tokens of pictures.

        Args:
            pictures: float (batch, 3, size, size) in [-1, 1].
            tokens: int64 (batch, rows, columns), the initial tokens.
            visits: number of times that every token is chosen again, a quarter of them at a time, for which the context
                model is asked about that quarter given the others.
            first: number of earlier visits, which makes no difference here.

        Returns:
            int64 (batch, rows, columns).
        """
        if not visits:
            return tokens
        codes, found = self.network.codebook, tokens.clone()
        likeness = self.network.latents(pictures.to(codes.dtype)) @ codes.float().T
        for row, column in PARITIES * visits:
            masked = torch.zeros_like(found, dtype=torch.bool)
            masked[:, row::2, column::2] = True
            bits = nats_at(self.prior, found, masked) / math.log(2)
            found[masked] = (likeness[masked] - self.rate * bits).argmax(-1)
        return found
