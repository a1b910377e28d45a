"""Cost of guessing a token: its information, the squared error of the picture, or its relevance to a task.

The task is the class of the picture by a network that the transmitter has. To first order, replacing a token's code
vector e by that of word w changes the network's margin by its gradient times (w - e). The mean of its absolute value
over words, with the prior's probabilities, is the task's share in a token's relevance; the other is the error of the
picture, because what is recognised of a blurred picture is not what its gradient says.
"""

import numpy as np
import torch

from tokcom.context.classifier import Classifier
from tokcom.context.prior import Prior
from tokcom.frame import TokenFrame
from tokcom.packets.halton import halton_order
from tokcom.packets.thinning import DENSITIES, REGIONS_PER_SIDE, Thinning, region_of
from tokcom.source.ranking import Cost, guesses_from
from tokcom.tokenizers.vq import VQTokenizer

TASK = 0.3
"""Exponent of the task's share in relevance; that of the picture's error is 1 - TASK."""


def surprise(frame: TokenFrame) -> Cost:
    """Make the cost that is the information of a token, in nats."""

    def cost(places: np.ndarray, probabilities: np.ndarray) -> np.ndarray:
        return -np.log(probabilities[np.arange(len(places)), frame.tokens[places]] + 1e-30)

    return cost


def distortion(frame: TokenFrame, tokenizer: VQTokenizer) -> Cost:
    """Make the cost that is the squared error of a token's code vector if its expectation takes its place.

    Args:
        frame: a whole frame.
        tokenizer: its tokenizer, in PyTorch, on the CPU.
    """
    codes = tokenizer.network.codebook.float().numpy()

    def cost(places: np.ndarray, probabilities: np.ndarray) -> np.ndarray:
        return np.square(probabilities @ codes - codes[frame.tokens[places]]).sum(1)

    return cost


def relevance(frame: TokenFrame, tokenizer: VQTokenizer, classifier: Classifier) -> Cost:
    """Make the cost that joins the squared error of a token's code vector and the expected change of a task's margin.

    Args:
        frame: a whole frame.
        tokenizer: its tokenizer, in PyTorch, on the CPU.
        classifier: the task.
    """
    change, error = margin_change(frame, tokenizer, classifier), distortion(frame, tokenizer)

    def cost(places: np.ndarray, probabilities: np.ndarray) -> np.ndarray:
        expected = (probabilities * change[places]).sum(1)
        return error(places, probabilities) ** (1 - TASK) * expected**TASK

    return cost


def margin_change(frame: TokenFrame, tokenizer: VQTokenizer, classifier: Classifier) -> np.ndarray:
    """Compute how much the margin between the most likely class and the others changes if a word replaces a token.

    Args:
        frame: a whole frame.
        tokenizer: its tokenizer, in PyTorch, on the CPU.
        classifier: the task.

    Returns:
        float32 (n_tokens, codebook_size), the absolute change to first order.
    """
    network = tokenizer.network
    codes = network.codebook.float()
    tokens = torch.from_numpy(frame.tokens.astype(np.int64))
    vectors = codes[tokens].reshape(1, *frame.grid, -1).clone().requires_grad_(True)
    with torch.enable_grad():
        logits = classifier.network(network.decode_vectors(vectors).clamp(-1, 1))[0]
        likeliest = int(logits.argmax())
        others = torch.cat((logits[:likeliest], logits[likeliest + 1 :]))
        (gradient,) = torch.autograd.grad(logits[likeliest] - others.logsumexp(0), vectors)
    along = gradient.reshape(len(tokens), -1) @ codes.T
    return (along - along.gather(1, tokens[:, None])).abs().numpy()


def relevance_from_spread(
    frame: TokenFrame, prior: Prior, count: int, tokenizer: VQTokenizer, classifier: Classifier
) -> np.ndarray:  # fmt: skip
    """Compute the relevance of all tokens if the first `count` places of the Halton order are sent.

    Returns:
        float32 (n_tokens,); at the places sent, as if the guess were even.
    """
    probabilities = np.full((len(frame.tokens), frame.codebook_size), 1 / frame.codebook_size, np.float32)
    if count < len(probabilities):
        places, guesses = guesses_from(frame, prior, halton_order(frame.grid)[:count])
        probabilities[places] = guesses
    return relevance(frame, tokenizer, classifier)(np.arange(len(probabilities)), probabilities)


def sent_first(ranked: np.ndarray, count: int) -> Thinning:
    """Make the rule that sends the first `count` of ranked places, as a map."""
    return Thinning("places", count, places=tuple(np.sort(ranked[:count]).tolist()))


def relevant_regions(values: np.ndarray, grid: tuple[int, ...], count: int) -> Thinning:
    """Make the rule that sends more tokens of relevant regions, a quarter of the regions for each level."""
    mean = np.bincount(region_of(grid), values) / np.bincount(region_of(grid))
    levels = np.empty(len(mean), int)
    levels[np.argsort(-mean, kind="stable")] = np.arange(len(mean)) * len(DENSITIES) // REGIONS_PER_SIDE**2
    return Thinning("regions", count, levels=tuple(levels.tolist()))
