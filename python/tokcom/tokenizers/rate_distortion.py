"""Rate-distortion optimised quantisation: tokens chosen by distortion and by their cost under a context model.

An encoder chooses each token independently. But the decoder renders a token together with its neighbours, and the
receiver predicts it from them: of the many tokenisations of a picture, some represent it better and some are easier to
receive. The search starts from the encoder's tokens and replaces single tokens where that lowers

    log(error of the picture) + rate · (mean bits per token),

the tokenizer's training loss with the context model's bits as the rate. It needs only the files of the model.
"""

import math
from typing import Protocol

import torch
from torch import Tensor

from tokcom.device import autocast
from tokcom.tokenizers.vq_network import VQAutoencoder

FLAT = 4e-4
"""Mean squared error, 40 dB below the peak, below which further quality does not count."""
SPACING = 4
"""Distance of tokens replaced together, such that each alone determines the pixels around it."""
PHASES = ((0, 0), (2, 2), (2, 0), (0, 2))
"""Lattices of one pass, as offsets: every second token in either direction."""
PARITIES = ((0, 0), (1, 1), (0, 1), (1, 0))
"""Offsets of successive passes; four passes reach every token."""
CAUTION = (4.0, 1.5, 3.0, 0.7)
"""Curvature assumed in successive passes: error added per half squared distance between two codes beyond the gradient's
prediction, relative to the mean length of the picture's gradients. A large value proposes nearby codes, a small one
distant codes; a trial decides in either case."""


class TokenLogits(Protocol):
    """Network that predicts masked tokens, as the receiver does."""

    def __call__(self, tokens: Tensor, masked: Tensor) -> Tensor:
        """Compute logits (n, codebook_size) of the n masked tokens, in row-major order, from the others.

        Args:
            tokens: int64 (batch, tokens); values at masked positions are ignored.
            masked: bool (batch, tokens).
        """


class RateDistortionSearch:
    """Search for better tokens of pictures.

    A pass (visit) computes the gradient of the error with respect to every code vector, and the context model's
    log-probabilities of a quarter of the tokens given the others. From these it proposes one code for each token of a
    lattice, decodes the picture with all proposals, and keeps those around which the error falls by more than they
    cost. It does so for four lattices.

    Args:
        network: the tokenizer's network.
        prior: the context model.
        rate: weight of one bit per token, in nepers of the picture's mean squared error.
    """

    def __init__(self, network: VQAutoencoder, prior: TokenLogits, rate: float):
        self.network, self.prior, self.rate = network, prior, rate

    def improve(
        self, pictures: Tensor, tokens: Tensor, visits: int, first: int = 0, weights: Tensor | float = 1.0
    ) -> Tensor:  # fmt: skip
        """Improve the tokens of pictures.

        Args:
            pictures: float (batch, 3, size, size) in [-1, 1].
            tokens: int64 (batch, rows, columns), the initial tokens.
            visits: number of passes; each decodes the pictures five times, among other things.
            first: number of passes that these pictures have had before.
            weights: weight of each pixel's squared error, (batch, 1, size, size).

        Returns:
            int64 (batch, rows, columns).
        """
        for number in range(first, first + visits):
            with torch.inference_mode(False), torch.enable_grad():
                vectors = self._codes[tokens.clone()].requires_grad_()
                with autocast(tokens.device):
                    decoded = self.network.decode_vectors(vectors).float()
                error = weights * (decoded - pictures).square()
                (gradient,) = torch.autograd.grad(error.sum(), vectors)
            tokens = self.visit(pictures, tokens, error.detach(), gradient, number, weights)
        return tokens

    @torch.no_grad()
    def visit(
        self, pictures: Tensor, tokens: Tensor, error: Tensor, gradient: Tensor, number: int,
        weights: Tensor | float = 1.0,
    ) -> Tensor:  # fmt: skip
        """Perform one pass.

        Args:
            pictures: (batch, 3, size, size).
            tokens: (batch, rows, columns).
            error: squared error of the decoded tokens with the weights, (batch, 3, size, size).
            gradient: gradient of the summed error with respect to the code vectors, (batch, rows, columns, code_dim).
            number: number of passes that these pictures have had before, for the offsets and the caution.
            weights: as in `improve`.
        """
        codes, patch = self._codes, self.network.config.patch_size
        rows, columns = tokens.shape[1:]
        row, column = PARITIES[number % 4]
        caution = CAUTION[(number + number // 4) % 4] * gradient.norm(dim=-1).mean((1, 2))[:, None, None, None]
        nats = self._nats(tokens, row, column)
        whole = error.sum((1, 2, 3)) + FLAT * error[0].numel()
        weight = self.rate / math.log(2) / (rows * columns)
        cells = _cells(error, patch // 2)
        for down, right in PHASES:
            here = (slice(None), slice((row + down) % SPACING, None, SPACING),
                    slice((column + right) % SPACING, None, SPACING))  # fmt: skip
            present = tokens[here]
            if not present.numel():
                continue
            cost = nats[here] * weight
            slope = gradient[here] @ codes.T + caution * (1 - codes[present] @ codes.T)
            expected = slope / whole[:, None, None, None] + cost
            expected.scatter_(3, present[..., None], torch.inf)
            proposed = expected.argmin(3)
            trial = tokens.clone()
            trial[here] = proposed
            with autocast(tokens.device):
                decoded = self.network.decode_vectors(codes[trial]).float()
            trial_cells = _cells(weights * (decoded - pictures).square(), patch // 2)
            above = _nearest(rows, here[1].start).to(cells)
            beside = _nearest(columns, here[2].start).to(cells)
            change = above @ (trial_cells - cells) @ beside.T / whole[:, None, None]
            dearer = (cost.gather(3, proposed[..., None]) - cost.gather(3, present[..., None]))[..., 0]
            better = change + dearer < 0
            tokens = tokens.clone()
            tokens[here] = torch.where(better, proposed, present)
            # Update the picture only around the tokens that were replaced.
            exchanged = above.T @ better.to(cells.dtype) @ beside > 0
            cells = torch.where(exchanged, trial_cells, cells)
        return tokens

    @property
    def _codes(self) -> Tensor:
        return self.network.codebook.detach().float()

    def _nats(self, tokens: Tensor, row: int, column: int) -> Tensor:
        """Compute each word's cost in nats at every second position, (batch, rows, columns, codebook_size); 0
        elsewhere."""
        masked = torch.zeros_like(tokens, dtype=torch.bool)
        masked[:, row::2, column::2] = True
        nats = torch.zeros(*tokens.shape, self.network.config.codebook_size, device=tokens.device)
        nats[masked] = nats_at(self.prior, tokens, masked)
        return nats


def nats_at(prior: TokenLogits, tokens: Tensor, masked: Tensor) -> Tensor:
    """Compute each word's cost in nats at the masked ones of tokens, (batch, rows, columns), given the others:
    float32 (masked tokens, codebook_size)."""
    with autocast(tokens.device):
        logits = prior(tokens.flatten(1), masked.flatten(1))
    return -logits.float().log_softmax(-1)


def _cells(error: Tensor, side: int) -> Tensor:
    """Sum errors (batch, channels, height, width) over channels and squares of `side` pixels."""
    return torch.nn.functional.avg_pool2d(error.sum(1), side) * side**2


def _nearest(tokens: int, first: int) -> Tensor:
    """Assign each half token of a row to the nearest token of its lattice: bool (lattice's tokens, 2 * tokens)."""
    count = len(range(first, tokens, SPACING))
    middle = SPACING - 1
    nearest = ((torch.arange(2 * tokens) - 2 * first + middle) // (2 * SPACING)).clamp(0, count - 1)
    return nearest == torch.arange(count)[:, None]
