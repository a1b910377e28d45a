"""Filling of gaps in order, against the sum over everything that could stand in them."""

from itertools import product

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tokcom.context.causal import CausalPrior, Paths
from tokcom.context.causal_filling import LONGEST_GAP, READ_ON, CausalFilling
from tokcom.context.condition import NOTHING
from tokcom.errors import ModelError
from tokcom.frame import LOST, TokenFrame

SIZE = 4
CHAIN = np.random.default_rng(5).dirichlet(np.full(SIZE, 0.5), SIZE + 1)
"""Of the first token, and of one behind each word."""


class Chain(CausalPrior):
    codebook, codebook_size, grid = "chain", SIZE, None

    def paths(self, condition):
        return ChainPaths()


class ChainPaths(Paths):
    def __init__(self):
        self.last = np.array([-1])

    @property
    def log_probabilities(self):
        return np.log(CHAIN[self.last + 1]).astype(np.float32)

    def branch(self, parents, tokens):
        assert (parents < len(self.last)).all()
        self.last = np.asarray(tokens)

    def select(self, kept):
        self.last = self.last[kept]

    def follow(self, tokens, weigh=True):
        before = np.concatenate([self.last[:, None], np.tile(tokens[:-1], (len(self.last), 1))], 1)
        self.last = np.full(len(self.last), tokens[-1])
        return np.log(CHAIN[before + 1, tokens]).sum(1) if weigh else np.zeros(len(before))


def frame(tokens):
    return TokenFrame(np.array(tokens, np.int32), "chain", SIZE, (len(tokens),), "text", frame_id=1)


def likelihood(tokens):
    return np.prod([CHAIN[before + 1, token] for before, token in zip([-1, *tokens[:-1]], tokens, strict=True)])


@given(st.lists(st.one_of(st.just(LOST), st.integers(0, SIZE - 1)), min_size=1, max_size=8))
def test_with_every_path_the_likeliest_text_and_its_posteriors_are_found(tokens):
    sent = np.array(tokens)
    lost = np.flatnonzero(sent == LOST)
    whole, confidence = CausalFilling(Chain(), beam=SIZE**8, reach=500.0).fill(frame(tokens), NOTHING)
    weights, texts = [], []
    for words in product(range(SIZE), repeat=len(lost)):
        text = sent.copy()
        text[lost] = words
        texts.append(text)
        weights.append(likelihood(text))
    weights, texts = np.array(weights) / np.sum(weights), np.array(texts)
    assert weights[(texts == whole.tokens).all(1)].item() == pytest.approx(weights.max(), rel=1e-4)
    posterior = weights @ (texts == whole.tokens)
    assert confidence == pytest.approx(posterior, rel=1e-4)


def test_few_paths_find_what_many_find_and_tell_what_they_dropped():
    tokens = np.random.default_rng(1).integers(0, SIZE, 60)
    holes = np.where(np.arange(60) % 5 == 3, LOST, tokens)
    many, _ = CausalFilling(Chain(), beam=SIZE**3).fill(frame(holes), NOTHING)
    few, confidence = CausalFilling(Chain(), beam=2).fill(frame(holes), NOTHING)
    assert (few.tokens[holes != LOST] == tokens[holes != LOST]).all() and not few.lost.any()
    assert np.mean(few.tokens == many.tokens) > 0.8
    assert (confidence[holes != LOST] == 1).all() and (confidence[holes == LOST] < 1).all()


def test_a_gap_that_is_too_long_stays_and_the_text_behind_it_does_not_depend_on_it():
    behind = [1, LOST, 2, 3]
    gap = [LOST] * (LONGEST_GAP + 1)
    whole, confidence = CausalFilling(Chain()).fill(frame([0, LOST, *gap, *behind]), NOTHING)
    assert whole.lost[1 : len(gap) + 2].all() and (confidence[1 : len(gap) + 2] == 0).all()
    alone, _ = CausalFilling(Chain()).fill(frame(behind), NOTHING)
    assert (whole.tokens[-4:] == alone.tokens).all()


def test_what_comes_late_or_does_not_fit_stays_as_it_is():
    holes = frame([0, LOST, *[1] * READ_ON, LOST])
    calls = iter([False, False, True, True])
    whole, confidence = CausalFilling(Chain()).fill(holes, NOTHING, lambda: next(calls, True))
    assert whole == holes and (confidence[holes.lost] == 0).all()
    whole, _ = CausalFilling(Chain(), seconds=-1.0).fill(holes, NOTHING)
    assert whole == holes
    with pytest.raises(ModelError, match="of codebook other"):
        CausalFilling(Chain()).fill(TokenFrame(np.array([LOST]), "other", SIZE, (1,)), NOTHING)
