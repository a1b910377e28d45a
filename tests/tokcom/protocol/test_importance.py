"""What the loss of packets costs a picture, against receivers whose pictures are known."""

import numpy as np
import pytest

from tokcom.errors import FrameError
from tokcom.frame import LOST, TokenFrame
from tokcom.protocol.importance import packet_costs
from tokcom.protocol.priority import classes_of

FRAME = TokenFrame(np.arange(64), "grey", 64, (8, 8))
SINGLE = np.arange(64)[:, None]


def shown(values):
    """Patches of 2 x 2 pixels."""
    return np.repeat(np.kron(values.reshape(8, 8), np.ones((2, 2)))[..., None], 3, 2).astype(np.uint8)


def guessed_as_threes(frame):
    return shown(np.where(frame.lost, 3, frame.tokens))


def test_costs_are_those_of_the_guess():
    costs = packet_costs(guessed_as_threes, FRAME, SINGLE)
    assert costs == pytest.approx((np.arange(64) - 3.0) ** 2)


def test_what_is_nearer_to_the_picture_than_its_token_gains():
    costs = packet_costs(guessed_as_threes, FRAME, SINGLE, shown(np.full(64, 3)))
    assert costs == pytest.approx(-((np.arange(64) - 3.0) ** 2))


def test_of_packets_that_predict_each_other_one_is_kept():
    """Each pair of neighbours shows the same; a lost token is known from its partner, and is far off without."""
    rng = np.random.default_rng(4)
    tokens, off = np.repeat(np.arange(32), 2).astype(np.int32), rng.integers(40, 60, 64)
    frame = FRAME.with_tokens(tokens)

    def show(frame):
        own = frame.tokens
        partner = own.reshape(-1, 2)[:, ::-1].ravel()
        return shown(np.where(own != LOST, own, np.where(partner != LOST, partner, tokens + off)))

    def error(dropped):
        return np.square(show(frame.with_tokens(np.where(dropped, LOST, tokens))).astype(float) - show(frame)).sum()

    dropped = classes_of(packet_costs(show, frame, SINGLE)) == 2
    assert dropped.sum() == 21
    # One by one, no token costs anything.
    assert not any(error(np.arange(64) == i) for i in range(64))
    at_random = np.mean([error(rng.permutation(dropped)) for _ in range(20)])
    assert error(dropped) < at_random / 3


def test_errors_beside_lost_tokens_count_for_those():
    """A lost token in the last column also spoils the patch to its left."""

    def show(frame):
        values = frame.tokens.reshape(8, 8).astype(int)
        lost = values == LOST
        values[lost] = FRAME.tokens.reshape(8, 8)[lost]
        values[:, 6] += 9 * lost[:, 7]
        return shown(values)

    costs = packet_costs(show, FRAME, SINGLE)
    assert (costs.reshape(8, 8)[:, 7] > 0).all() and not costs.reshape(8, 8)[:, :5].any()
    assert not (classes_of(costs) == 2).reshape(8, 8)[:, 7].any()


def test_slots_without_a_token_cost_nothing_and_small_frames_do():
    positions = np.array([[0, 1], [2, -1]])
    frame = TokenFrame(np.array([9, 9, 3]), "grey", 64, (1, 3))

    def show(frame):
        return np.where(frame.lost, 3, frame.tokens).astype(np.uint8).reshape(1, 3, 1).repeat(3, 2)

    assert packet_costs(show, frame, positions).argsort().tolist() == [1, 0]


def test_the_number_of_pictures_shown_is_bounded():
    count = 0

    def show(frame):
        nonlocal count
        count += 1
        return guessed_as_threes(frame)

    packet_costs(show, FRAME, SINGLE)
    assert count <= 46


@pytest.mark.parametrize(
    ("frame", "problem"),
    [
        (FRAME.with_tokens(np.where(np.arange(64) == 5, LOST, FRAME.tokens).astype(np.int32)), "1 tokens of frame 0"),
        (TokenFrame(np.arange(64), "grey", 64, (64,)), "must have rows and columns"),
    ],
)
def test_frames_that_are_not_whole_pictures_are_refused(frame, problem):
    with pytest.raises(FrameError, match=problem):
        packet_costs(guessed_as_threes, frame, SINGLE)
