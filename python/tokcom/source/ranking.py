"""Order in which tokens are worth sending: what the receiver's model cannot guess well from the tokens before."""

from collections.abc import Callable

import numpy as np

from tokcom.context.prior import Prior
from tokcom.frame import LOST, TokenFrame
from tokcom.packets.halton import halton_order

STEPS = 16
"""A sixteenth of the tokens is ranked at a time; more steps, each of which evaluates the model, hardly rank better."""

Cost = Callable[[np.ndarray, np.ndarray], np.ndarray]
"""Cost of guessing tokens: takes int64 (n,) places and float32 (n, codebook_size) probabilities of the tokens there,
returns float (n,)."""


def ranked_places(frame: TokenFrame, prior: Prior, cost: Cost, count: int | None = None) -> np.ndarray:
    """Rank the places of a frame such that any first ones are worth sending if no more can be sent.

    The first sixteenth is spread evenly. Then follow, a sixteenth at a time, those that cost most to guess from all
    tokens before them.

    Args:
        frame: a whole frame.
        prior: the receiver's model.
        cost: what a guess costs.
        count: number of places to rank; None for all.

    Returns:
        int64 (count,).

    Raises:
        ModelError: the frame does not have the prior's codebook and grid.
    """
    size = len(frame.tokens)
    count = size if count is None else min(count, size)
    step = -(-size // STEPS)
    prior.require_fit(frame, prior.told_with(frame))
    ranked = halton_order(frame.grid)[: min(step, count)]
    while len(ranked) < count:
        places, probabilities = guesses_from(frame, prior, ranked)
        found = cost(places, probabilities)
        dearest = np.argsort(-found, kind="stable")[: min(step, count - len(ranked))]
        ranked = np.concatenate((ranked, places[dearest]))
    return ranked


def guesses_from(frame: TokenFrame, prior: Prior, sent: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Predict the tokens that are not sent from those that are.

    Args:
        frame: a whole frame.
        prior: the receiver's model.
        sent: int (n,), places of the tokens sent, not all.

    Returns:
        int64 (m,), the other places, increasing, and float32 (m, codebook_size), probabilities of the tokens there.
    """
    open_ = np.ones(len(frame.tokens), bool)
    open_[sent] = False
    seen = np.where(open_, LOST, frame.tokens).astype(np.int32)
    logs = prior.log_probabilities(seen[None], open_[None], [prior.told_with(frame)])
    return np.flatnonzero(open_), np.exp(logs)
