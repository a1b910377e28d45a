"""What a model does for a network: which packets are asked for, and what is guessed."""

from dataclasses import replace
from threading import Thread

import numpy as np
import pytest

from tokcom.context.prior import Prior
from tokcom.errors import ParameterError
from tokcom.frame import LOST, TokenFrame
from tokcom.link.arrival import Arrival
from tokcom.link.assembly import Assembly
from tokcom.link.recovery import FrameRecovery
from tokcom.packets.codebook import Codebook
from tokcom.packets.layout import packet_positions
from tokcom.protocol import repeat_requests
from tokcom.protocol.incoming import ReceivedFrame
from tokcom.protocol.numbered_sections import Unplaced
from tokcom.protocol.receiver import Question
from tokcom.protocol.repeat_requests import RepeatPolicy, packet_doubts
from tokcom.protocol.repeat_risk import GROUPS, THRESHOLDS, RepeatRisk, accepted_wrong, group_of
from tokcom.protocol.whole import FrameKeeper

SIZE = 16
POSITIONS = packet_positions((64,), 4, seed=1)


class Ramp(Prior):
    """Expects token n to be n modulo SIZE, with a probability that falls along the frame."""

    codebook, codebook_size, grid, num_classes = "ramp", SIZE, (64,), 10

    def share(self, n):
        return 0.95 - 0.9 * np.arange(n) / n

    def log_probabilities(self, tokens, wanted, conditions):
        n = tokens.shape[1]
        sure = self.share(n)
        table = np.repeat(((1 - sure) / (SIZE - 1))[:, None], SIZE, 1)
        table[np.arange(n), np.arange(n) % SIZE] = sure
        return np.log(np.concatenate([table[row] for row in wanted])).astype(np.float32)


def ramp_frame():
    return TokenFrame(np.arange(64) % SIZE, "ramp", SIZE)


def assembly(rows, frame=None):
    return Assembly(arrival(rows, frame or ramp_frame()))


def arrival(rows, frame):
    rows = np.asarray(rows)
    outline = frame.with_tokens(np.full(64, LOST))
    tokens = frame.tokens[POSITIONS[rows]]
    return Arrival(0, outline, POSITIONS, rows, tokens, np.ones(len(rows), bool))


def test_doubts_are_the_expected_shares_of_wrong_tokens():
    missing = np.array([2, 9])
    frame = assembly(np.setdiff1d(np.arange(16), missing)).frame
    doubts = packet_doubts(Ramp(), frame, POSITIONS, missing)
    assert doubts == pytest.approx((1 - Ramp().share(64))[POSITIONS[missing]].mean(axis=1), abs=1e-5)


def risk_of(lost, losses):
    return RepeatRisk.of_frames(np.asarray(lost), np.asarray(losses))


def test_the_threshold_is_the_largest_within_the_risk():
    rng = np.random.default_rng(0)
    # A hundred frames of equal loss: risk rises with the threshold to 0.15.
    losses = 0.15 * np.array(THRESHOLDS) * np.ones((400, 1)) * rng.uniform(0.9, 1.1, (400, 1))
    risk = risk_of(np.full(400, 0.2), losses)
    weights = np.bincount(group_of([0.2]), minlength=GROUPS)
    for alpha in (0.02, 0.05, 0.1):
        threshold = risk.threshold(alpha, weights)
        assert alpha / 0.15 - 0.05 <= threshold <= alpha / 0.15
    assert risk.threshold(0.2, weights) == 1.0
    # Frames of groups that nobody has measured are requested completely.
    assert risk.covers(0.2) and not risk.covers(0.9)
    half = np.bincount(group_of([0.2, 0.9]), minlength=GROUPS)
    assert risk.threshold(0.02, half) > risk.threshold(0.02, weights)


def test_the_risk_holds_on_other_frames_of_a_channel_that_loses_otherwise():
    """Frames whose packets are wrong with the probability of their doubt: calibrated where losses are even, held on
    where they are high, in each of 20 splits."""
    rng = np.random.default_rng(1)

    def frames(count, low, high):
        shares, losses = [], []
        for _ in range(count):
            lost = max(1, round(64 * rng.uniform(low, high)))
            doubt = rng.uniform(0.3, 1, lost)
            shares.append(lost / 64)
            losses.append(accepted_wrong(doubt, rng.binomial(4, doubt), 256))
        return np.array(shares), np.array(losses)

    risk = risk_of(*frames(1500, 0.02, 0.6))
    for alpha in (0.05, 0.1):
        for _ in range(20):
            shares, losses = frames(120, 0.3, 0.5)
            weights = np.bincount(group_of(shares[:60]), minlength=GROUPS)
            threshold = risk.threshold(alpha, weights)
            realised = losses[60:, THRESHOLDS.index(threshold)].mean()
            assert 0.3 * alpha < realised <= alpha


def test_what_is_no_risk_is_refused():
    empty = tuple([tuple([0.0] * len(THRESHOLDS))] * GROUPS)
    for arguments in (((0,) * 3, empty, empty), ((0,) * GROUPS, empty[:2], empty), ((-1,) * GROUPS, empty, empty)):
        with pytest.raises(ParameterError):
            RepeatRisk(*arguments)
    with pytest.raises(ParameterError, match="alpha"):
        RepeatRisk((0,) * GROUPS, empty, empty).threshold(0, np.ones(GROUPS))


def policy(alpha=0.1):
    # Whatever is doubted by less than 0.4 is right.
    losses = np.where(np.array(THRESHOLDS) < 0.4, 0.0, 0.5) * np.ones((100, 1))
    lost = np.linspace(0.01, 1, 100)
    return RepeatPolicy(Ramp(), risk_of(np.tile(lost, 10), np.tile(losses, (10, 1))), alpha)


def test_only_doubtful_packets_are_wanted():
    here = assembly(np.arange(0, 16, 2))
    wanted = policy(0.3).wanted(here)
    doubts = packet_doubts(Ramp(), here.frame, POSITIONS, here.missing)
    assert 0 < len(wanted) < 8 and set(wanted) == set(here.missing[doubts >= 0.4])
    assert len(policy(0.3).wanted(assembly(np.arange(16)))) == 0
    strange = TokenFrame(np.zeros(64, int), "other", SIZE)
    assert policy().wanted(assembly([0, 1], strange)).tolist() == list(range(2, 16))


class Other:
    """A frame that equals no other."""


def noted(policy):
    """Recent frames by their share of lost packets, when a frame of 10% is noted next."""
    return policy.note(Other(), 0.1)


def test_a_frame_counts_once_however_often_it_is_judged():
    asked = policy(0.3)
    keeper = FrameKeeper(None, {"ramp": asked}.get)
    here = assembly(np.arange(0, 16, 2))
    keeper.wanted(Question(0, 0, here))
    for rows in (np.array([1, 3, 5]), np.array([7, 9, 11, 13, 15])):
        here.add(arrival(rows, ramp_frame()))
        keeper.wanted(Question(0, 0, here))
    keeper.whole(ReceivedFrame(here.outline, POSITIONS, here, 0.1, 2))
    expected = np.zeros(GROUPS)
    expected[group_of(0.5)] = 1 - 1 / 64
    expected[group_of(0.1)] += 1
    assert noted(asked) == pytest.approx(expected)
    # Frames that lost nothing count as well.
    whole = assembly(np.arange(16))
    keeper.whole(ReceivedFrame(whole.outline, POSITIONS, whole, 0.1, 0))
    keeper.whole(ReceivedFrame(whole.outline, POSITIONS, None, 0.1, 0, Unplaced((whole.tokens,))))
    expected *= (1 - 1 / 64) ** 3
    expected[group_of(0.1)] += 1
    assert noted(asked) == pytest.approx(expected)


def test_threads_share_a_policy(monkeypatch):
    asked, guarded = policy(), []

    def group(share):
        guarded.append(asked._lock.locked())
        return group_of(share)

    monkeypatch.setattr(repeat_requests, "group_of", group)
    threads = [Thread(target=lambda: [asked.note(Other(), 0.1) for _ in range(50)]) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    # A geometric series, whatever the order.
    q = 1 - 1 / 64
    assert noted(asked).sum() == pytest.approx((1 - q**201) / (1 - q)) and guarded == [True] * 201


def test_a_keeper_guesses_what_lacks():
    keeper = FrameKeeper(FrameRecovery("mask", Ramp()), {"ramp": policy(0.3)}.get)
    here = assembly(np.arange(0, 16, 2))
    whole = keeper.whole(ReceivedFrame(here.outline, POSITIONS, here, 0.1, 0))
    assert whole.frame == ramp_frame() and (whole.packets_lost, whole.guessed, whole.problem) == (8, 32, "")
    strange = assembly([0, 1], TokenFrame(np.zeros(64, int), "other", SIZE))
    assert keeper.wanted(Question(0, 0, strange)).tolist() == list(range(2, 16))
    left = keeper.whole(ReceivedFrame(strange.outline, POSITIONS, strange, 0.1, 0))
    assert left.frame.lost.sum() == 56 and left.problem


class Before(Ramp):
    """Expects the tokens of the frame before."""

    takes = frozenset({"label", "before"})

    def log_probabilities(self, tokens, wanted, conditions):
        expected = [
            (np.zeros(64, int) if each.before is None else each.before.tokens)[want]
            for want, each in zip(wanted, conditions, strict=True)
        ]
        return np.log(np.eye(SIZE)[np.concatenate(expected)] * 0.9 + 0.1 / SIZE).astype(np.float32)


def test_a_frame_that_continues_another_is_predicted_from_it():
    keeper = FrameKeeper(FrameRecovery("mask", Before()), {"ramp": policy(0.3)}.get)
    first = replace(ramp_frame(), tokens=np.random.default_rng(1).integers(0, SIZE, 64))
    whole = assembly(np.arange(16), first)
    keeper.whole(ReceivedFrame(whole.outline, POSITIONS, whole, 0.1, 0, source="one"))
    here = assembly([0, 1], replace(first, frame_id=1, follows=1))
    for source, same in (("one", True), ("another", False)):
        guessed = keeper.whole(ReceivedFrame(here.outline, POSITIONS, here, 0.1, 0, source=source)).frame
        assert np.array_equal(guessed.tokens, first.tokens) == same


def test_codebooks_of_the_test_are_known():
    assert Codebook("ramp", SIZE).id != Codebook("line", 64).id
