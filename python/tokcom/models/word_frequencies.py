"""Expected frequency of each word of a vocabulary, told by a language model itself."""

from collections.abc import Callable, Iterator

import numpy as np

from tokcom.context.causal import CausalPrior
from tokcom.context.condition import NOTHING
from tokcom.context.prior import Prior
from tokcom.frame import LOST

DRAWN, DRAWN_TOKENS, DRAWS = 24, 48, 2
"""Texts that are drawn side by side for the words' frequencies, their length, and how many times."""
RANK_SHARE, RANK_OFFSET = 0.2, 300
"""Share of the frequencies that follows the vocabulary's order alone: it was learnt from the most frequent pairs on, so
a word's frequency falls about as 1 / (rank + RANK_OFFSET)."""


def expected_frequencies(model: Prior, progress: Callable[[float], None] = lambda share: None) -> np.ndarray:
    """Expected frequency of each word: the mean of a language model's probabilities over texts of its own.

    Args:
        model: the model, causal or of any order.
        progress: called with the share that is done, 0 to 1.

    Returns:
        float32 (codebook_size,), none of them 0.
    """
    rng, total = np.random.default_rng(0), np.zeros(model.codebook_size)
    draw = _draw_in_order if isinstance(model, CausalPrior) else _draw_in_any_order
    for number in range(DRAWS):
        for done, share in enumerate(draw(model, rng), 1):
            total += share.sum(axis=0)
            progress((number * DRAWN_TOKENS + done) / (DRAWS * DRAWN_TOKENS))
    ranked = 1 / (np.arange(model.codebook_size) + RANK_OFFSET)
    mixed = (1 - RANK_SHARE) * total / total.sum() + RANK_SHARE * ranked / ranked.sum()
    return mixed.astype(np.float32)


def _draw_in_order(model: CausalPrior, rng: np.random.Generator) -> Iterator[np.ndarray]:
    """Draw DRAWN texts word by word; yield the probabilities of each place, float64 (DRAWN, codebook_size)."""
    paths, parents = model.paths(NOTHING), np.zeros(DRAWN, np.int64)
    for _ in range(DRAWN_TOKENS):
        share = np.exp(paths.log_probabilities[parents].astype(np.float64))
        yield share
        paths.branch(parents, _drawn(share, rng))
        parents = np.arange(DRAWN)


def _draw_in_any_order(model: Prior, rng: np.random.Generator) -> Iterator[np.ndarray]:
    """The same, the places of each text in an order of its own."""
    tokens = np.full((DRAWN, DRAWN_TOKENS), LOST, np.int32)
    orders, texts = rng.permuted(np.tile(np.arange(DRAWN_TOKENS), (DRAWN, 1)), axis=1), np.arange(DRAWN)
    for places in orders.T:
        wanted = np.zeros(tokens.shape, bool)
        wanted[texts, places] = True
        share = np.exp(model.log_probabilities(tokens, wanted, [NOTHING] * DRAWN).astype(np.float64))
        yield share
        tokens[texts, places] = _drawn(share, rng)


def _drawn(share: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """A word of each text by its probabilities, int64 (n,)."""
    reached = share.cumsum(axis=1) > rng.random((len(share), 1)) * share.sum(axis=1, keepdims=True)
    return reached.argmax(axis=1)
