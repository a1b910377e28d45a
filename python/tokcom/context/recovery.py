"""Iterative recovery of lost tokens (MaskGIT's parallel decoding; paper, section VI-B)."""

import math
from collections.abc import Callable, Generator
from dataclasses import dataclass

import numpy as np

from tokcom.context.condition import NOTHING, Condition
from tokcom.context.prediction import Prediction
from tokcom.context.prior import ANY, Prior
from tokcom.context.questions import Asking, Question, result_of
from tokcom.errors import ParameterError
from tokcom.frame import LOST, TokenFrame


@dataclass(frozen=True)
class RecoverySettings:
    """How lost tokens are filled in.

    Args:
        steps: passes of the model at most, at least 1.
        temperature: of the tokens drawn; 0 takes the likeliest.
        choice_temperature: of the Gumbel noise added to the confidences that decide which tokens are settled first; it
            falls linearly to 0 at the last step.
        guidance: weight w of classifier-free guidance, (1 + w) log p(token | CMI) - w log p(token); 0 for none.
        seed: seed of the draws; with the frame's id it decides them.

    Raises:
        ParameterError: a parameter is out of its range.
    """

    steps: int = 8
    temperature: float = 0.0
    choice_temperature: float = 0.0
    guidance: float = 0.0
    seed: int = 0

    def __post_init__(self) -> None:
        if self.steps < 1:
            raise ParameterError(f"steps is {self.steps}; it must be at least 1")
        if self.seed < 0:
            raise ParameterError(f"seed is {self.seed}; it must be at least 0")
        for name in ("temperature", "choice_temperature", "guidance"):
            value = getattr(self, name)
            if not (math.isfinite(value) and value >= 0):
                raise ParameterError(f"{name} is {value}; it must be a number not below 0")


def still_masked(n_lost: int, step: int, steps: int) -> int:
    """Tokens that stay masked after a step (1 to steps): the arccos schedule over the number lost.

    At least one token is settled at every step while there are any, and none is left after the last.
    """
    share = 2 / math.pi * math.acos(step / steps)
    return max(0, min(math.floor(n_lost * share), n_lost - step))


class Recovery:
    """Fills in the lost tokens of frames.

    Args:
        prior: the prior, of order ANY.
        settings: how.

    Raises:
        ParameterError: the prior takes tokens in one order alone.
    """

    def __init__(self, prior: Prior, settings: RecoverySettings | None = None):
        if prior.order != ANY:
            raise ParameterError(f"masked tokens need a prior of tokens in any order; this one's is {prior.order}")
        self.prior = prior
        self.settings = settings or RecoverySettings()

    def recover(
        self, frame: TokenFrame, cancelled: Callable[[], bool] = lambda: False, condition: Condition | None = None
    ) -> tuple[TokenFrame, np.ndarray]:
        """The frame without losses. Known tokens never change.

        Args:
            frame: a frame with LOST tokens; without any it is returned as it is.
            cancelled: asked before every pass of the prior; once true, the frame is returned as far as it has come.
            condition: what is known beside the tokens; None: what travelled with the frame.

        Returns:
            The frame, and for each of its tokens the prior's probability of it when it was settled: float32 (n,), 1 for
            tokens that were known, 0 for those still LOST.

        Raises:
            ModelError: the prior does not fit the frame.
        """
        return result_of(self.fill(frame, condition or Condition.of(frame), cancelled), lambda: self.prior)

    def fill(
        self, frame: TokenFrame, condition: Condition, cancelled: Callable[[], bool] = lambda: False
    ) -> Asking[tuple[TokenFrame, np.ndarray]]:
        """The same as work that asks questions."""
        self.prior.require_fit(frame, condition)
        settings = self.settings
        rng = np.random.default_rng([settings.seed, frame.frame_id])
        tokens, confidence = frame.tokens.copy(), np.where(frame.lost, 0, 1).astype(np.float32)
        n_lost = int(frame.lost.sum())
        steps = min(settings.steps, max(n_lost, 1))
        for step in range(1, steps + 1):
            open_places = np.flatnonzero(tokens == LOST)
            if not len(open_places) or cancelled():
                break
            logits = yield from self._predict(tokens, condition)
            drawn, probability = self._draw(logits, rng)
            noise = settings.choice_temperature * (1 - step / steps) * rng.gumbel(size=len(drawn))
            rank = np.argsort(-(np.log(probability) + noise), kind="stable")
            settled = rank[: len(open_places) - still_masked(n_lost, step, steps)]
            tokens[open_places[settled]] = drawn[settled]
            confidence[open_places[settled]] = probability[settled]
        return frame.with_tokens(tokens), confidence

    def _predict(self, tokens: np.ndarray, condition: Condition) -> Generator[Question, Prediction, np.ndarray]:
        told = yield Question(tokens.copy(), condition)
        weight = self.settings.guidance
        if weight == 0 or condition == NOTHING:
            return told.log_probability
        untold = yield Question(tokens.copy(), NOTHING)
        return (1 + weight) * told.log_probability - weight * untold.log_probability

    def _draw(self, logits: np.ndarray, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
        """Tokens (n,) drawn from logits (n, codebook_size), and their probabilities before tempering."""
        temperature = self.settings.temperature
        # The largest of logits / temperature + Gumbel noise is a draw from their softmax.
        noisy = logits + temperature * rng.gumbel(size=logits.shape) if temperature else logits
        drawn = noisy.argmax(axis=1)
        peak = logits.max(axis=1, keepdims=True)
        total = np.exp(logits - peak).sum(axis=1)
        chosen = logits[np.arange(len(drawn)), drawn]
        return drawn.astype(np.int32), np.exp(chosen - peak[:, 0]) / total
