from itertools import combinations, pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tokcom.errors import ParameterError, SourceError
from tokcom.packets.halton import halton_order
from tokcom.source.regions import (
    LENGTH_STEP,
    Region,
    bounds_width,
    longest_bounds,
    overlapping,
    read_region,
    split_evenly,
)  # fmt: skip

GRIDS = st.lists(st.integers(1, 9), min_size=1, max_size=4).map(tuple)


def morton(place, grid):
    """The interleaved bits of a position's coordinates, the first axis most significant."""
    coordinates = np.unravel_index(place, grid)
    return "".join(f"{int(axis):08b}"[bit] for bit in range(8) for axis in coordinates)


@settings(max_examples=60)
@given(GRIDS, st.data())
def test_regions_are_pieces_of_the_z_order_curve(grid, data):
    count = int(np.prod(grid))
    blocks = data.draw(st.integers(1, min(count, 9)))
    costs = np.random.default_rng(count).random(count)
    regions = split_evenly(costs, blocks, grid, 9)
    curve = sorted(range(count), key=lambda place: morton(place, grid))
    ranks = np.argsort(halton_order(grid))
    for region in regions:
        assert sorted(region.places) == sorted(curve[region.start : region.end]) != []
        assert (np.diff(ranks[region.places]) > 0).all()
    assert [each.start for each in regions] == [0, *(each.end for each in regions[:-1])] and regions[-1].end == count


def test_equal_costs_make_quarters():
    quarters = [set(map(tuple, np.argwhere(np.isin(np.arange(64).reshape(8, 8), region.places)))) for region in
                split_evenly(np.ones(64), 4, (8, 8), 9)]  # fmt: skip
    corners = [(0, 0), (0, 4), (4, 0), (4, 4)]
    assert quarters == [{(row + i, column + j) for i in range(4) for j in range(4)} for row, column in corners]


@settings(max_examples=60)
@given(st.integers(0, 1000), st.integers(1, 4), st.sampled_from([1, 3, 100]))
def test_the_longest_block_is_as_short_as_possible(seed, blocks, width):
    """Beside all divisions of twelve tokens; a block that is not coded takes `width` bits per token."""
    costs = np.random.default_rng(seed).exponential(3, 12)

    def longest(ends):
        return max(min(costs[start:end].sum(), width * (end - start)) for start, end in pairwise(ends))

    best = min(longest([0, *ends, 12]) for ends in combinations(range(1, 12), blocks - 1))
    regions = split_evenly(costs, blocks, (12,), width)
    assert best <= longest([0, *(region.end for region in regions)]) <= best + LENGTH_STEP


@settings(max_examples=100)
@given(st.integers(0, 1000), st.integers(1, 64), st.integers(1, 64))
def test_regions_hold_one_token_to_the_largest_number(seed, blocks, most):
    rng = np.random.default_rng(seed)
    costs = np.where(rng.random(64) < 0.1, rng.random(64), 0) if seed % 3 else np.zeros(64)
    if blocks * most < 64:
        with pytest.raises(ParameterError, match=f"blocks is {blocks}; a frame of 64 tokens needs at least"):
            split_evenly(costs, blocks, (8, 8), 6, most)
        return
    sizes = [region.end - region.start for region in split_evenly(costs, blocks, (8, 8), 6, most)]
    assert len(sizes) == blocks and sum(sizes) == 64 and 1 <= min(sizes) <= max(sizes) <= most


@given(st.integers(2, 300), st.data())
def test_bounds_come_back(count, data):
    blocks = data.draw(st.integers(2, count))
    number = data.draw(st.integers(0, blocks - 1))
    start = data.draw(st.integers(number, count - blocks + number)) if number else 0
    end = data.draw(st.integers(start + 1, count - blocks + number + 1)) if number < blocks - 1 else count
    region = Region((count,), number, blocks, start, end)
    bits = region.bounds
    assert len(bits) == bounds_width(number, blocks, (count,)) <= longest_bounds(blocks, (count,))
    assert read_region(np.concatenate([bits, [1, 1]]), number, blocks, (count,)) == region


def test_bounds_of_large_frames_come_back():
    region = Region((1024, 1024), 1, 3, 123_456, 1_000_001)
    assert len(region.bounds) == 39 and read_region(region.bounds, 1, 3, (1024, 1024)) == region


def test_bounds_of_256_tokens():
    """First: end; last: start; between: the number of the pair, end (end - 1) / 2 + start."""
    found = [Region((16, 16), number, 3, *pair).bounds for number, pair in enumerate([(0, 97), (97, 200), (200, 256)])]
    assert ["".join(map(str, bits)) for bits in found] == [f"{97:08b}", f"{200 * 199 // 2 + 97:015b}", f"{200:08b}"]
    assert not len(Region((16, 16), 0, 1, 0, 256).bounds)


@pytest.mark.parametrize(
    ("number", "stated", "message"),
    [
        (0, f"{0:08b}", "it claims tokens 0 to 0 of the 256 .*, and 0 blocks before it and 2 behind it"),
        (0, f"{255:08b}", "tokens 0 to 255 of the 256"),
        (1, f"{0:015b}", "tokens 0 to 1 of the 256"),
        (1, f"{256 * 255 // 2 + 3:015b}", "tokens 3 to 256 of the 256"),
        (1, "1" * 15, "tokens 127 to 256 of the 256"),
        (2, f"{1:08b}", "tokens 1 to 256 of the 256"),
        (1, "1" * 14, "it ends after 14 of the 15 bits"),
        (2, "", "it ends after 0 of the 8 bits"),
    ],
)
def test_impossible_bounds_are_refused(number, stated, message):
    with pytest.raises(SourceError, match=message):
        read_region(np.array(list(map(int, stated)), np.uint8), number, 3, (16, 16))


def test_overlaps():
    regions = [Region((9,), number, 4, *pair) for number, pair in enumerate([(0, 3), (2, 5), (5, 7), (7, 9)])]
    assert overlapping(regions) == {0, 1} and overlapping(regions[1:]) == set()


def test_more_blocks_than_tokens_are_refused():
    with pytest.raises(ParameterError, match="blocks is 5; a frame of 4 tokens has 1 to 4"):
        split_evenly(np.ones(4), 5, (2, 2), 9)
    with pytest.raises(ParameterError, match="blocks is 5; a frame of 4 tokens has 1 to 4"):
        read_region(np.ones(9, np.uint8), 0, 5, (2, 2))
