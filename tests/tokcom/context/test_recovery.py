import itertools

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tokcom.context.prior import Prior
from tokcom.context.recovery import Recovery, RecoverySettings, still_masked
from tokcom.errors import ModelError, ParameterError
from tokcom.frame import LOST, TokenFrame


class Chain(Prior):
    """Tokens on a line that likely repeat their left neighbour; with CMI they are likely the label."""

    codebook, codebook_size, grid, num_classes = "chain", 8, None, 8

    def __init__(self):
        self.passes = 0

    def log_probabilities(self, tokens, wanted, conditions):
        return np.concatenate(
            [self.of_frame(line, condition.label) for line, condition in zip(tokens, conditions, strict=True)]
        )

    def of_frame(self, tokens, cmi):
        self.passes += 1
        lost = np.flatnonzero(tokens == LOST)
        weight = np.ones((len(lost), 8))
        left = np.where(lost > 0, tokens[lost - 1], LOST)
        known = left != LOST
        weight[np.flatnonzero(known), left[known]] += 20
        if cmi is not None:
            weight[:, cmi] += 5
        return np.log(weight / weight.sum(axis=1, keepdims=True)).astype(np.float32)


def line(tokens, **more):
    return TokenFrame(np.array(tokens), "chain", 8, **more)


@given(
    tokens=st.lists(st.integers(-1, 7), min_size=1, max_size=60), steps=st.integers(1, 12),
    temperature=st.sampled_from((0.0, 0.7, 1.0)), choice=st.sampled_from((0.0, 4.5)),
    guidance=st.sampled_from((0.0, 2.0)), cmi=st.none() | st.integers(0, 7), seed=st.integers(0, 99),
)  # fmt: skip
def test_known_tokens_stay_and_no_loss_is_left(tokens, steps, temperature, choice, guidance, cmi, seed):
    frame = line(tokens, cmi=cmi)
    model = Chain()
    recovery = Recovery(model, RecoverySettings(steps, temperature, choice, guidance, seed))
    recovered, confidence = recovery.recover(frame)
    assert np.array_equal(recovered.tokens[~frame.lost], frame.tokens[~frame.lost])
    assert not recovered.lost.any()
    assert (confidence[~frame.lost] == 1).all() and ((confidence > 0) & (confidence <= 1 + 1e-6)).all()
    assert model.passes <= 2 * steps
    again, _ = recovery.recover(frame)
    assert np.array_equal(again.tokens, recovered.tokens)


def test_certain_tokens_are_settled_first_and_inform_the_rest():
    """One pass sees only the neighbour of 3 explained; passes in a row carry it along the line."""
    frame = line([3] + [LOST] * 6)
    assert Recovery(Chain(), RecoverySettings(steps=6)).recover(frame)[0].tokens.tolist() == [3] * 7
    one_pass = Recovery(Chain(), RecoverySettings(steps=1)).recover(frame)[0].tokens
    assert one_pass[:2].tolist() == [3, 3] and one_pass[2:].tolist() != [3] * 5


def test_the_label_counts():
    assert Recovery(Chain()).recover(line([LOST], cmi=5))[0].tokens.tolist() == [5]


def test_guidance_pulls_towards_the_label():
    """Left neighbour 1 outweighs label 5, (1 + 20) to (1 + 5), until guidance removes what is likely without it."""
    frame = line([1, LOST], cmi=5)
    assert Recovery(Chain()).recover(frame)[0].tokens.tolist() == [1, 1]
    assert Recovery(Chain(), RecoverySettings(guidance=9.0)).recover(frame)[0].tokens.tolist() == [1, 5]


def test_draws_follow_the_model():
    frames = [line([1, LOST], frame_id=i) for i in range(3000)]
    recovery = Recovery(Chain(), RecoverySettings(temperature=1.0))
    drawn = np.array([recovery.recover(frame)[0].tokens[1] for frame in frames])
    expected = 21 / 28
    assert abs(np.mean(drawn == 1) - expected) < 4 * np.sqrt(expected * (1 - expected) / len(drawn))


@given(n_lost=st.integers(1, 500), steps=st.integers(1, 40))
def test_the_schedule_falls_to_nothing(n_lost, steps):
    steps = min(steps, n_lost)
    left = [n_lost, *(still_masked(n_lost, step, steps) for step in range(1, steps + 1))]
    assert left[-1] == 0 and all(a > b or b == 0 for a, b in itertools.pairwise(left))


def test_the_schedule_is_the_arccos():
    """2 / pi * arccos(step / steps) of 256: two thirds left halfway, where cos(60 degrees) is one half."""
    assert still_masked(256, 6, 12) == int(256 * 2 / 3)


def test_recovery_can_be_cancelled():
    recovered, confidence = Recovery(Chain()).recover(line([1, LOST]), cancelled=lambda: True)
    assert recovered.tokens.tolist() == [1, LOST] and confidence.tolist() == [1, 0]


@pytest.mark.parametrize(
    ("frame", "message"),
    [
        (TokenFrame(np.array([1]), "other", 8), "other"),
        (TokenFrame(np.array([1]), "chain", 9), "9 words"),
        (line([1], cmi=8), "CMI label 8"),
    ],
)
def test_a_model_that_does_not_fit_says_so(frame, message):
    with pytest.raises(ModelError, match=message):
        Recovery(Chain()).recover(frame)


@pytest.mark.parametrize(
    "bad", [{"steps": 0}, {"temperature": -1.0}, {"choice_temperature": float("nan")}, {"guidance": -0.5}, {"seed": -1}]
)
def test_bad_settings_are_named(bad):
    with pytest.raises(ParameterError, match=next(iter(bad))):
        RecoverySettings(**bad)
