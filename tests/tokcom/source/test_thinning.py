import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tokcom.errors import ParameterError, SourceError
from tokcom.frame import LOST, TokenFrame
from tokcom.source.order import halton_order
from tokcom.source.thinning import RULES, Thinning, most_tokens, region_of, rule_bytes, thin, thinned

GRID = (8, 8)


def frame(seed=0):
    return TokenFrame(np.random.default_rng(seed).integers(0, 1000, 64), "book", 1000, GRID)


@st.composite
def thinnings(draw):
    rule, count = draw(st.sampled_from(RULES)), draw(st.integers(1, 64))
    levels = draw(st.lists(st.integers(0, 3), min_size=16, max_size=16)) if rule == "regions" else []
    places = sorted(draw(st.sets(st.integers(0, 63), min_size=count, max_size=count))) if rule == "places" else []
    return Thinning(rule, count, tuple(levels), tuple(places))


@settings(max_examples=80)
@given(thinnings(), st.integers(0, 50))
def test_exactly_the_tokens_and_bits_asked_for(thinning, spare):
    whole = frame()
    budget = 8 * rule_bytes(thinning.rule, GRID) + 10 * thinning.count + spare
    bits = thin(whole, thinning, budget)
    assert len(bits) == budget and most_tokens(thinning.rule, GRID, 1000, budget) >= min(thinning.count, 64)
    found = thinned(bits, whole.with_tokens(np.full(64, LOST)))
    kept = found.tokens != LOST
    assert kept.sum() == thinning.count
    np.testing.assert_array_equal(found.tokens[kept], whole.tokens[kept])
    assert Thinning.from_bytes(thinning.to_bytes(GRID), GRID) == thinning


def test_spread_is_the_halton_order_and_checkerboard_one_colour_first():
    for count in (1, 20, 64):
        assert set(Thinning("spread", count).sent(GRID)) == set(halton_order(GRID)[:count].tolist())
    rows, columns = np.unravel_index(Thinning("checkerboard", 32).sent(GRID), GRID)
    assert ((rows + columns) % 2 == 0).all()


def test_regions_have_the_densities_of_their_levels():
    grid = (32, 32)
    levels = tuple(np.arange(16) % 4)
    sent = Thinning("regions", 240, levels).sent(grid)
    by_level = np.bincount(np.array(levels)[region_of(grid)[sent]], minlength=4)
    # Of 1024 tokens with densities 8, 4, 2, 1 in equal parts, 240 are 128, 64, 32, 16.
    np.testing.assert_allclose(by_level, [128, 64, 32, 16], atol=2)
    assert len(Thinning("regions", 1024, levels).sent(grid)) == 1024


@settings(max_examples=100)
@given(st.binary(max_size=20))
def test_any_bytes_are_a_rule_or_an_error(data):
    try:
        sent = Thinning.from_bytes(data, GRID).sent(GRID)
    except SourceError:
        return
    assert len(set(sent.tolist())) == len(sent) and sent.max() < 64


@settings(max_examples=60)
@given(st.integers(0, 10_000), st.integers(0, 900))
def test_any_bits_are_a_frame_or_an_error(seed, length):
    outline = frame()
    try:
        found = thinned(np.random.default_rng(seed).integers(0, 2, length).astype(np.uint8) * (seed % 3 > 0), outline)
    except SourceError:
        return
    assert found.tokens.max() < 1000


def test_what_is_refused():
    for arguments, says in (
        (("half", 3), "rule is 'half'"), (("spread", 0), "count is 0"), (("regions", 3), "has 16, each 0 to 3"),
        (("places", 2, (), (5, 1)), "increasing"),
    ):  # fmt: skip
        with pytest.raises(ParameterError, match=says):
            Thinning(*arguments)
    with pytest.raises(ParameterError, match="8 x 8 has 64 tokens"):
        Thinning("spread", 65).sent(GRID)
    with pytest.raises(ParameterError, match="holds no token"):
        most_tokens("places", GRID, 1000, 97)
    with pytest.raises(ParameterError, match="take 44 bits; the budget is 43"):
        thin(frame(), Thinning("spread", 2), 43)
    with pytest.raises(SourceError, match="lacks tokens"):
        thin(frame().with_tokens(np.full(64, LOST)), Thinning("spread", 2), 99)
    with pytest.raises(ParameterError, match="at least 4 x 4"):
        region_of((64,))
