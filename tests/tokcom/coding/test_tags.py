"""Secret tags in place of CRCs: lists decode with them as a part of the code, and believe no more than they may."""

import numpy as np
import pytest

from tokcom.coding.list_decoding import ListSettings
from tokcom.coding.packet_codec import PacketCodec
from tokcom.packets.bits import tokens_to_bits
from tokcom.packets.universal_hash import UniversalHash


def a_tag(rng, n_bits, width=8):
    return UniversalHash(rng.integers(0, 256, -(-(n_bits + width - 1) // 8), np.uint8), width, n_bits)


def test_lists_find_the_likeliest_packet_whose_tag_holds_and_its_share_among_all_pairs():
    """Against every token with every tag, one by one."""
    rng, codec = np.random.default_rng(1), PacketCodec("k7", 64, 1, tag_bits=8)
    tag, presets = a_tag(rng, 6), rng.integers(0, 256, 12)
    llrs = (2 * rng.standard_normal((12, codec.coded_length))).astype(np.float32)
    priors = np.log(rng.dirichlet(np.ones(64), (12, 1))).astype(np.float32)
    decoder = codec.list_decoder
    got = decoder.decode(decoder.steps(llrs), priors, ListSettings(64), presets, tag)
    tokens, values = np.arange(64), np.arange(256)
    for row in range(12):
        pairs = np.concatenate(
            [
                np.repeat(tokens_to_bits(tokens[:, None], 6), 256, axis=0),
                np.tile(tokens_to_bits(values[:, None], 8), (64, 1)),
            ],
            axis=1,
        )
        metrics = (codec.code.encode(pairs) @ llrs[row].astype(float)).reshape(64, 256) + priors[row, 0][:, None]
        own = tag.append(tokens_to_bits(tokens[:, None], 6), np.full(64, presets[row]))[:, 6:] @ (
            1 << np.arange(8)[::-1]
        )
        best = np.argmax(metrics[tokens, own])
        assert got.tokens[row, 0] == best
        share = metrics[best, own[best]] - np.logaddexp.reduce(metrics, axis=None)
        assert got.log_share[row] == pytest.approx(share, abs=1e-3)


def test_decoding_takes_the_tag_that_is_told_and_no_other():
    rng, codec = np.random.default_rng(2), PacketCodec("k7", 1024, 4, "2/3", tag_bits=32)
    tag, other, presets = a_tag(rng, 40, 32), a_tag(rng, 40, 32), rng.integers(0, 1 << 32, 20)
    packets = rng.integers(0, 1024, (20, 4))
    llrs = 8.0 * codec.encode(packets, presets, tag) - 4
    tokens, ok = codec.decode(llrs, presets, tag)
    assert ok.all() and np.array_equal(tokens, packets)
    assert not codec.decode(llrs, presets, other)[1].any() and not codec.decode(llrs, presets + 1, tag)[1].any()


@pytest.mark.parametrize("strength", [0.2, 0.7, 2.0, 8.0])
def test_forgers_pass_no_oftener_than_as_many_guesses_as_the_list_is_long(strength):
    """Whatever is sent, even and doubtful or as sure as a code word: tags of 8 bits pass once in 256 / list size."""
    rng, codec, n = np.random.default_rng(3), PacketCodec("k7", 256, 2, tag_bits=8), 512
    words = codec.encode(rng.integers(0, 256, (n, 2)), rng.integers(0, 256, n), a_tag(rng, 16))
    llrs = (strength * (2.0 * words - 1 + rng.standard_normal(words.shape))).astype(np.float32)
    priors, decoder = np.full((n, 2, 256), -np.log(256), np.float32), codec.list_decoder
    tag, presets = a_tag(rng, 16), rng.integers(0, 256, n)
    for size in (2, 8, 32):
        got = decoder.decode(decoder.steps(llrs), priors, ListSettings(size), presets, tag)
        passed, most = (got.log_share >= -np.log(size)).sum(), n * size / 256
        assert passed <= most + 4 * np.sqrt(most)
    # As sure as a code word, the only pair is that of the forger's own guess.
    assert strength < 8 or abs(passed - n / 256) <= 4 * np.sqrt(n / 256)
