"""Packets without index: what a model that knows the line's order makes of them."""

import numpy as np
import pytest

from tokcom.context.prior import Prior
from tokcom.frame import LOST, TokenFrame
from tokcom.link.arrival import Arrival
from tokcom.link.assembly import Assembly
from tokcom.packets.layout import packet_positions
from tokcom.protocol.in_order import Order
from tokcom.protocol.incoming import ReceivedFrame
from tokcom.protocol.numbered_sections import Unplaced
from tokcom.protocol.unordered import MAX_CELLS, Placement, placed, windows


class Line(Prior):
    """Expects every token to continue the nearest known one."""

    codebook, codebook_size, grid = "line", 64, (64,)
    asked = 0

    def log_probabilities(self, tokens, wanted, conditions):
        self.asked += 1
        rows = []
        for row, want in zip(tokens, wanted, strict=True):
            known = np.flatnonzero(row != LOST)
            for n in np.flatnonzero(want):
                p = np.full(64, 0.2 / 64)
                if len(known):
                    near = known[np.abs(known - n).argmin()]
                    p[(row[near] + n - near) % 64] += 0.8
                else:
                    p[n] += 0.1  # the frame more likely begins with the first word
                rows.append(np.log(p / p.sum()))
        return np.array(rows, np.float32)


LINE = TokenFrame(np.arange(64), "line", 64)
POSITIONS = packet_positions((64,), 4, seed=3)


def placement():
    return Placement(Line(), LINE.with_tokens(np.full(64, LOST)), POSITIONS)


@pytest.mark.parametrize(
    ("sections", "gaps"),
    [
        ([[0, 1], [4, 5, 6], [9], [12, 13, 14, 15]], (None,) * 3),
        ([[1], [2], [3], [5], [6], [9], [10], [11], [15]], (None,) * 8),
        ([[2, 3], [6, 7], [8, 9]], (2, 0)),
    ],
)
def test_a_model_places_what_came_in_order(sections, gaps):
    rows = np.concatenate(sections)
    packets = LINE.tokens[POSITIONS[rows]]
    order = Order(tuple(map(len, sections)), gaps=gaps)
    found = placement().place_in_order(packets, order, np.ones(16, bool))
    assert found.tolist() == rows.tolist()


def test_of_a_few_places_each_is_tried():
    rows = np.array([2, 3, 6, 7])
    order = Order((2, 2), starts=(0, 2, 4), gaps=(2,))
    placed = placement()
    assert placed.place_in_order(LINE.tokens[POSITIONS[rows]], order, np.ones(16, bool)).tolist() == rows.tolist()
    assert placed._prior.asked == 3 * 4


def test_no_model_is_asked_where_only_one_way_is_left():
    placed, free = placement(), np.ones(16, bool)
    packets = LINE.tokens[POSITIONS[:4]]
    assert placed.place_in_order(packets, Order((2, 2), (6,), (3,)), free).tolist() == [6, 7, 11, 12]
    free[:] = False
    free[[1, 2, 8, 9]] = True
    assert placed.place_in_order(packets, Order((2, 2), gaps=(None,)), free).tolist() == [1, 2, 8, 9]
    assert placed.place_in_order(packets, Order((3, 1), gaps=(None,)), free) is None
    assert placed._prior.asked == 0


def test_more_than_memory_allows_is_not_placed():
    many = np.zeros((MAX_CELLS // 16 + 1, 4), int)
    assert placement().place_in_order(many, Order((len(many),)), np.ones(16, bool)) is None


@pytest.mark.parametrize("window", [4, 8])
def test_packets_are_put_in_place_within_windows(window):
    rng = np.random.default_rng(2)
    known = np.full(64, LOST, np.int32)
    known[POSITIONS[0]] = LINE.tokens[POSITIONS[0]]
    order = np.concatenate([start + rng.permutation(window) for start in range(0, 16, window)])
    order = order[order != 0]
    allowed = np.zeros((15, 16), bool)
    for row, place in enumerate(order):
        allowed[row, place // window * window : (place // window + 1) * window] = True
    allowed[:, 0] = False
    found = placement().place(LINE.tokens[POSITIONS[order]], allowed, known)
    assert found.tolist() == order.tolist()


def test_what_comes_without_index_after_losses_is_put_in_place():
    rows = np.array([0, 5, 9])
    outline = LINE.with_tokens(np.full(64, LOST))
    here = Assembly(Arrival(0, outline, POSITIONS, rows, LINE.tokens[POSITIONS[rows]], np.ones(3, bool)))
    came = ([1, 2], [3, 4], [6], [10, 11, 12, 13, 14, 15])
    sections = tuple(LINE.tokens[POSITIONS[each]] for each in came)
    unplaced = Unplaced(sections, gaps=(None, None, None))
    frame = placed(ReceivedFrame(outline, POSITIONS, here, 0.0, 0, unplaced), Line())
    assert frame.lost.sum() == 8 and set(np.flatnonzero(frame.lost)) == set(POSITIONS[[7, 8]].ravel())
    assert (frame.tokens[~frame.lost] == LINE.tokens[~frame.lost]).all()


def test_windows_allow_for_losses():
    assert windows(4, 4, 1).tolist() == np.eye(4, dtype=bool).tolist()
    assert windows(3, 4, 1).sum(axis=1).tolist() == [2, 2, 2] and windows(4, 8, 8).all()
    assert not windows(8, 8, 4)[:4, 4:].any()
