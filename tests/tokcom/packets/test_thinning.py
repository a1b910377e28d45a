import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tokcom.errors import ParameterError
from tokcom.packets.halton import halton_order
from tokcom.packets.layout import LAYOUTS, packet_positions
from tokcom.packets.thinning import MAX_THINNED, RULES, Thinning, packets_sent, region_of, rule_bytes, sent_mask

GRID = (8, 8)


@st.composite
def thinnings(draw):
    rule, count = draw(st.sampled_from(RULES)), draw(st.integers(1, 64))
    levels = draw(st.lists(st.integers(0, 3), min_size=16, max_size=16)) if rule == "regions" else []
    places = sorted(draw(st.sets(st.integers(0, 63), min_size=count, max_size=count))) if rule == "places" else []
    return Thinning(rule, count, tuple(levels), tuple(places))


@settings(max_examples=80)
@given(thinnings())
def test_exactly_the_tokens_asked_for_and_the_rule_comes_back(thinning):
    data = thinning.to_bytes(GRID)
    assert len(data) == rule_bytes(thinning.rule, GRID) and Thinning.from_bytes(data, GRID) == thinning
    mask = sent_mask(data, GRID)
    assert mask.sum() == thinning.count and set(np.flatnonzero(mask)) == set(thinning.sent(GRID).tolist())
    assert sent_mask(b"", GRID).all() and packets_sent(b"", GRID, 10) == 7


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
    except ParameterError:
        return
    assert len(set(sent.tolist())) == len(sent) and sent.max() < 64


@given(thinnings(), st.sampled_from(LAYOUTS), st.integers(0, 1023))
def test_tokens_sent_come_first_in_the_order_of_the_layout(thinning, layout, seed):
    mask = sent_mask(thinning.to_bytes(GRID), GRID)
    order = packet_positions(GRID, 4, layout, seed).ravel()
    found = packet_positions(GRID, 4, layout, seed, thinning=thinning.to_bytes(GRID)).ravel()
    np.testing.assert_array_equal(found, [*order[mask[order]], *order[~mask[order]]])


def test_what_is_refused():
    for arguments, says in (
        (("half", 3), "rule is 'half'"), (("spread", 0), "count is 0"), (("regions", 3), "has 16, each 0 to 3"),
        (("places", 2, (), (5, 1)), "increasing"),
    ):  # fmt: skip
        with pytest.raises(ParameterError, match=says):
            Thinning(*arguments)
    with pytest.raises(ParameterError, match="8 x 8 has 64 tokens"):
        Thinning("spread", 65).sent(GRID)
    with pytest.raises(ParameterError, match="at most 4096 can be thinned"):
        Thinning("spread", 2).sent((MAX_THINNED + 1,))
    for count, message in ((6, "do not fill packets of 4"), (64, "sends all 64 tokens")):
        with pytest.raises(ParameterError, match=message):
            packets_sent(Thinning("spread", count).to_bytes(GRID), GRID, 4)
    for data, message in (
        (b"", "no rule"), (b"\x09\0\1", "no rule"), (b"\0\0\1\0", "has 4 bytes"), (b"\0\0\x41", "announces 65 tokens"),
        (b"\3\0\2" + bytes(7) + b"\1", "holds 1; it announces 2"),
    ):  # fmt: skip
        with pytest.raises(ParameterError, match=message):
            Thinning.from_bytes(data, GRID)
    with pytest.raises(ParameterError, match="at least 4 x 4"):
        region_of((64,))
