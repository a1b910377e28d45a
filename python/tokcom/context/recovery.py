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
    """Settings of the recovery of lost tokens.

    Args:
        steps: largest number of passes of the model, at least 1.
        temperature: temperature of the draws; 0 takes the most likely token.
        choice_temperature: temperature of the Gumbel noise added to the confidences that decide which tokens are
            settled first; it falls linearly to 0 at the last step.
        guidance: weight w of classifier-free guidance, (1 + w) log p(token | CMI) - w log p(token); 0 for none.
        seed: seed of the draws, together with the frame's number.

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
    """Compute the number of tokens that stay masked after a step (1 to steps): the arccos schedule over the number
    lost.

    At least one token is settled per step while any remain, and none remains after the last.
    """
    share = 2 / math.pi * math.acos(step / steps)
    return max(0, min(math.floor(n_lost * share), n_lost - step))


class Recovery:
    """Recovery of the lost tokens of frames by iterative prediction.

    Args:
        prior: the prior, of order ANY.
        settings: settings.

    Raises:
        ParameterError: the prior is not of order ANY.
    """

    def __init__(self, prior: Prior, settings: RecoverySettings | None = None):
        if prior.order != ANY:
            raise ParameterError(f"masked tokens need a prior of order {ANY!r}; this one's order is {prior.order!r}")
        self.prior = prior
        self.settings = settings or RecoverySettings()

    def recover(
        self, frame: TokenFrame, cancelled: Callable[[], bool] = lambda: False, condition: Condition | None = None
    ) -> tuple[TokenFrame, np.ndarray]:
        """Fill in the lost tokens of a frame; known tokens never change.

        Args:
            frame: a frame with LOST tokens; without any it is returned as it is.
            cancelled: called before every pass of the prior; once it returns true, the frame is returned as it is by
                then.
            condition: side information; None for what was sent with the frame.

        Returns:
            The frame, and the prior's probability of each token when it was settled, float32 (n,): 1 for known tokens,
            0 for those still LOST.

        Raises:
            ModelError: the prior does not fit the frame.
        """
        return result_of(self.fill(frame, condition or self.prior.told_with(frame), cancelled), lambda: self.prior)

    def fill(
        self, frame: TokenFrame, condition: Condition, cancelled: Callable[[], bool] = lambda: False
    ) -> Asking[tuple[TokenFrame, np.ndarray]]:
        """Do the same as a generator of questions."""
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
        """Draw tokens (n,) from logits (n, codebook_size); return them and their probabilities at temperature 1."""
        temperature = self.settings.temperature
        # The largest of logits / temperature + Gumbel noise is a draw from their softmax.
        noisy = logits + temperature * rng.gumbel(size=logits.shape) if temperature else logits
        drawn = noisy.argmax(axis=1)
        peak = logits.max(axis=1, keepdims=True)
        total = np.exp(logits - peak).sum(axis=1)
        chosen = logits[np.arange(len(drawn)), drawn]
        return drawn.astype(np.int32), np.exp(chosen - peak[:, 0]) / total
