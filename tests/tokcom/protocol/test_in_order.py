"""Places of packets that keep an order, against all ways to place them."""

from itertools import combinations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tokcom.context.prior import Prior
from tokcom.frame import LOST, TokenFrame
from tokcom.packets.layout import packet_positions
from tokcom.protocol.in_order import Order
from tokcom.protocol.unordered import MAX_CELLS, Placement


def all_ways(order, n_places):
    """Places of the first packets of sections, every way that keeps the order."""
    for firsts in combinations(range(n_places), len(order.counts)):
        ends = [first + count for first, count in zip(firsts, order.counts, strict=True)]
        between = [first - end for first, end in zip(firsts[1:], ends, strict=False)]
        if ends[-1] > n_places or (order.starts and firsts[0] not in order.starts):
            continue
        if all(gap >= 0 and wanted in (None, gap) for gap, wanted in zip(between, order.gaps, strict=True)):
            yield firsts


def spread_out(firsts, counts):
    return [first + step for first, count in zip(firsts, counts, strict=True) for step in range(count)]


@st.composite
def orders(draw):
    counts = tuple(draw(st.lists(st.integers(1, 3), min_size=1, max_size=4)))
    n_places = sum(counts) + draw(st.integers(0, 4))
    gap = st.one_of(st.none(), st.integers(0, 2))
    gaps = tuple(draw(gap) for _ in counts[1:])
    starts = tuple(draw(st.sets(st.integers(0, n_places - 1), max_size=3)))
    return Order(counts, starts, gaps), n_places


@settings(max_examples=200, deadline=None)
@given(orders(), st.integers(0, 2**32 - 1), st.floats(0, 0.3))
def test_the_best_of_all_ways_is_found(drawn, seed, taken):
    order, n_places = drawn
    rng = np.random.default_rng(seed)
    scores = rng.normal(size=(sum(order.counts), n_places))
    scores[:, rng.random(n_places) < taken] = -np.inf
    found = order.assign(scores)
    totals = {}
    for firsts in all_ways(order, n_places):
        places = spread_out(firsts, order.counts)
        totals[tuple(places)] = scores[range(len(places)), places].sum()
    totals = {places: total for places, total in totals.items() if total > -np.inf}
    if not totals:
        assert found is None
        return
    place, margin = found
    best = max(totals.values())
    assert totals[tuple(place)] == pytest.approx(best)
    for packet, where in enumerate(place):
        elsewhere = [total for places, total in totals.items() if places[packet] != where]
        assert margin[packet] == pytest.approx(best - max(elsewhere, default=-np.inf))


@settings(max_examples=200, deadline=None)
@given(orders(), st.integers(0, 2**32 - 1), st.floats(0, 0.3), st.integers(1, 6))
def test_all_ways_are_listed(drawn, seed, taken, most):
    order, n_places = drawn
    free = np.random.default_rng(seed).random(n_places) >= taken
    expected = [spread_out(firsts, order.counts) for firsts in all_ways(order, n_places)]
    expected = [places for places in expected if free[places].all()]
    found = [way.tolist() for way in order.ways(free, most)]
    assert found == expected if len(expected) <= most else len(found) == most + 1
    assert all(way in expected for way in found)


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
