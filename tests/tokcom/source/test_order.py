import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import qmc

from tokcom.errors import ParameterError
from tokcom.packets.halton import halton_order
from tokcom.source.order import split_turns


def test_the_order_is_that_of_the_halton_sequence():
    points = qmc.Halton(2, scramble=False).random(2000)[1:]
    cells = (points * 16 + 1e-9).astype(int) @ [16, 1]
    seen = list(dict.fromkeys(cells.tolist()))
    np.testing.assert_array_equal(halton_order((16, 16)), seen)


@given(st.lists(st.integers(1, 9), min_size=1, max_size=4))
def test_every_place_comes_once(grid):
    np.testing.assert_array_equal(np.sort(halton_order(tuple(grid))), np.arange(np.prod(grid)))


@given(st.integers(1, 300), st.integers(1, 64))
def test_turns_hold_every_place_and_grow(count, turns):
    places = np.random.default_rng(count).permutation(count)
    found = split_turns(places, turns)
    assert len(found) <= turns
    start = 0
    for turn in found:
        np.testing.assert_array_equal(turn, np.sort(places[start : start + len(turn)]))
        start += len(turn)
    assert start == count
    ends = np.cumsum([len(turn) for turn in split_turns(np.arange(10_000), turns)]) / 10_000
    if len(ends) == turns:
        np.testing.assert_allclose(ends, 1 - np.cos(np.pi / 2 * np.arange(1, turns + 1) / turns), atol=0.002)


def test_what_is_refused():
    with pytest.raises(ParameterError, match="5 axes"):
        halton_order((2,) * 5)
