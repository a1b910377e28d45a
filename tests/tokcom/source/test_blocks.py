import copy
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tokcom.context.prior import CAUSAL, Prior
from tokcom.errors import ModelError, ParameterError, SourceError
from tokcom.frame import LOST, TokenFrame
from tokcom.packets.halton import halton_order
from tokcom.source.blocks import SourceSettings, decode_block, encode_block, raw_bytes
from tokcom.source.frame_blocks import decode, encode
from tokcom.source.order import split_turns

pytest.importorskip("constriction")


class Noisy(Prior):
    """A context model on another machine: its log-probabilities are off by at most `size`."""

    def __init__(self, model, size, seed=0):
        self.model, self.size, self.rng = model, size, np.random.default_rng(seed)
        self.codebook, self.codebook_size = model.codebook, model.codebook_size
        self.grid, self.num_classes = model.grid, model.num_classes

    def log_probabilities(self, tokens, wanted, conditions):
        found = self.model.log_probabilities(tokens, wanted, conditions)
        return found + self.rng.uniform(-self.size, self.size, found.shape)


class Mean(Prior):
    """A context model in closed form: of a line of tokens, each is likely near the mean of those known."""

    codebook, grid, num_classes = "mean", None, 3

    def __init__(self, codebook_size):
        self.codebook_size = codebook_size

    def log_probabilities(self, tokens, wanted, conditions):
        return np.concatenate([
            np.tile(self.guess(own, condition.label), (chosen.sum(), 1))
            for own, chosen, condition in zip(tokens, wanted, conditions, strict=True)
        ])  # fmt: skip

    def guess(self, tokens, label):
        """Log-probabilities of any of a frame's lost tokens."""
        known = tokens[tokens != LOST].tolist() or [0]
        near = (sum(known) // len(known) + (label or 0)) % self.codebook_size
        return -0.3 * np.abs(np.arange(self.codebook_size) - near).astype(np.float32)


@pytest.fixture(scope="module")
def line():
    """Frames on a line, each token near the mean of those before."""

    def make(prior, length, seed, cmi=None):
        rng = np.random.default_rng(seed)
        tokens = np.full(length, LOST, np.int32)
        for place in halton_order((length,)):
            chances = np.exp(prior.guess(tokens, cmi).astype(np.float64))
            tokens[place] = rng.choice(len(chances), p=chances / chances.sum())
        return TokenFrame(tokens, "mean", prior.codebook_size, (), "text", cmi, seed)

    return make


def side_by_side(prior, frames):
    """The same model, which takes so many frames at once."""
    other = copy.copy(prior)
    other.at_once = frames
    return other


def without_tokens(frame):
    return frame.with_tokens(np.full_like(frame.tokens, LOST))


def random_frame(prior, seed, cmi=None):
    tokens = np.random.default_rng(seed).integers(0, prior.codebook_size, int(np.prod(prior.grid)))
    return TokenFrame(tokens, prior.codebook, prior.codebook_size, prior.grid, "image", cmi, seed)


@settings(max_examples=20)
@given(
    seed=st.integers(0, 1000), cmi=st.sampled_from([None, 0, 2]), turns=st.integers(1, 12), ahead=st.integers(0, 17)
)  # fmt: skip
def test_round_trip(prior, sample, seed, cmi, turns, ahead):
    frame = sample(prior, seed, cmi) if seed % 2 else random_frame(prior, seed, cmi)
    places, stated = halton_order(prior.grid)[: 1 + seed % 64], np.random.default_rng(seed).integers(0, 2, ahead)
    data = encode_block([frame], places, prior, SourceSettings(turns), stated.astype(np.uint8))
    found = decode_block(data, [without_tokens(frame)], places, prior, SourceSettings(turns), ahead)
    np.testing.assert_array_equal(found, [frame.tokens[places]])
    np.testing.assert_array_equal(np.unpackbits(np.frombuffer(data, np.uint8))[:ahead], stated)
    assert len(data) <= raw_bytes(len(places), 6, ahead) == -(-(ahead + 1 + 6 * len(places)) // 8)


@settings(max_examples=20)
@given(st.integers(2, 300), st.integers(1, 200), st.integers(0, 100))
def test_codebooks_and_lines_of_any_size(line, words, length, seed):
    prior = Mean(words)
    frame = line(prior, length, seed, cmi=seed % 3)
    assert decode(encode(frame, prior), without_tokens(frame), prior) == frame


def test_several_frames_in_one_block(prior, sample):
    frames = [sample(prior, seed, cmi) for seed, cmi in enumerate([None, 1, 2, 0, None])]
    places = halton_order(prior.grid)
    data = encode_block(frames, places, side_by_side(prior, 2), SourceSettings())
    found = decode_block(data, list(map(without_tokens, frames)), places, side_by_side(prior, 5), SourceSettings())
    np.testing.assert_array_equal(found, [frame.tokens[places] for frame in frames])
    assert len(data) < sum(len(encode(frame, prior)[0]) for frame in frames)


def test_length_is_the_information(line):
    """Within .5% of what the model says, beyond the mark, the check and the end of a byte."""
    prior = Mean(256)
    frames = [line(prior, 256, seed) for seed in range(16)]
    turns = SourceSettings(turns=20)
    order = halton_order((256,))
    information = 0.0
    seen = np.full((16, 256), LOST, np.int32)
    tokens = np.stack([frame.tokens for frame in frames])
    for turn in split_turns(order, 20):
        for known, own in zip(seen, tokens, strict=True):
            logs = prior.guess(known, None).astype(np.float64)
            logs -= np.log(np.exp(logs).sum())
            information -= logs[own[turn]].sum() / np.log(2)
            known[turn] = own[turn]
    coded = 8 * len(encode_block(frames, order, prior, turns))
    assert 0 < coded - information < 17 + 8 + 0.005 * information


@pytest.mark.parametrize("seed", range(8))
def test_a_decoder_that_is_a_little_off_decodes_exactly(prior, sample, seed):
    frame = sample(prior, seed, 1)
    coded = encode(frame, prior)
    assert decode(coded, without_tokens(frame), Noisy(prior, 5e-5, seed)) == frame


def test_a_decoder_that_is_far_off_is_told(prior, sample):
    frame, told = sample(prior, 1), 0
    coded = encode(frame, prior)
    for seed in range(20):
        with pytest.raises(SourceError, match=r"frame 1, block 1 of 1: .*coded with another model|not valid"):
            decode(coded, without_tokens(frame), Noisy(prior, 0.1, seed))
        told += 1
    assert told == 20


def test_other_labels_and_codebooks_are_told(prior, sample):
    frame = sample(prior, 1, cmi=2)
    coded = encode(frame, prior)
    with pytest.raises(SourceError, match=r"another model|not valid"):
        decode(coded, replace(without_tokens(frame), cmi=1), prior)
    with pytest.raises(ModelError, match="codebook other"):
        decode(coded, replace(without_tokens(frame), codebook="other"), prior)


def test_what_nothing_predicts_is_sent_as_it_is(prior):
    frame = random_frame(prior, 5)
    (data,) = encode(frame, prior)
    assert len(data) == raw_bytes(64, 6) == 49
    bits = np.unpackbits(np.frombuffer(data, np.uint8))
    assert bits[0] == 0
    order = halton_order(prior.grid)
    np.testing.assert_array_equal(bits[1:385].reshape(64, 6) @ [32, 16, 8, 4, 2, 1], frame.tokens[order])
    tight = encode(frame, prior, SourceSettings(margin=0.09))  # no dither anywhere
    assert decode(tight, without_tokens(frame), prior) == frame


def test_without_a_dither_decisions_are_coded_flat(line):
    prior = Mean(256)
    frame = line(prior, 600, 1)
    good, flat = encode(frame, prior)[0], encode(frame, prior, SourceSettings(margin=0.09))[0]
    assert len(good) < len(flat) <= raw_bytes(600, 8)
    assert decode([flat], without_tokens(frame), prior) == frame


def test_the_code_is_what_it_was():
    """A block that was written once decodes for ever."""
    prior, wanted = Mean(200), SourceSettings(turns=20)
    tokens = np.full(60, LOST, np.int32)
    for number, place in enumerate(halton_order((60,))):
        tokens[place] = 60 + number * number % 7 - number // 2
    frame = TokenFrame(tokens, "mean", 200, (), "text", 2)
    data = bytes.fromhex(
        "84f7ffff33ce5ebdc9579f8c74f1aa8512e68b62ea62c84166fcc0c1"
        "2a14caca9987828ade28d17d754cde3ec3088ef65da08c9cdd00001440"
    )
    assert decode([data], without_tokens(frame), prior, wanted) == frame
    assert encode(frame, prior, wanted) == [data]


@settings(max_examples=40)
@given(st.data())
def test_damage_is_told(prior, sample, data):
    """Flipped, cut or made up: the frame or a SourceError, nothing else."""
    frame = sample(prior, 7)
    (whole,) = encode(frame, prior)
    kind = data.draw(st.sampled_from(["flip", "cut", "garbage", "longer"]))
    if kind == "flip":
        number = data.draw(st.integers(0, 8 * len(whole) - 1))
        broken = bytes(byte ^ (128 >> number % 8 if place == number // 8 else 0) for place, byte in enumerate(whole))
    elif kind == "cut":
        broken = whole[: data.draw(st.integers(0, len(whole) - 1))]
    elif kind == "garbage":
        broken = data.draw(st.binary(max_size=80))
    else:
        broken = whole + data.draw(st.binary(min_size=1, max_size=1000))
    try:
        found = decode([broken], without_tokens(frame), prior)
    except SourceError as error:
        assert str(error).startswith("frame 7, block 1 of 1: ")
    else:
        # Nobody can tell made-up raw tokens; and a flipped bit behind the last decision changes nothing.
        assert not np.unpackbits(np.frombuffer(broken, np.uint8))[0] or found == frame


def test_what_is_refused(prior):
    frame = random_frame(prior, 0)
    for wrong in ({"turns": 0}, {"turns": 256}, {"blocks": 0}, {"margin": 0.1}, {"margin": -1}):
        with pytest.raises(ParameterError, match=next(iter(wrong))):
            SourceSettings(**wrong)
    with pytest.raises(SourceError, match="frame 0 lacks 1 tokens"):
        encode(frame.with_tokens(np.where(np.arange(64) == 9, LOST, frame.tokens)), prior)
    causal = copy.copy(prior)
    causal.order = CAUSAL
    with pytest.raises(ModelError, match="order 'causal'"):
        encode(frame, causal)
    with pytest.raises(SourceError, match="it has 50 bytes"):
        decode([bytes(49) + b"\1"], frame, prior)
    with pytest.raises(SourceError, match="outside the codebook of 48"):
        decode([b"\x7f" + 48 * b"\xff"], frame, prior)
    places = halton_order(prior.grid)
    with pytest.raises(SourceError, match="it ends after 1 bytes, within the bits ahead of its tokens"):
        decode_block(b"x", [frame], places, prior, SourceSettings(), ahead=8)


def test_the_hash_covers_what_is_ahead(prior, sample):
    frame, places = sample(prior, 1), halton_order(prior.grid)
    data = encode_block([frame], places, prior, SourceSettings(), np.array([1, 0, 1, 0], np.uint8))
    with pytest.raises(SourceError, match="its check fails"):
        decode_block(bytes([data[0] ^ 64]) + data[1:], [frame], places, prior, SourceSettings(), ahead=4)


def test_photographs(photographs):
    """The model that ships, coded side by side and decoded frame by frame."""
    from tokcom.models.zoo import load_context, load_tokenizer
    from tokcom.tokenizers.pictures import load_picture

    prior, tokenizer = load_context("caltech64", "cpu"), load_tokenizer("caltech64", 0)
    frames = [tokenizer.tokenize(load_picture(path), cmi=number) for number, path in enumerate(photographs[:2])]
    places = halton_order(prior.grid)
    data = encode_block(frames, places, side_by_side(prior, 2), SourceSettings(4))
    assert 8 * len(data) < 0.8 * 10 * 256 * len(frames)
    found = decode_block(data, list(map(without_tokens, frames)), places, prior, SourceSettings(4))
    np.testing.assert_array_equal(found, [frame.tokens[places] for frame in frames])
