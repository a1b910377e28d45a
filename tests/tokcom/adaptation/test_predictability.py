import numpy as np
import pytest

from tokcom.adaptation.predictability import predictability, token_bits
from tokcom.context.causal import CausalPrior, Paths
from tokcom.context.prior import Prior
from tokcom.errors import FrameError, ModelError, ParameterError
from tokcom.frame import LOST, TokenFrame


class Counting(Prior):
    """Token 0 gets the share of zeros among the known, plus one each; it remembers what it was shown."""

    codebook, codebook_size, grid, num_classes = "two", 2, None, 3

    def __init__(self):
        self.shown = []

    def log_probabilities(self, tokens, wanted, conditions):
        return np.concatenate(
            [self.of_frame(line, condition.label) for line, condition in zip(tokens, conditions, strict=True)]
        )

    def of_frame(self, tokens, cmi):
        self.shown.append((tokens.copy(), cmi))
        known = tokens[tokens != LOST]
        zero = (np.sum(known == 0) + 1) / (len(known) + 2)
        return np.log(np.tile([zero, 1 - zero], (int(np.sum(tokens == LOST)), 1))).astype(np.float32)


def frame(n=30):
    return TokenFrame((np.arange(n) % 5 == 0).astype(np.int32), "two", 2, (n,), cmi=1, frame_id=3)


def test_every_token_is_hidden_once_and_measured_from_the_others():
    model = Counting()
    bits = token_bits(model, frame(), passes=6)
    hidden = np.array([tokens == LOST for tokens, _ in model.shown])
    assert hidden.sum(axis=0).tolist() == [1] * 30 and {cmi for _, cmi in model.shown} == {1}
    for tokens, _ in model.shown:
        known = tokens[tokens != LOST]
        zero = (np.sum(known == 0) + 1) / (len(known) + 2)
        place = tokens == LOST
        assert bits[place] == pytest.approx(-np.log2(np.where(frame().tokens[place] == 0, zero, 1 - zero)), rel=1e-5)


def test_the_seed_decides_and_one_pass_hides_everything():
    assert np.array_equal(token_bits(Counting(), frame(), seed=1), token_bits(Counting(), frame(), seed=1))
    assert token_bits(Counting(), frame(), passes=1) == pytest.approx(np.ones(30))


def test_frames_that_cannot_be_measured_are_refused():
    with pytest.raises(ParameterError, match="passes is 0"):
        token_bits(Counting(), frame(), passes=0)
    lost = frame().with_tokens(np.r_[LOST, frame().tokens[1:]])
    with pytest.raises(FrameError, match="1 tokens"):
        token_bits(Counting(), lost)
    with pytest.raises(ModelError):
        token_bits(Counting(), TokenFrame(np.zeros(4, np.int32), "other", 2, (4,)))


class Repeating(CausalPrior):
    """A token is that before it with probability 3/4; the first is 0 with probability 1/4."""

    codebook, codebook_size, grid = "two", 2, None

    def paths(self, condition):
        return RepeatingPaths()


class RepeatingPaths(Paths):
    last = 1

    @property
    def log_probabilities(self):
        return np.log(np.where(np.arange(2) == self.last, 0.75, 0.25)).astype(np.float32)[None]

    def branch(self, parents, tokens):
        raise NotImplementedError

    select = branch

    def follow(self, tokens, weigh=True):
        self.last = int(tokens[-1])
        return np.zeros(1)


def test_a_causal_prior_measures_each_token_from_those_before():
    tokens = np.array([0, 0, 1, 1, 1, 0], np.int32)
    bits, guessed = predictability(Repeating(), TokenFrame(tokens, "two", 2, (6,)))
    repeated = np.r_[1, tokens[:-1]] == tokens
    assert guessed.tolist() == repeated.tolist()
    assert bits == pytest.approx(np.where(repeated, -np.log2(0.75), 2.0), rel=1e-5)
