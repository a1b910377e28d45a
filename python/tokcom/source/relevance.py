"""Relevance of tokens to a task: how much its decision changes if the receiver's model guesses a token.

The task is the class of the picture by a network that the transmitter has. To first order, replacing a token's code
vector e by that of word w changes the network's margin by its gradient times (w - e). Its absolute value, averaged over
words with the prior's probabilities, joins both reasons to send a token: that the task needs it, and that the model
does not expect it.
"""

import numpy as np
import torch

from tokcom.context.classifier import Classifier
from tokcom.context.prior import Prior
from tokcom.frame import LOST, TokenFrame
from tokcom.source.order import halton_order
from tokcom.source.thinning import DENSITIES, REGIONS_PER_SIDE, Thinning, region_of
from tokcom.tokenizers.vq import VQTokenizer


def spread_first(frame: TokenFrame, prior: Prior, count: int) -> tuple[np.ndarray, np.ndarray]:
    """Predict tokens from the first places of the Halton order.

    Returns:
        int64 (count,), these places; and float32 (n_tokens, codebook_size), log-probabilities of all tokens, which are
        those of an even guess for the places themselves.
    """
    first = halton_order(frame.grid)[:count]
    wanted = np.ones(len(frame.tokens), bool)
    wanted[first] = False
    found = np.full((len(frame.tokens), frame.codebook_size), -np.log(frame.codebook_size), np.float32)
    if wanted.any():
        seen = np.where(wanted, LOST, frame.tokens).astype(np.int32)
        found[wanted] = prior.log_probabilities(seen[None], wanted[None], [prior.told_with(frame)])
    return first, found


def surprise(frame: TokenFrame, predictions: np.ndarray) -> np.ndarray:
    """Compute the information of each token in nats, float32 (n_tokens,)."""
    return -predictions[np.arange(len(frame.tokens)), frame.tokens]


def token_relevance(
    frame: TokenFrame, predictions: np.ndarray, tokenizer: VQTokenizer, classifier: Classifier
) -> np.ndarray:  # fmt: skip
    """Compute the relevance of each token to the class of the picture.

    Args:
        frame: a whole frame.
        predictions: from `spread_first`.
        tokenizer: the tokenizer, in PyTorch, on the CPU.
        classifier: the task.

    Returns:
        float32 (n_tokens,), expected absolute change of the margin between the most likely class and the others.
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
    change = (along - along.gather(1, tokens[:, None])).abs()
    return (torch.from_numpy(predictions).exp() * change).sum(1).numpy()


def most_relevant(values: np.ndarray, count: int, first: np.ndarray | None = None) -> Thinning:
    """Make the rule that sends the tokens of the largest values, as a map.

    Args:
        values: float (n_tokens,), relevance, or any other reason to send a token.
        count: number of tokens.
        first: places that are sent in any case, at most `count`.
    """
    ranked = np.array(values, float)
    if first is not None:
        ranked[first] = np.inf
    places = np.sort(np.argsort(-ranked, kind="stable")[:count])
    return Thinning("places", count, places=tuple(places.tolist()))


def relevant_regions(relevance: np.ndarray, grid: tuple[int, ...], count: int) -> Thinning:
    """Make the rule that sends more tokens of relevant regions, a quarter of the regions for each level."""
    mean = np.bincount(region_of(grid), relevance) / np.bincount(region_of(grid))
    levels = np.empty(len(mean), int)
    levels[np.argsort(-mean, kind="stable")] = np.arange(len(mean)) * len(DENSITIES) // REGIONS_PER_SIDE**2
    return Thinning("regions", count, levels=tuple(levels.tolist()))
