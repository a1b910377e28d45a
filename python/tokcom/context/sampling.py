"""Words drawn from a causal prior, one after the other, so that the same seed always gives the same words."""

from dataclasses import dataclass

import numpy as np

from tokcom.context.causal import CausalPrior
from tokcom.context.condition import NOTHING, Condition
from tokcom.errors import ParameterError

MAX_TEMPERATURE = 10.0
MAX_SEED = (1 << 63) - 1


@dataclass(frozen=True)
class Sampling:
    """Rule by which words are drawn.

    The word at a place is the maximum of log-probabilities divided by the temperature plus Gumbel noise, which depends
    on seed and place alone: two priors that draw with the same noise often draw the same word.

    Args:
        temperature: 0 for the most likely word; 1 for the prior's probabilities; at most MAX_TEMPERATURE.
        seed: seed of the noise, 0 to MAX_SEED.

    Raises:
        ParameterError: a parameter is out of its range.
    """

    temperature: float = 0.0
    seed: int = 0

    def __post_init__(self) -> None:
        if not 0 <= self.temperature <= MAX_TEMPERATURE:
            raise ParameterError(f"temperature is {self.temperature}; it must be 0 to {MAX_TEMPERATURE:g}")
        if not 0 <= self.seed <= MAX_SEED:
            raise ParameterError(f"seed is {self.seed}; it must be 0 to {MAX_SEED}")

    def tempered(self, log_probabilities: np.ndarray) -> np.ndarray:
        """Divide log-probabilities (words,) by the temperature, above 0, and normalise; float64 (words,)."""
        scaled = log_probabilities.astype(np.float64) / self.temperature
        scaled -= scaled.max()
        return scaled - np.log(np.exp(scaled).sum())

    def draw(self, log_probabilities: np.ndarray, place: int) -> int:
        """Draw the word at a place.

        Args:
            log_probabilities: float (words,), natural logarithms.
            place: number of words before it.
        """
        if not self.temperature:
            return int(np.argmax(log_probabilities))
        noise = self.rng(place).gumbel(size=len(log_probabilities))
        return int(np.argmax(log_probabilities / self.temperature + noise))

    def rng(self, place: int, stream: int = 0) -> np.random.Generator:
        """Make the random generator of a place; streams are independent of each other."""
        return np.random.default_rng([self.seed, place, stream])


def continued(
    prior: CausalPrior, tokens: np.ndarray, count: int, sampling: Sampling, condition: Condition = NOTHING
) -> np.ndarray:  # fmt: skip
    """Continue tokens by a prior alone.

    Args:
        prior: the prior.
        tokens: int (n,), the tokens so far.
        count: number of tokens to draw.
        sampling: how they are drawn.
        condition: side information.

    Returns:
        int32 (count,), the tokens that follow.
    """
    paths, made = prior.paths(condition), []
    if len(tokens):
        paths.follow(np.asarray(tokens), weigh=False)
    for place in range(len(tokens), len(tokens) + count):
        made.append(sampling.draw(paths.log_probabilities[0], place))
        paths.follow(np.array(made[-1:]), weigh=False)
    return np.array(made, np.int32)
