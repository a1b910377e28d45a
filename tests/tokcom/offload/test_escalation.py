from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tokcom.errors import ModelError, ParameterError, TransportError
from tokcom.frame import LOST, TokenFrame
from tokcom.link.recovery import LeftOver, RecoveredFrame
from tokcom.offload.escalation import EscalatingRecovery, EscalationPolicy, doubt_of, fit_policy

POLICY = EscalationPolicy((0.0, 4.0), (0.0, 2.0), 1.0)
"""Frames pay from 2 doubtful tokens on."""


class Fixed:
    """A recovery that puts one word into all tokens, with a confidence by frame."""

    mode, at_once, n_bytes, prior = "context", 1, 7, None

    def __init__(self, word, confidence=None, error=None):
        self.word, self.confidence, self.error, self.asked = word, confidence or {}, error, []

    def recover_all(self, frames, cancelled=lambda: False):
        self.asked += [left.frame.frame_id for left in frames]
        return [self.error or self.result(left.frame) for left in frames]

    def result(self, frame):
        sure = np.full(4, self.confidence.get(frame.frame_id, 1.0), np.float32)
        return RecoveredFrame(frame.with_tokens(np.full(4, self.word, np.int32)), sure, np.ones(1, bool))


def frames(count):
    lost = np.full(4, LOST, np.int32)
    return [LeftOver(TokenFrame(lost, "book", 8, (2, 2), frame_id=number)) for number in range(count)]


def words(results):
    return [int(each.frame.tokens[0]) for each in results]


def test_only_frames_for_which_it_pays_go_to_the_edge():
    here, edge = Fixed(1, {1: 0.25, 2: 0.75}), Fixed(2)
    both = EscalatingRecovery(here, edge, POLICY)
    assert words(both.recover_all(frames(3))) == [1, 2, 1]
    assert edge.asked == [1]
    assert both.counters.__dict__ == {"frames": 3, "escalated": 1, "spared": 0, "failed": 0}


def test_a_failing_edge_costs_no_frame():
    both = EscalatingRecovery(Fixed(1, {0: 0.0, 1: 0.0}), Fixed(2, error=TransportError("dead")), POLICY)
    assert words(both.recover_all(frames(2))) == [1, 1]
    assert (both.counters.escalated, both.counters.failed) == (0, 2)


def test_what_the_device_cannot_decode_is_an_error():
    both = EscalatingRecovery(Fixed(1, error=ModelError("no")), Fixed(2), POLICY)
    with pytest.raises(ModelError, match="no"):
        both.recover(frames(1)[0].frame)


def test_once_it_is_cancelled_nothing_goes_to_the_edge():
    edge = Fixed(2)
    both = EscalatingRecovery(Fixed(1, {0: 0.0}), edge, POLICY)
    assert words(both.recover_all(frames(1), lambda: True)) == [1]
    assert not edge.asked


@pytest.mark.parametrize(("limit", "expected"), [(0, 0), (1.0, 4 + 3), (100.0, 20), (None, 20)])
def test_frames_per_second_are_limited(limit, expected):
    seconds = iter(np.arange(20) * 3 / 19)  # 20 frames in 3 seconds, of which 4 may come at once
    doubtful = Fixed(1, dict.fromkeys(range(20), 0.0))
    both = EscalatingRecovery(doubtful, Fixed(2), POLICY, limit, lambda: float(next(seconds)))
    found = [both.recover(left.frame) for left in frames(20)]
    assert words(found).count(2) == both.counters.escalated == expected
    assert both.counters.spared == 20 - expected


def test_doubt_is_the_expected_number_of_wrong_tokens():
    frame = frames(1)[0].frame
    recovered = RecoveredFrame(frame, np.array([1, 0.5, 0.25, 0], np.float32), np.ones(1, bool))
    assert doubt_of(recovered) == pytest.approx(2.25)


@given(st.integers(0, 2**32 - 1), st.floats(0, 0.2))
def test_a_fitted_policy_keeps_to_the_excess_where_it_was_fitted(seed, excess):
    rng = np.random.default_rng(seed)
    doubts = rng.exponential(3, 200) * (rng.random(200) < 0.6)
    here = rng.poisson(doubts)
    edge = rng.binomial(here, 0.5)
    policy = fit_policy(doubts, here, edge, excess)
    asked = np.array([policy.benefit(each) >= policy.least for each in doubts])
    wrong = np.where(asked, edge, here).sum()
    assert wrong <= (1 + excess) * edge.sum() + 1e-9 or asked[doubts > 0].all()
    # And fewer frames in the order of their benefit would not do, up to frames of equal benefit.
    expected = np.array([policy.benefit(each) for each in doubts])
    fewer = expected > policy.least
    if asked.any() and not fewer.all():
        assert np.where(fewer, edge, here).sum() > (1 + excess) * edge.sum() or policy.least <= 1e-3


def test_a_policy_asks_most_where_most_is_gained():
    doubts = np.repeat([0.0, 1.0, 10.0], 100)
    here, edge = np.repeat([0, 1, 10], 100), np.repeat([0, 1, 2], 100)
    policy = fit_policy(doubts, here, edge, 0.0)
    assert [policy.benefit(each) >= policy.least for each in (0.0, 1.0, 10.0)] == [False, False, True]


def test_settings_are_checked():
    with pytest.raises(ParameterError, match="doubts must rise"):
        replace(POLICY, doubts=(1.0, 1.0))
    with pytest.raises(ParameterError, match="doubts must rise"):
        replace(POLICY, benefits=(1.0,))
    with pytest.raises(ParameterError, match="least"):
        replace(POLICY, least=0.0)
    with pytest.raises(ParameterError, match="no frames"):
        fit_policy(np.zeros(0), np.zeros(0, int), np.zeros(0, int), 0.1)
