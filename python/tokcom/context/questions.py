"""What is asked of a prior on the way to a frame, and how several frames ask together.

Whatever works on a frame with a prior is a generator: it yields a `Question`, is sent the `Prediction` of the tokens
that are LOST in it, and returns its result in the end. So it need not know what else is worked on, and the questions of
all frames that wait go to the prior as one batch.
"""

from collections.abc import Callable, Generator, Sequence
from dataclasses import dataclass
from typing import TypeVar

import numpy as np

from tokcom.context.condition import Condition
from tokcom.context.prediction import Prediction
from tokcom.context.prior import Prior
from tokcom.errors import TokcomError
from tokcom.frame import LOST

Result = TypeVar("Result")


@dataclass(frozen=True)
class Question:
    """Which words can the LOST tokens of a frame be?

    Attributes:
        tokens: int32 (n,), LOST where unknown; at least one is.
        condition: what is known beside them.
        top: likeliest words that are named at most; None: all.
    """

    tokens: np.ndarray
    condition: Condition
    top: int | None = None


Asking = Generator[Question, Prediction, Result]
"""Work on one frame that asks questions of a prior."""


def answered(works: Sequence[Asking[Result]], prior: Callable[[], Prior]) -> list[Result | TokcomError]:
    """Let work on several frames of one shape go on side by side until all of it is done.

    Args:
        works: what asks.
        prior: gives what answers; it is called with the first question.

    Returns:
        The result of each work, or what it raised: a frame that cannot be worked on leaves the others alone.
    """
    results: list[Result | TokcomError] = [TokcomError("not begun")] * len(works)
    asked: dict[int, Question] = {}

    def go_on(number: int, said: Prediction | None) -> None:
        try:
            asked[number] = works[number].send(said)
        except StopIteration as end:
            results[number] = end.value
        except TokcomError as error:
            results[number] = error

    for number in range(len(works)):
        go_on(number, None)
    while asked:
        now, asked = asked, {}
        for numbers in _alike(now):
            tokens = np.stack([now[number].tokens for number in numbers])
            lost = tokens == LOST
            conditions = [now[number].condition for number in numbers]
            try:
                found = prior().predict(tokens, lost, conditions, now[numbers[0]].top)
            except TokcomError as error:
                results = [error if number in numbers else result for number, result in enumerate(results)]
                continue
            ends = np.cumsum(lost.sum(axis=1))
            for number, start, end in zip(numbers, [0, *ends[:-1]], ends, strict=True):
                go_on(number, found[start:end])
    return results


def result_of(work: Asking[Result], prior: Callable[[], Prior]) -> Result:
    """The result of one work; raises what it raises."""
    (result,) = answered([work], prior)
    if isinstance(result, TokcomError):
        raise result
    return result


def _alike(asked: dict[int, Question]) -> list[list[int]]:
    """Numbers of the questions that make one batch: frames of a length, words of a number."""
    groups: dict[tuple, list[int]] = {}
    for number, question in asked.items():
        groups.setdefault((len(question.tokens), question.top), []).append(number)
    return list(groups.values())
