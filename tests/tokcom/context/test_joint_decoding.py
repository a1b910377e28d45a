"""The loop between a packet decoder and a context model, with stand-ins whose answers are known."""

from dataclasses import dataclass

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tokcom.context.condition import Condition
from tokcom.context.joint_decoding import ContextSettings
from tokcom.context.masked_turns import MaskedTurns
from tokcom.context.prior import Prior
from tokcom.context.questions import result_of
from tokcom.errors import ModelError, ParameterError
from tokcom.frame import LOST, TokenFrame

SIZE = 8


class Line(Prior):
    """Tokens repeat a known left neighbour with probability 0.9; every call is kept."""

    codebook, codebook_size, grid, num_classes = "line", SIZE, None, 3

    def __init__(self):
        self.seen, self.labels = [], []

    def log_probabilities(self, tokens, wanted, conditions):
        return np.concatenate(
            [self.of_frame(line, condition.label) for line, condition in zip(tokens, conditions, strict=True)]
        )

    def of_frame(self, tokens, cmi):
        self.seen.append(tokens.copy())
        self.labels.append(cmi)
        lost = np.flatnonzero(tokens == LOST)
        chance = np.full((len(lost), SIZE), 1 / SIZE)
        left = np.where(lost > 0, tokens[lost - 1], LOST)
        told = left != LOST
        chance[told] = 0.1 / (SIZE - 1)
        chance[np.flatnonzero(told), left[told]] = 0.9
        return np.log(chance).astype(np.float32)


@dataclass
class Answer:
    tokens: np.ndarray
    log_odds: np.ndarray
    evidence: np.ndarray
    marginals: np.ndarray
    words: None = None


def decoded(turns, frame, positions, packets, ok, decoder, cancelled=lambda: False):
    work = turns.decode(frame, positions, packets, ok, decoder, Condition.of(frame), cancelled)
    return result_of(work, lambda: turns.prior)


class Likelihoods:
    """A decoder of packets without code: each token has likelihoods of its own. Calls are kept."""

    def __init__(self, likelihood):
        self.likelihood, self.calls = likelihood, []

    def __call__(self, rows, priors):
        log_priors = priors.log_probability
        self.calls.append((rows.copy(), log_priors.copy()))
        share = self.likelihood[rows] * np.exp(log_priors)
        evidence = np.log(share.sum(axis=-1)).sum(axis=-1)
        share /= share.sum(axis=-1, keepdims=True)
        best = share.max(axis=-1).prod(axis=-1)
        odds = np.log(best) - np.log(np.maximum(1 - best, 1e-300))
        return Answer(share.argmax(axis=-1).astype(np.int32), odds, evidence, share.astype(np.float32))


def frame(n, cmi=None):
    return TokenFrame(np.full(n, LOST), "line", SIZE, cmi=cmi)


def vague(tokens, strength):
    """Likelihoods (n_packets, tokens_per_packet, SIZE) that favour the tokens by a factor."""
    likelihood = np.ones((*tokens.shape, SIZE))
    np.put_along_axis(likelihood, tokens[..., None], strength, -1)
    return likelihood


def test_what_is_decoded_tells_the_rest():
    """Packets of one token along a line; only the first is certain. Alone, 3 of odds do not decide; with the left
    neighbour known they do, one after the other."""
    positions = np.arange(6)[:, None]
    sent = np.full((6, 1), 5)
    likelihood = vague(sent, 60.0)
    ok = np.array([True] + [False] * 5)
    settings = ContextSettings(rounds=8, turns=3, inform=0.95, accept=0.99, settle=0.9999)
    alone = decoded(MaskedTurns(None, settings), frame(6), positions, sent, ok, Likelihoods(likelihood))
    assert alone.accepted.tolist() == [True] + [False] * 5 and alone.passes == 0
    together = decoded(MaskedTurns(Line(), settings), frame(6), positions, sent, ok, Likelihoods(likelihood))
    assert together.accepted.all() and (together.tokens == 5).all() and together.passes > 0
    assert together.confidence[1, 0] == pytest.approx(60 * 0.9 / (60 * 0.9 + 0.1), abs=1e-4)


@given(seed=st.integers(0, 10**6), turns=st.integers(1, 5), per_packet=st.integers(1, 3))
def test_a_packet_never_sees_its_own_guesses_and_ok_ones_stay(seed, turns, per_packet):
    rng = np.random.default_rng(seed)
    n = 8
    positions = rng.permutation(n * per_packet).reshape(n, per_packet)
    sent = rng.integers(0, SIZE, (n, per_packet))
    ok = rng.random(n) < 0.4
    model, decoder = Line(), Likelihoods(vague(sent, rng.uniform(2, 200, (*sent.shape, 1))))
    result = decoded(
        MaskedTurns(model, ContextSettings(rounds=3, turns=turns)), frame(n * per_packet), positions, sent, ok, decoder
    )
    assert np.array_equal(result.tokens[ok], sent[ok]) and result.accepted[ok].all()
    assert (result.confidence[ok] == 1).all() and np.isposinf(result.log_odds[ok]).all()
    for rows, _ in decoder.calls:
        assert not ok[rows].any()
    # The first decoding is without the model, the second starts from an empty frame; then each has a pass of the model.
    for seen, (rows, _) in zip(model.seen[1:], decoder.calls[2:], strict=True):
        assert (seen[positions[rows]] == LOST).all()
        assert np.array_equal(seen[positions[ok]], sent[ok])
    assert result.passes == len(decoder.calls[2:])


class Changing(Likelihoods):
    """A decoder that is sure of token 1 at first, and doubts it once it knows better."""

    def __call__(self, rows, priors):
        log_priors = priors.log_probability
        self.calls.append((rows.copy(), log_priors.copy()))
        odds = 8.0 if len(self.calls) <= 2 else -2.0
        marginals = np.full((len(rows), 1, SIZE), 0.01, np.float32)
        marginals[..., 1] = 0.93
        return Answer(np.ones((len(rows), 1), np.int32), np.full(len(rows), odds), np.zeros(len(rows)), marginals)


def test_what_was_accepted_on_thin_evidence_is_taken_back():
    positions, ok = np.arange(3)[:, None], np.array([True, False, False])
    settings = ContextSettings(accept=0.999, settle=0.99999)
    decoder = Changing(None)
    assert decoded(MaskedTurns(None, settings), frame(3), positions, ok[:, None] * 1, ok, decoder).accepted.all()
    decoder = Changing(None)
    late = decoded(MaskedTurns(Line(), settings), frame(3), positions, ok[:, None] * 1, ok, decoder)
    assert late.accepted.tolist() == [True, False, False]


def test_settled_packets_are_not_decoded_again():
    positions, ok = np.arange(4)[:, None], np.array([True, False, False, False])
    sent = np.full((4, 1), 2)
    likelihood = vague(sent, np.array([1, 1e9, 1e9, 3.0])[:, None, None])
    decoder = Likelihoods(likelihood)
    decoded(MaskedTurns(Line(), ContextSettings(rounds=4)), frame(4), positions, sent, ok, decoder)
    assert [rows.tolist() for rows, _ in decoder.calls[:2]] == [[1, 2, 3]] * 2
    assert all(rows.tolist() == [3] for rows, _ in decoder.calls[2:]) and len(decoder.calls) > 2


def test_padding_slots_hold_token_zero_for_certain():
    positions = np.array([[0, 1], [2, -1]])
    decoder = Likelihoods(np.ones((2, 2, SIZE)))
    decoded(
        MaskedTurns(Line(), ContextSettings(rounds=1)),
        frame(3),
        positions,
        np.zeros((2, 2), int),
        np.array([False, False]),
        decoder,
    )
    for rows, priors in decoder.calls:
        for row, prior in zip(rows, priors, strict=True):
            if row == 1:
                assert prior[1, 0] == 0 and np.isneginf(prior[1, 1:]).all()
            assert np.exp(prior).sum(axis=-1) == pytest.approx(1, abs=1e-5)


def test_without_a_model_frequent_words_are_the_likelier_ones():
    """By Bayes: a word of half of all tokens beats one that the channel favours by less than frequencies differ."""
    frequencies = np.r_[0.5, np.full(SIZE - 1, 0.5 / (SIZE - 1))]
    positions, sent = np.arange(2)[:, None], np.array([[3], [4]])
    decoder = Likelihoods(vague(sent, np.array([[6.0], [8.0]])[..., None]))
    informed = decoded(
        MaskedTurns(None, frequencies=frequencies), frame(2), positions, sent, np.zeros(2, bool), decoder
    )
    assert informed.tokens.ravel().tolist() == [0, 4] and informed.passes == 0
    odds = np.array([0.5, 8 * 0.5 / 7]) / np.array([6 * 0.5 / 7 + 6 * 0.5 / 7, 0.5 + 6 * 0.5 / 7])
    assert informed.log_odds == pytest.approx(np.log(odds), abs=1e-5)
    alike = decoded(MaskedTurns(None), frame(2), positions, sent, np.zeros(2, bool), decoder)
    assert alike.tokens.ravel().tolist() == [3, 4]
    with pytest.raises(ModelError, match="8 words, and frequencies are known of 5"):
        decoded(MaskedTurns(None, frequencies=np.full(5, 0.2)), frame(2), positions, sent, np.zeros(2, bool), decoder)


@pytest.mark.parametrize("alike", [True, False])
def test_a_frame_that_is_strange_to_the_model_is_decoded_without_it(alike):
    """Tokens that repeat are what the model foresees; of others it makes worse sense than the words' frequencies do."""
    n = 40
    sent = np.full((n, 1), 5) if alike else np.random.default_rng(6).integers(0, SIZE, (n, 1))
    positions, nothing, none = np.arange(n)[:, None], np.zeros((n, 1), int), np.zeros(n, bool)
    likelihood = vague(sent, 100.0)
    blind = decoded(MaskedTurns(None), frame(n), positions, nothing, none, Likelihoods(likelihood))
    seeing = decoded(MaskedTurns(Line()), frame(n), positions, nothing, none, Likelihoods(likelihood))
    assert seeing.passes > 0
    for name in ("tokens", "confidence", "log_odds", "accepted"):
        same = np.array_equal(getattr(blind, name), getattr(seeing, name))
        assert same != alike or name == "tokens"


def test_the_label_reaches_the_model():
    model, positions = Line(), np.arange(2)[:, None]
    decoder = Likelihoods(np.ones((2, 1, SIZE)))
    decoded(MaskedTurns(model), frame(2, cmi=2), positions, np.zeros((2, 1), int), np.zeros(2, bool), decoder)
    assert set(model.labels) == {2}


@pytest.mark.parametrize("how", ["cancelled", "late"])
def test_it_can_be_stopped_and_gives_the_best_so_far(how):
    positions, sent = np.arange(5)[:, None], np.full((5, 1), 3)
    settings = ContextSettings(seconds=1e-9 if how == "late" else None)
    result = decoded(
        MaskedTurns(Line(), settings),
        frame(5),
        positions,
        sent,
        np.zeros(5, bool),
        Likelihoods(vague(sent, 9.0)),
        lambda: how == "cancelled",
    )
    assert result.passes == 0 and (result.tokens == 3).all()
    assert result.confidence == pytest.approx(9 / (9 + SIZE - 1))


def test_a_model_that_does_not_fit_says_so():
    with pytest.raises(ModelError, match="CMI label 3"):
        decoded(
            MaskedTurns(Line()),
            frame(1, cmi=3),
            np.zeros((1, 1), int),
            np.zeros((1, 1), int),
            np.array([False]),
            Likelihoods(None),
        )


@pytest.mark.parametrize(
    "bad", [{"rounds": 0}, {"turns": 0}, {"inform": 1.0}, {"accept": 0.0}, {"settle": 2.0}, {"seconds": 0.0}]
)
def test_bad_settings_are_named(bad):
    with pytest.raises(ParameterError, match=next(iter(bad))):
        ContextSettings(**bad)
