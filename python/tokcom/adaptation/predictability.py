"""Predictability of each token of a frame to the receiver, as the transmitter can compute it (paper, section V-B)."""

import numpy as np

from tokcom.context.causal import CausalPrior
from tokcom.context.condition import Condition
from tokcom.context.prior import Prior
from tokcom.errors import FrameError, ParameterError
from tokcom.frame import LOST, TokenFrame

PASSES = 8


def token_bits(
    prior: Prior, frame: TokenFrame, passes: int = PASSES, seed: int = 0, condition: Condition | None = None
) -> np.ndarray:
    """Compute the bits of `predictability` alone, float32 (n_tokens,)."""
    return predictability(prior, frame, passes, seed, condition)[0]


def predictability(
    prior: Prior, frame: TokenFrame, passes: int = PASSES, seed: int = 0, condition: Condition | None = None
) -> tuple[np.ndarray, np.ndarray]:
    """Compute each token's surprise in bits, given most of the others and the condition, and whether the prior would
    guess it.

    The tokens are divided at random into one group per pass; each group is masked once and predicted from all others.
    A causal prior predicts each from those before it, in one pass.

    Args:
        prior: the receiver's prior.
        frame: a frame without lost tokens.
        passes: evaluations of a prior of any order, at least 1; with 1 every token is predicted from the condition
            alone.
        seed: seed of the groups, together with the frame's number.
        condition: the receiver's side information; None for what is sent with the frame.

    Returns:
        float32 (n_tokens,): -log2 of the prior's probability of each token; bool (n_tokens,), whether it is the most
        likely.

    Raises:
        FrameError: the frame has lost tokens.
        ModelError: the prior does not fit the frame.
        ParameterError: passes is below 1.
    """
    if passes < 1:
        raise ParameterError(f"passes is {passes}; it must be at least 1")
    if frame.lost.any():
        raise FrameError(f"{int(frame.lost.sum())} tokens of frame {frame.frame_id} are lost; a whole frame is needed")
    condition = prior.usable(condition or Condition.of(frame))
    prior.require_fit(frame, condition)
    if isinstance(prior, CausalPrior):
        return _in_order(prior, frame, condition)
    n_tokens = len(frame.tokens)
    group = np.random.default_rng([seed, frame.frame_id]).permutation(n_tokens) % passes
    bits, guessed = np.empty(n_tokens, np.float32), np.empty(n_tokens, bool)
    groups = range(min(passes, n_tokens))
    for start in range(0, len(groups), prior.at_once):
        hidden = np.stack([group == number for number in groups[start : start + prior.at_once]])
        shown = np.where(hidden, LOST, frame.tokens).astype(np.int32)
        logs = prior.log_probabilities(shown, hidden, [condition] * len(hidden))
        places = np.nonzero(hidden)[1]
        bits[places] = -logs[np.arange(len(logs)), frame.tokens[places]] / np.log(2)
        guessed[places] = logs.argmax(axis=1) == frame.tokens[places]
    return bits, guessed


def _in_order(prior: CausalPrior, frame: TokenFrame, condition: Condition) -> tuple[np.ndarray, np.ndarray]:
    """The same by a causal prior, given all tokens before each."""
    bits, guessed, place = np.empty(len(frame.tokens), np.float32), np.empty(len(frame.tokens), bool), 0
    for logs in prior.paths(condition).along(frame.tokens):
        here = slice(place, place + len(logs))
        bits[here] = -logs[np.arange(len(logs)), frame.tokens[here]] / np.log(2)
        guessed[here] = logs.argmax(axis=1) == frame.tokens[here]
        place = here.stop
    return bits, guessed
