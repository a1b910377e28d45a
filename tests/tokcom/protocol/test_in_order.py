"""Places of packets that keep an order, against all ways to place them."""

from itertools import combinations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tokcom.protocol.in_order import Order


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
