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
    step, condition = -(-size // STEPS), prior.told_with(frame)
    prior.require_fit(frame, condition)
    ranked = halton_order(frame.grid)[: min(step, count)]
    while len(ranked) < count:
        open_ = np.ones(size, bool)
        open_[ranked] = False
        seen = np.where(open_, LOST, frame.tokens).astype(np.int32)
        places = np.flatnonzero(open_)
        found = cost(places, np.exp(prior.log_probabilities(seen[None], open_[None], [condition])))
        dearest = np.argsort(-found, kind="stable")[: min(step, count - len(ranked))]
        ranked = np.concatenate((ranked, places[dearest]))
    return ranked
