from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tokcom.context.prior import Prior
from tokcom.errors import ModelError, ParameterError, SourceError
from tokcom.frame import LOST, TokenFrame
from tokcom.packets.halton import halton_order
from tokcom.source.blocks import SourceSettings, encode_block, raw_bytes
from tokcom.source.frame_blocks import decode, decode_intact, encode, regions_of
from tokcom.source.regions import Region, bounds_width

pytest.importorskip("constriction")


class Expecting(Prior):
    """A context model that expects word 0, whatever the other tokens are."""

    codebook, codebook_size, grid, num_classes = "expecting", 256, None, 0

    def log_probabilities(self, tokens, wanted, conditions):
        chances = np.log(np.where(np.arange(256) == 0, 0.9, 0.1 / 255)).astype(np.float32)
        return np.tile(chances, (wanted.sum(), 1))


def without_tokens(frame):
    return frame.with_tokens(np.full_like(frame.tokens, LOST))


def random_frame(prior, seed):
    tokens = np.random.default_rng(seed).integers(0, prior.codebook_size, int(np.prod(prior.grid)))
    return TokenFrame(tokens, prior.codebook, prior.codebook_size, prior.grid, "image", None, seed)


@pytest.fixture(scope="module")
def uneven(prior, sample):
    """Half of the frame is what the model expects, the rest is what it does not: drawn evenly from all words."""
    expected, other = sample(prior, 3), random_frame(prior, 4)
    return expected.with_tokens(np.where(np.arange(64) < 32, expected.tokens, other.tokens))


def coded_as(regions, frame, prior, wanted):
    """Blocks whose regions somebody else chose."""
    return [encode_block([frame], region.places, prior, wanted, region.bounds) for region in regions]


@settings(max_examples=12)
@given(
    seed=st.integers(0, 1000), cmi=st.sampled_from([None, 0, 2]), turns=st.integers(1, 8), blocks=st.integers(1, 9)
)  # fmt: skip
def test_round_trip(prior, sample, seed, cmi, turns, blocks):
    frame = replace(sample(prior, seed, cmi) if seed % 2 else random_frame(prior, seed), cmi=cmi)
    wanted = SourceSettings(turns, blocks)
    coded = encode(frame, prior, wanted)
    assert decode(coded, without_tokens(frame), prior, wanted) == frame
    for number, (data, region) in enumerate(zip(coded, regions_of(coded, prior.grid), strict=True)):
        assert (region.number, region.blocks) == (number, blocks)
        assert len(data) <= raw_bytes(len(region.places), 6, bounds_width(number, blocks, prior.grid))


def test_a_block_alone_is_as_it_was(prior, sample):
    """A frame in one block states no region."""
    frame = sample(prior, 3, 1)
    assert encode(frame, prior) == [encode_block([frame], halton_order(prior.grid), prior, SourceSettings())]


@pytest.mark.parametrize("blocks", [2, 3, 4, 7])
def test_blocks_of_an_uneven_frame_are_equally_long(blocks):
    """Nine tokens of ten are those that the model expects, but in the last quarter of the frame it expects none."""
    prior, rng = Expecting(), np.random.default_rng(blocks)
    tokens = np.where(rng.random(400) < np.where(np.arange(400) < 300, 0.9, 0), 0, rng.integers(1, 256, 400))
    frame, wanted = TokenFrame(tokens, "expecting", 256, (), "text"), SourceSettings(8, blocks)
    coded = encode(frame, prior, wanted)
    lengths = list(map(len, coded))
    assert max(lengths) - min(lengths) <= 3
    ends = [400 * number // blocks for number in range(blocks + 1)]
    equal = [Region(frame.grid, number, blocks, *ends[number : number + 2]) for number in range(blocks)]
    assert max(lengths) < 0.8 * max(map(len, coded_as(equal, frame, prior, wanted)))
    assert decode(coded, without_tokens(frame), prior, wanted) == frame


def test_uneven_blocks_are_divided_once_more_by_their_lengths(prior, sample, monkeypatch):
    """No frame takes longer packets than at the first division, and some take shorter ones."""
    frames, wanted = [sample(prior, seed) for seed in range(8)], SourceSettings(4, blocks=4)
    again = [max(map(len, encode(frame, prior, wanted))) for frame in frames]
    monkeypatch.setattr("tokcom.source.frame_blocks.DIVISIONS", 1)
    once = [max(map(len, encode(frame, prior, wanted))) for frame in frames]
    assert all(a <= b for a, b in zip(again, once, strict=True)) and sum(again) < sum(once)


def test_no_region_exceeds_the_largest_number_of_tokens(prior, uneven):
    for most in (16, 17, 20, 64):
        sizes = [len(region.places) for region in regions_of(encode(uneven, prior, SourceSettings(4, 4), most), (8, 8))]
        assert sum(sizes) == 64 and max(sizes) <= most
    with pytest.raises(ParameterError, match="blocks is 4; a frame of 64 tokens needs at least 5"):
        encode(uneven, prior, SourceSettings(4, 4), 15)


@pytest.mark.parametrize("gone", [0, 1, 3])
def test_a_lost_block_costs_its_tokens_alone(prior, uneven, gone):
    wanted = SourceSettings(4, blocks=4)
    coded = encode(uneven, prior, wanted)
    held = [None if number == gone else data for number, data in enumerate(coded)]
    found = decode(held, without_tokens(uneven), prior, wanted)
    assert set(np.flatnonzero(found.lost)) == set(regions_of(coded, (8, 8))[gone].places)
    np.testing.assert_array_equal(found.tokens[~found.lost], uneven.tokens[~found.lost])


def test_any_block_is_decoded_alone(prior, uneven):
    wanted = SourceSettings(4, blocks=3)
    coded = encode(uneven, prior, wanted)
    for number, data in enumerate(coded):
        alone = decode([data if each == number else None for each in range(3)], without_tokens(uneven), prior, wanted)
        region = regions_of(coded, (8, 8))[number]
        assert set(np.flatnonzero(~alone.lost)) == set(region.places)


def test_blocks_that_claim_the_same_token_are_not_believed(prior, uneven):
    """Two whole blocks of different divisions: nobody can tell which of them belongs to the frame."""
    wanted = SourceSettings(4, blocks=4)
    pairs = [(0, 20), (18, 30), (30, 50), (50, 64)]
    regions = [Region((8, 8), number, 4, *pair) for number, pair in enumerate(pairs)]
    found, errors = decode_intact(coded_as(regions, uneven, prior, wanted), without_tokens(uneven), prior, wanted)
    assert [str(each) for each in errors] == [
        "frame 3, block 1 of 4: its tokens, 0 to 20 on the Z-order curve, are also another block's",
        "frame 3, block 2 of 4: its tokens, 18 to 30 on the Z-order curve, are also another block's",
    ]
    held = np.concatenate([region.places for region in regions[2:]])
    assert set(np.flatnonzero(~found.lost)) == set(held) and (found.tokens[held] == uneven.tokens[held]).all()


def test_what_no_block_claims_is_lost(prior, uneven):
    wanted = SourceSettings(4, blocks=2)
    regions = [Region((8, 8), 0, 2, 0, 20), Region((8, 8), 1, 2, 40, 64)]
    found = decode(coded_as(regions, uneven, prior, wanted), without_tokens(uneven), prior, wanted)
    assert found.lost.sum() == 20 and (found.tokens == uneven.tokens).sum() == 44


@settings(max_examples=40)
@given(st.data())
def test_damage_is_told(prior, uneven, data):
    """Flipped, cut or made up: blocks in order or SourceErrors, nothing else."""
    wanted = SourceSettings(3, blocks=3)
    coded = encode(uneven, prior, wanted)
    number = data.draw(st.integers(0, 2))
    whole = coded[number]
    kind = data.draw(st.sampled_from(["flip", "cut", "garbage"]))
    if kind == "flip":
        bit = data.draw(st.integers(0, 8 * len(whole) - 1))
        whole = bytes(byte ^ (128 >> bit % 8 if place == bit // 8 else 0) for place, byte in enumerate(whole))
    elif kind == "cut":
        whole = whole[: data.draw(st.integers(0, len(whole) - 1))]
    else:
        whole = data.draw(st.binary(max_size=40))
    received = [whole if each == number else block for each, block in enumerate(coded)]
    found, errors = decode_intact(received, without_tokens(uneven), prior, wanted)
    assert all(str(error).startswith("frame 3, block ") for error in errors)
    others = [region.places for region in regions_of(coded, (8, 8)) if region.number != number]
    for places in others:
        assert found.lost[places].all() or (found.tokens[places] == uneven.tokens[places]).all()


def test_flipped_bounds_do_not_pass_as_others(prior, sample):
    """Every bit of the bounds of coded blocks."""
    frame, wanted = sample(prior, 3), SourceSettings(4, blocks=4)
    coded = encode(frame, prior, wanted)
    for number, data in enumerate(coded):
        width = bounds_width(number, 4, prior.grid)
        assert np.unpackbits(np.frombuffer(data, np.uint8))[width] == 1
        for bit in range(width):
            bits = np.unpackbits(np.frombuffer(data, np.uint8))
            bits[bit] ^= 1
            received = [np.packbits(bits).tobytes() if each == number else None for each in range(4)]
            with pytest.raises(SourceError, match=f"frame 3, block {number + 1} of 4: "):
                decode(received, without_tokens(frame), prior, wanted)


def test_what_is_refused(prior, uneven):
    with pytest.raises(SourceError, match="frame 3 lacks 1 tokens"):
        encode(uneven.with_tokens(np.where(np.arange(64) == 9, LOST, uneven.tokens)), prior, SourceSettings(4, 2))
    with pytest.raises(ParameterError, match="blocks is 65"):
        encode(uneven, prior, SourceSettings(blocks=65))
    with pytest.raises(ParameterError, match="blocks is 65"):
        decode([b"x"] * 65, uneven, prior, SourceSettings(blocks=65))
    with pytest.raises(SourceError, match="1 blocks given; the frame has 2"):
        decode([b"x"], uneven, prior, SourceSettings(blocks=2))
    with pytest.raises(SourceError, match="block 1 of 2: it ends after 0 of the 6 bits of its region"):
        decode([b"", None], uneven, prior, SourceSettings(blocks=2))
    with pytest.raises(ModelError, match="codebook other"):
        encode(replace(uneven, codebook="other"), prior, SourceSettings(4, 2))
