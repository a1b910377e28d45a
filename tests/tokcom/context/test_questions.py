"""Frames that ask together get the answers that they would get alone."""

import numpy as np
import pytest

from tokcom.context.condition import NOTHING, Condition
from tokcom.context.prior import Prior
from tokcom.context.questions import Question, answered, result_of
from tokcom.errors import FrameError, ModelError
from tokcom.frame import LOST


class Sums(Prior):
    """Log-probability of word w: w times the sum of the known tokens, plus the label. Calls are kept."""

    codebook, codebook_size, grid, num_classes = "sums", 5, None, 9

    def __init__(self):
        self.batches = []

    def log_probabilities(self, tokens, wanted, conditions):
        self.batches.append(len(tokens))
        told = np.array([each.label or 0 for each in conditions])
        sums = np.where(tokens == LOST, 0, tokens).sum(axis=1) + told
        return np.repeat(sums, wanted.sum(axis=1))[:, None] * np.arange(5, dtype=np.float32)


def asking(n, times, label=None, fails=False):
    """Ask so many times, each time with one token more; return all answers."""
    tokens, answers = np.full(n, LOST, np.int32), []
    for place in range(times):
        answer = yield Question(tokens.copy(), Condition(label) if label is not None else NOTHING)
        answers.append(answer.log_probability)
        tokens[place] = place + 1
        if fails:
            raise FrameError("broken")
    return answers


CASES = [(4, 3, 2), (4, 1, None), (6, 2, 1), (4, 0, None), (4, 3, 7)]


def test_each_gets_its_own_answers():
    prior = Sums()
    together = answered([asking(*case) for case in CASES], lambda: prior)
    assert prior.batches == [3, 1, 2, 1, 2], "frames of one length ask as one batch, as long as they ask"
    for case, found in zip(CASES, together, strict=True):
        alone = result_of(asking(*case), Sums)
        assert len(found) == case[1] and all(np.array_equal(a, b) for a, b in zip(alone, found, strict=True))


def test_what_one_raises_leaves_the_others_alone():
    broken, whole = answered([asking(4, 3, fails=True), asking(4, 3)], Sums)
    assert isinstance(broken, FrameError) and len(whole) == 3
    with pytest.raises(FrameError, match="broken"):
        result_of(asking(4, 3, fails=True), Sums)


def test_a_prior_that_cannot_answer_ends_those_that_asked():
    class Silent(Sums):
        def log_probabilities(self, tokens, wanted, conditions):
            raise ModelError("no encoder here")

    asked, other = answered([asking(4, 3), asking(4, 0)], Silent)
    assert str(asked) == "no encoder here" and other == []


def test_who_asks_nothing_needs_no_prior():
    assert answered([asking(4, 0)], lambda: pytest.fail("loaded")) == [[]]
