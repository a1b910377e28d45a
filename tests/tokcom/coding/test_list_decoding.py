"""List decoding against an enumeration of every token sequence there is."""

import itertools
import multiprocessing

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tokcom.channel.awgn import awgn, noise_variance
from tokcom.coding.convolutional import ConvolutionalCode
from tokcom.coding.list_decoding import ListDecision, ListDecoder, ListSettings
from tokcom.coding.packet_codec import PacketCodec
from tokcom.context.prediction import Prediction
from tokcom.errors import ParameterError
from tokcom.modulation.constellation import Constellation
from tokcom.packets.bits import tokens_to_bits
from tokcom.packets.crc import Crc

SMALL = [("k3", "crc11", 4, 3, 13), ("k7", "crc16", 3, 3, 8), ("k5", "crc16", 6, 2, 50), ("k7", "crc11", 7, 2, 100)]
"""Code, CRC, bits a token, tokens a packet, codebook: tokens longer and shorter than the encoder's memory."""


def small_decoder(code, crc, width, n_tokens, rate="1/2"):
    return ListDecoder(ConvolutionalCode.named(code, rate), Crc.named(crc), width, n_tokens)


def every_sequence(decoder, steps, log_priors, preset=None):
    """All sequences (m, n_tokens) and their metrics, step by step through the encoder."""
    size = log_priors.shape[-1]
    sequences = np.array(list(itertools.product(range(size), repeat=decoder.n_tokens)))
    presets = None if preset is None else np.full(len(sequences), preset)
    bits = decoder.crc.append(tokens_to_bits(sequences, decoder.token_bits), presets)
    bits = np.pad(bits, ((0, 0), (0, decoder.code.tail)))
    state = np.zeros(len(bits), int)
    metric = log_priors[np.arange(decoder.n_tokens), sequences].sum(axis=1, dtype=float)
    for t in range(bits.shape[1]):
        metric += steps[t, decoder.code.outputs[state, bits[:, t]]]
        state = (state << 1 | bits[:, t]) % len(decoder.code.outputs)
    return sequences, metric


def random_case(decoder, size, seed):
    rng = np.random.default_rng(seed)
    length = decoder.code.coded_length(decoder.n_tokens * decoder.token_bits + decoder.crc.width)
    llrs = rng.normal(0, rng.uniform(0.5, 4), (1, length)).astype(np.float32)
    priors = np.log(rng.dirichlet(np.full(size, 0.3), (1, decoder.n_tokens)) + 1e-30).astype(np.float32)
    return decoder.steps(llrs), priors


@given(case=st.sampled_from(SMALL), rate=st.sampled_from(("1/2", "2/3", "3/4")), seed=st.integers(0, 10**6))
def test_a_proven_winner_is_the_best_of_all_sequences(case, rate, seed):
    decoder = small_decoder(*case[:4], rate)
    steps, priors = random_case(decoder, case[4], seed)
    sequences, metric = every_sequence(decoder, steps[0], priors[0])
    found = decoder.decode(steps, priors, ListSettings(20_000))
    assert found.exact[0] and np.array_equal(found.tokens[0], sequences[metric.argmax()])


def test_a_fork_decodes_as_its_parent_does():
    """More packets than one thread takes, so that the threads are asked, which a fork does not inherit."""
    decoder = small_decoder("k3", "crc11", 4, 3)
    cases = [random_case(decoder, 13, seed) for seed in range(12)]
    steps, priors = (np.concatenate(each) for each in zip(*cases, strict=True))
    here = decoder.decode(steps, priors, ListSettings(100)).tokens
    with multiprocessing.get_context("fork").Pool(1) as pool:
        there = pool.apply_async(decode, (decoder, steps, priors)).get(120)
    assert np.array_equal(here, there)


def decode(decoder, steps, priors):
    return decoder.decode(steps, priors, ListSettings(100)).tokens


@given(case=st.sampled_from(SMALL), seed=st.integers(0, 10**6))
def test_packets_whose_crcs_are_preset_differ_in_their_winners(case, seed):
    decoder = small_decoder(*case[:4])
    steps, priors = (np.repeat(each, 3, axis=0) for each in random_case(decoder, case[4], seed))
    presets = np.random.default_rng(seed).integers(0, 1 << decoder.crc.width, 3)
    found = decoder.decode(steps, priors, ListSettings(20_000), presets)
    for row, preset in enumerate(presets):
        sequences, metric = every_sequence(decoder, steps[row], priors[row], preset)
        assert found.exact[row] and np.array_equal(found.tokens[row], sequences[metric.argmax()])


@given(case=st.sampled_from(SMALL), seed=st.integers(0, 10**6))
def test_the_bound_holds_what_the_list_left_out(case, seed):
    """True share of the unlisted: one less the listed winner's true posterior over its posterior within the list."""
    decoder = small_decoder(*case[:4])
    steps, priors = random_case(decoder, case[4], seed)
    _, metric = every_sequence(decoder, steps[0], priors[0])
    true = 1 / np.exp(metric - metric.max()).sum()
    found = decoder.decode(steps, priors, ListSettings(20_000))
    within = found.posterior[0] / (1 - found.left_out[0])
    assert true >= within * (1 - found.left_out_bound[0]) - 1e-5
    assert 0 <= found.left_out[0] <= 1 and found.left_out_bound[0] >= -1e-12


@pytest.mark.parametrize(("width", "n_tokens"), [(4, 3), (7, 1), (2, 5)])
def test_without_a_check_posteriors_are_exact(width, n_tokens):
    """No CRC: nothing is estimated, and the token posteriors are those of the enumeration."""
    decoder = small_decoder("k5", "none", width, n_tokens)
    for seed in range(20):
        steps, priors = random_case(decoder, 1 << width, seed)
        sequences, metric = every_sequence(decoder, steps[0], priors[0])
        share = np.exp(metric - metric.max())
        total = metric.max() + np.log(share.sum()) - steps[0].max(axis=1).sum(dtype=float)
        share /= share.sum()
        found = decoder.decode(steps, priors, ListSettings(20_000, reach=200))
        assert found.posterior[0] == pytest.approx(share.max(), abs=1e-6)
        assert found.evidence[0] == pytest.approx(total, abs=1e-4)
        expected = np.zeros((n_tokens, 1 << width))
        for place in range(n_tokens):
            np.add.at(expected[place], sequences[:, place], share)
        assert np.abs(found.marginals[0] - expected).max() < 0.05
        assert found.marginals.sum(axis=-1) == pytest.approx(1, abs=1e-5)


def test_posteriors_count_what_comes_true():
    """Tokens drawn from the prior, 16-QAM at 3 dB: as many packets are right as their posteriors promise."""
    codec, constellation = PacketCodec("k7"), Constellation("16qam")
    rng, n = np.random.default_rng(4), 600
    tokens = rng.integers(0, 1024, (n, 4))
    symbols = awgn(constellation.map(codec.encode(tokens)), 3.0, rng)
    llrs = constellation.llrs(symbols, noise_variance(3.0), codec.coded_length, "maxlog")
    priors = np.full((n, 4, 1024), -np.log(1024), np.float32)
    found = codec.list_decoder.decode(constellation.pair_metrics(llrs), priors)
    right = (found.tokens == tokens).all(axis=1)
    spread = np.sqrt((found.posterior * (1 - found.posterior)).sum())
    assert abs(right.sum() - found.posterior.sum()) < 4 * spread
    token_right = np.take_along_axis(found.marginals, found.marginals.argmax(-1)[..., None], -1)
    assert abs((found.marginals.argmax(-1) == tokens).mean() - token_right.mean()) < 0.04
    assert (1 - right.mean()) < 0.25, "Viterbi and a CRC check lose nine packets in ten here"


def test_a_prior_can_decide_alone_and_be_ruled_out():
    codec = PacketCodec("k7", codebook_size=1000)
    nothing = codec.list_decoder.steps(np.zeros((2, codec.coded_length), np.float32))
    priors = np.full((2, 4, 1000), -np.inf, np.float32)
    priors[0, :, 7] = 0
    priors[1, :, [3, 999]] = np.log([0.25, 0.75])[:, None]
    found = codec.list_decoder.decode(nothing, priors)
    assert found.tokens.tolist() == [[7] * 4, [999] * 4]
    assert found.posterior == pytest.approx([1, 0.75**4], abs=1e-6)
    assert found.marginals[1, :, 999] == pytest.approx(0.75, abs=1e-6)


@pytest.mark.parametrize("size", [1, 2, 100, 4096])
def test_where_all_sequences_tie_the_list_is_cut_and_says_so(size):
    decoder = PacketCodec("k7").list_decoder
    found = decoder.decode(
        np.zeros((1, 62, 4), np.float32), np.full((1, 4, 1024), -np.log(1024), np.float32), ListSettings(size)
    )
    assert not found.exact[0] and found.lengths[0] <= size
    assert found.log_odds[0] == pytest.approx(-40 * np.log(2), abs=0.01)
    assert found.left_out[0] == pytest.approx(1, abs=1e-6)


def test_a_wide_codebook_and_a_line_of_one_token():
    """18 bits a token, one token a packet, an unterminated code: the sent token is found in mild noise."""
    codec = PacketCodec("k3", codebook_size=1 << 18, tokens_per_packet=1)
    tokens = np.random.default_rng(1).integers(0, 1 << 18, (2, 1))
    llrs = codec.encode(tokens) * 4.0 - 2 + np.random.default_rng(2).normal(0, 1, (2, codec.coded_length))
    priors = np.full((2, 1, 1 << 18), -18 * np.log(2), np.float32)
    found = codec.list_decoder.decode(codec.list_decoder.steps(llrs), priors)
    assert np.array_equal(found.tokens, tokens) and found.exact.all()


def test_decisions_on_packets_come_together():
    whole, part = (ListDecision.empty(Prediction.dense(np.zeros((n, 2, 4), np.float32))) for n in (3, 2))
    part.tokens[:] = 3
    part.exact[:] = True
    whole.set(np.array([0, 2]), part)
    assert whole.tokens.tolist() == [[3, 3], [0, 0], [3, 3]] and whole.exact.tolist() == [True, False, True]


def test_packets_do_not_depend_on_their_company():
    decoder = PacketCodec("k7").list_decoder
    rng = np.random.default_rng(3)
    steps = decoder.steps(rng.normal(0, 2, (9, 124)))
    priors = np.log(rng.dirichlet(np.full(1024, 0.05), (9, 4)) + 1e-30).astype(np.float32)
    together = decoder.decode(steps, priors)
    for row in range(9):
        alone = decoder.decode(steps[row : row + 1], priors[row : row + 1])
        assert np.array_equal(alone.tokens[0], together.tokens[row])
        assert alone.log_odds[0] == together.log_odds[row]


@pytest.mark.parametrize("bad", [{"list_size": 0}, {"list_size": 1 << 25}, {"reach": 0}, {"reach": 1e9}])
def test_bad_settings_are_named(bad):
    with pytest.raises(ParameterError, match=next(iter(bad))):
        ListSettings(**bad)


def test_arrays_that_do_not_fit_are_named():
    decoder = PacketCodec("k7").list_decoder
    steps, priors = np.zeros((1, 62, 4), np.float32), np.zeros((1, 4, 1024), np.float32)
    with pytest.raises(ParameterError, match=r"steps have shape \(1, 61, 4\); they must be \(n, 62, 4\)"):
        decoder.decode(steps[:, :61], priors)
    with pytest.raises(ParameterError, match="log_priors have shape"):
        decoder.decode(steps, priors[:, :3])
    with pytest.raises(ParameterError, match="log_priors have shape"):
        decoder.decode(steps, np.zeros((1, 4, 1025), np.float32))
    with pytest.raises(ParameterError, match="K=15 and 12 bits per token"):
        ListDecoder(ConvolutionalCode(15, (0o46321, 0o51271)), Crc.named("crc16"), 12, 4)
