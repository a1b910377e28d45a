"""Questions to a prior, and batching of those of several frames.

Work on a frame with a prior is a generator: it yields a `Question`, is sent the `Prediction` of the tokens that are
LOST in it, and finally returns its result. It need not know of other frames, and the questions of all waiting frames go
to the prior as one batch.
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
    """Question to a prior: which words can the LOST tokens of a frame be?

    Attributes:
        tokens: int32 (n,), LOST where unknown, at least one.
        condition: side information.
        top: largest number of most likely words to name; None for all.
    """

    tokens: np.ndarray
    condition: Condition
    top: int | None = None


Asking = Generator[Question, Prediction, Result]
"""Work on one frame that asks questions of a prior."""


def answered(works: Sequence[Asking[Result]], prior: Callable[[], Prior]) -> list[Result | TokcomError]:
    """Run work on several frames of one shape concurrently until all of it is done.

    Args:
        works: the generators.
        prior: function that returns the prior; it is called at the first question.

    Returns:
        The result of each work, or its exception: a frame that fails does not affect the others.
    """
    results: list[Result | TokcomError] = [TokcomError("not started")] * len(works)
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
    """Run one work and return its result; raises its exceptions."""
    (result,) = answered([work], prior)
    if isinstance(result, TokcomError):
        raise result
    return result


def _alike(asked: dict[int, Question]) -> list[list[int]]:
    """Group questions into batches of frames of one length with the same `top`."""
    groups: dict[tuple, list[int]] = {}
    for number, question in asked.items():
        groups.setdefault((len(question.tokens), question.top), []).append(number)
    return list(groups.values())
