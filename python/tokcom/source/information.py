"""Information of tokens that are coded in turns, by a prior that knows those of earlier turns."""

from collections.abc import Iterator, Sequence

import numpy as np

from tokcom.context.condition import NOTHING, Condition
from tokcom.context.prior import Prior
from tokcom.frame import LOST, TokenFrame
from tokcom.source.order import split_turns


def information(frames: Sequence[TokenFrame], places: np.ndarray, prior: Prior, turns: int) -> np.ndarray:
    """Compute the ideal code length of some positions of frames, in bits.

    Args:
        frames: at least one frame, of the prior's codebook and one grid.
        places: int (n,), positions in the order of coding; the prior sees no others.
        prior: what predicts tokens.
        turns: evaluations of the prior per frame, at least 1.

    Returns:
        float64 (frames, tokens), 0 at other positions.
    """
    tokens = np.stack([frame.tokens for frame in frames])
    conditions = list(map(stored_condition, frames))
    seen, nats = np.full_like(tokens, LOST), np.zeros(tokens.shape)
    for turn in split_turns(places, turns):
        for frame, logs in predicted(prior, seen, conditions, turn):
            nats[frame, turn] = -logs[np.arange(len(turn)), tokens[frame, turn]]
        seen[:, turn] = tokens[:, turn]
    return nats / np.log(2)


def predicted(
    prior: Prior, seen: np.ndarray, conditions: Sequence[Condition], turn: np.ndarray
) -> Iterator[tuple[int, np.ndarray]]:  # fmt: skip
    """Yield each frame's number and the log-probabilities (places, codebook_size) of its positions in a turn.

    Args:
        prior: what predicts tokens.
        seen: int (frames, tokens), LOST where not coded yet.
        conditions: one per frame.
        turn: int (places,), positions.
    """
    for start in range(0, len(seen), prior.at_once):
        part = slice(start, start + prior.at_once)
        wanted = np.zeros(seen[part].shape, bool)
        wanted[:, turn] = True
        found = prior.log_probabilities(seen[part], wanted, conditions[part])
        yield from enumerate(found.reshape(len(wanted), len(turn), -1), start)


def stored_condition(frame: TokenFrame) -> Condition:
    """Make the condition of a coded frame: its label, which is stored with it."""
    return NOTHING if frame.cmi is None else Condition(frame.cmi)
