"""List decoding with few named words against the same prior written out for all words."""

from dataclasses import replace

import numpy as np
import pytest

from tokcom.coding.list_decoding import PREFERRED_WORDS
from tokcom.coding.packet_codec import PacketCodec
from tokcom.context.prediction import Prediction
from tokcom.errors import ParameterError
from tokcom.modulation.constellation import Constellation

PACKETS, TOKENS = 12, 4


def a_channel(size, esn0_db, named, seed=0):
    """Trellis steps of packets in noise, whose tokens follow a prior of few likely words; that prior; the tokens."""
    rng = np.random.default_rng(seed)
    codec, qam = PacketCodec("k7", size, TOKENS), Constellation("16qam")
    shares = rng.dirichlet(np.full(size, 0.02), (PACKETS, TOKENS))
    prior = Prediction.dense(np.log(np.maximum(shares, 1e-12)).astype(np.float32)).top(named)
    drawn = [[rng.choice(size, p=row) for row in packet] for packet in shares]
    tokens = np.where(rng.random((PACKETS, TOKENS)) < 0.8, drawn, rng.integers(0, size, (PACKETS, TOKENS)))
    symbols = qam.map(codec.encode(tokens))
    variance = 10 ** (-esn0_db / 10)
    noise = rng.standard_normal((*symbols.shape, 2)) @ [1, 1j] * np.sqrt(variance / 2)
    llrs = qam.llrs(symbols + noise, variance, codec.coded_length, "maxlog")
    return codec.list_decoder, codec.list_decoder.steps(llrs), prior, tokens


def of_even_words(size):
    """The same of tokens that are all as likely, at 8 dB."""
    rng = np.random.default_rng(5)
    codec, qam = PacketCodec("k7", size, TOKENS), Constellation("16qam")
    tokens = rng.integers(0, size, (PACKETS, TOKENS))
    tokens[0] = size - 1, 0, size - 1, size - 2
    symbols = qam.map(codec.encode(tokens))
    noise = rng.standard_normal((*symbols.shape, 2)) @ [1, 1j] * np.sqrt(10**-0.8 / 2)
    llrs = qam.llrs(symbols + noise, 10**-0.8, codec.coded_length, "maxlog")
    return codec.list_decoder, codec.list_decoder.steps(llrs), tokens


@pytest.mark.parametrize("levels", [True, False])
@pytest.mark.parametrize(
    ("size", "named", "esn0_db"), [(1000, 20, 4.0), (1024, 300, 2.0), (700, 5, 5.0), (65, 3, 3.0), (9000, 20, 4.0)]
)
def test_it_decides_as_with_all_words_written_out(size, named, esn0_db, levels):
    decoder, steps, prior, tokens = a_channel(size, esn0_db, named)
    if not levels:
        prior = replace(prior, levels=None)
    written_out = prior.at(np.broadcast_to(np.arange(size), (PACKETS, TOKENS, size)))
    assert np.exp(written_out.astype(float)).sum(axis=-1) == pytest.approx(1, abs=2e-2 if levels else 1e-5)
    few, all_ = decoder.decode(steps, prior), decoder.decode(steps, written_out)
    assert np.array_equal(few.tokens, all_.tokens) and (few.tokens == tokens).all(axis=1).mean() > 0.4
    # Where all words are looked at one by one the sums are the same; where not, those of hopeless packets differ.
    close = {"abs": 1e-6} if size <= named + PREFERRED_WORDS else {"abs": 0.01, "rel": 0.05}
    hopeful = all_.log_odds > -3
    for name in ("log_odds", "evidence", "left_out"):
        assert getattr(few, name)[hopeful] == pytest.approx(getattr(all_, name)[hopeful], **close), name
    chosen = np.take_along_axis(all_.marginals, np.maximum(few.words, 0), -1)
    assert few.marginals == pytest.approx(np.where(few.words < 0, 0, chosen), abs=0.01)
    assert not few.marginals[few.words < 0].any() and (few.marginals.sum(axis=-1) < 1 + 1e-5).all()


def test_words_that_are_not_named_keep_their_own_probability():
    """Each token's word is told by its level alone: the channel has nothing to say, and the check tells twins apart."""
    decoder, steps, tokens = of_even_words(9000)
    levels = np.full((PACKETS, TOKENS, 9000), 160, np.uint8)
    np.put_along_axis(levels, tokens[..., None], 1, -1)
    named = Prediction.even((PACKETS, TOKENS), 9000)
    found = decoder.decode(np.zeros_like(steps), replace(named, levels=levels))
    assert np.array_equal(found.tokens, tokens) and (found.posterior > 0.8).all()


def test_a_word_that_cannot_be_is_not_taken_whatever_the_channel_says():
    decoder, steps, tokens = of_even_words(9000)
    levels = np.full((PACKETS, TOKENS, 9000), 73, np.uint8)
    np.put_along_axis(levels, tokens[:, :1, None], 255, -1)
    named = Prediction.even((PACKETS, TOKENS), 9000)
    found = decoder.decode(steps, replace(named, levels=levels))
    assert not (found.tokens[:, 0] == tokens[:, 0]).any()


def test_a_large_vocabulary_is_decoded_though_the_prior_names_none_of_the_words_sent():
    size = 151_936
    decoder, steps, tokens = of_even_words(size)
    found = decoder.decode(steps, Prediction.even((PACKETS, TOKENS), size))
    assert np.array_equal(found.tokens, tokens) and (found.posterior > 0.9).all()
    assert (found.tokens < size).all()


def test_words_that_cannot_be_are_not_decided_on():
    """All mass on the words named: where the channel says another, none of those is taken."""
    decoder, steps, tokens = of_even_words(9000)
    words = np.broadcast_to(np.arange(3, dtype=np.int32), (PACKETS, TOKENS, 3))
    prior = Prediction(
        np.full(words.shape, np.log(1 / 3), np.float32), 9000, words.copy(), np.full(words.shape[:2], -3e38, np.float32)
    )
    found = decoder.decode(steps, prior)
    assert (found.tokens < 3).all() and not (found.tokens == tokens).all(axis=1).any()


def test_tokens_that_do_not_fill_the_codes_memory_need_all_words():
    decoder = PacketCodec("k7", 16, 2).list_decoder
    steps = np.zeros((1, 2 * 4 + decoder.crc.width + decoder.code.tail, 4), np.float32)
    with pytest.raises(ParameterError, match="tokens of 4 bits do not fill the memory of K=7"):
        decoder.decode(steps, Prediction.even((1, 2), 16))
