from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tokcom.channel.awgn import awgn, noise_variance
from tokcom.errors import FrameError, ParameterError
from tokcom.link.packet_link import LinkConfig, PacketLink
from tokcom.link.packets import MixedPackets
from tokcom.mcs import find_mcs, mcs_table
from tokcom.packets.crc import Crc
from tokcom.packets.identity import PacketIdentity
from tokcom.packets.labels import TokenLabels
from tokcom.packets.mcs_map import MCS_NOT_SENT

pytestmark = pytest.mark.filterwarnings("error")

IDENTITY = PacketIdentity(5, 77, 0x12345678)
SIZES = st.sampled_from((2, 3, 1000, 1024, 8192, 1 << 18))
MCS_MAPS = st.lists(st.sampled_from((*range(15), MCS_NOT_SENT)), min_size=1, max_size=40)


@given(
    n_packets=st.integers(1, 100), size=SIZES, per_packet=st.integers(1, 7), code=st.sampled_from(("k3", "k7")),
    modulation=st.sampled_from(("bpsk", "qpsk", "16qam", "64qam")), rate=st.sampled_from(("1/2", "2/3", "3/4")),
    llr=st.sampled_from(("", "exact", "maxlog")), seed=st.integers(0, 2**32 - 1),
)  # fmt: skip
def test_any_packets_cross_a_clean_channel(n_packets, size, per_packet, code, modulation, rate, llr, seed):
    link = PacketLink(LinkConfig(code, modulation, per_packet, llr, rate), size)
    packets = np.random.default_rng(seed).integers(0, size, (n_packets, per_packet))
    tokens, ok = link.decode(link.demap(link.modulate(packets), noise_variance(25)))
    assert ok.all() and np.array_equal(tokens, packets)


def test_a_failed_packet_takes_no_other_with_it():
    link = PacketLink(LinkConfig())
    packets = np.random.default_rng(5).integers(0, 1024, (64, 4))
    symbols = link.modulate(packets)
    symbols[7] = awgn(np.zeros_like(symbols[7]), -10, np.random.default_rng(0))
    tokens, ok = link.decode(link.demap(symbols, noise_variance(20)))
    assert np.flatnonzero(~ok).tolist() == [7]
    assert np.array_equal(np.delete(tokens, 7, axis=0), np.delete(packets, 7, axis=0))


def test_bad_links_are_named():
    for bad in ({"code": "k8"}, {"modulation": "8psk"}, {"tokens_per_packet": 0}, {"llr": "soft"}, {"rate": "7/8"}):
        with pytest.raises(ParameterError, match=str(next(iter(bad.values())))):
            LinkConfig(**bad)


@given(mcs=MCS_MAPS, size=SIZES, per_packet=st.integers(1, 9), seed=st.integers(0, 2**32 - 1))
def test_packets_of_mixed_mcs_come_back_but_for_those_not_sent(mcs, size, per_packet, seed):
    coded = MixedPackets(size, per_packet, np.array(mcs))
    packets = np.random.default_rng(seed).integers(0, size, (len(mcs), per_packet))
    symbols = coded.map(coded.encode(packets, IDENTITY))
    tokens, ok = coded.decode(coded.demap(symbols, np.full(symbols.shape, 0.003, np.float32)), IDENTITY)
    sent = np.array(mcs) != MCS_NOT_SENT
    assert np.array_equal(ok, sent) and np.array_equal(tokens[sent], packets[sent]) and not tokens[~sent].any()


@given(mcs=MCS_MAPS, seed=st.integers(0, 2**32 - 1))
def test_each_packet_is_coded_and_mapped_as_it_would_be_alone(mcs, seed):
    """In order, one packet's symbols after the other's."""
    coded = MixedPackets(1024, 4, np.array(mcs))
    packets = np.random.default_rng(seed).integers(0, 1024, (len(mcs), 4))
    alone = []
    presets = Crc.named("crc16").presets(IDENTITY.bits(len(mcs)))
    for index, packet, preset in zip(mcs, packets, presets, strict=True):
        if index != MCS_NOT_SENT:
            row = find_mcs(index)
            bits = row.codec(1024, 4).encode(packet[None], preset[None])
            alone.append(row.constellation().map(bits)[0])
    symbols = coded.map(coded.encode(packets, IDENTITY))
    assert np.array_equal(symbols, np.concatenate([np.zeros(0, np.complex64), *alone]))
    assert coded.symbols[coded.symbols > 0].tolist() == list(map(len, alone))
    assert coded.bits.sum() == len(coded.encode(packets, IDENTITY))


def test_soft_values_are_those_of_each_packet_alone():
    """Noise that differs from symbol to symbol stays with its symbol."""
    rng = np.random.default_rng(1)
    mcs = rng.permutation(np.repeat([row.index for row in mcs_table()] + [MCS_NOT_SENT], 3))
    coded = MixedPackets(1024, 4, mcs)
    variance = rng.uniform(0.01, 1, coded.symbols.sum()).astype(np.float32)
    noise = rng.normal(size=(2, len(variance)))
    received = coded.map(coded.encode(rng.integers(0, 1024, (len(mcs), 4)), IDENTITY)) + 0.3 * (
        noise[0] + 1j * noise[1]
    )
    expected = []
    for index, last, length in zip(mcs, np.cumsum(coded.symbols), coded.symbols, strict=True):
        if length:
            row, place = find_mcs(int(index)), slice(last - length, last)
            n_bits = row.codec(1024, 4).coded_length
            constellation = row.constellation()
            expected.append(constellation.llrs(received[None, place], variance[None, place], n_bits, "maxlog")[0])
    assert np.allclose(coded.demap(received, variance), np.concatenate(expected), rtol=1e-5, atol=1e-4)


def test_no_packets_at_all_take_no_symbols():
    coded = MixedPackets(1024, 4, np.full(3, MCS_NOT_SENT))
    symbols = coded.map(coded.encode(np.ones((3, 4), int), IDENTITY))
    assert symbols.shape == (0,)
    tokens, ok = coded.decode(coded.demap(symbols, np.zeros(0, np.float32)), IDENTITY)
    assert tokens.tolist() == [[0] * 4] * 3 and not ok.any()


@pytest.mark.parametrize("bad", [16, 255, 262, -1])
def test_an_mcs_that_is_none_is_named(bad):
    with pytest.raises(ParameterError, match=f"mcs holds {bad}; it must be 0 to 14, or 15"):
        MixedPackets(1024, 4, np.array([0, bad, 3]))


def test_lengths_that_do_not_fit_are_named():
    coded = MixedPackets(1024, 4, np.array([6, 3]))
    with pytest.raises(FrameError, match="3 packets do not match 2 MCS"):
        coded.encode(np.zeros((3, 4), int), IDENTITY)
    with pytest.raises(FrameError, match=r"bits have shape \(247,\).*\(248,\)"):
        coded.map(np.zeros(247, np.uint8))
    with pytest.raises(FrameError, match=r"symbols have shape \(92,\).*\(93,\)"):
        coded.demap(np.zeros(92, np.complex64), np.ones(92))
    with pytest.raises(FrameError, match=r"noise variances have shape \(92,\).*\(93,\)"):
        coded.demap(np.zeros(93, np.complex64), np.ones(92))
    with pytest.raises(FrameError, match=r"LLRs have shape \(1, 248\).*\(248,\)"):
        coded.decode(np.zeros((1, 248), np.float32), IDENTITY)


@given(mcs=MCS_MAPS, size=st.sampled_from((2, 1000, 1024)), seed=st.integers(0, 2**32 - 1))
def test_labelled_tokens_are_sent_as_their_labels_and_come_back(mcs, size, seed):
    rng = np.random.default_rng(seed)
    labels = TokenLabels(rng.permutation(size))
    plain, labelled = (MixedPackets(size, 3, np.array(mcs), each) for each in (None, labels))
    packets = rng.integers(0, size, (len(mcs), 3))
    bits = labelled.encode(packets, IDENTITY)
    assert np.array_equal(bits, plain.encode(labels.of_tokens[packets], IDENTITY))
    symbols = labelled.map(bits)
    tokens, ok = labelled.decode(labelled.demap(symbols, np.full(symbols.shape, 0.003, np.float32)), IDENTITY)
    sent = np.array(mcs) != MCS_NOT_SENT
    assert np.array_equal(ok, sent) and np.array_equal(tokens[sent], packets[sent])


def test_list_decoding_under_labels_is_that_of_the_labels_with_their_priors():
    rng = np.random.default_rng(8)
    labels = TokenLabels(rng.permutation(50))
    mcs = np.array([6, 3, MCS_NOT_SENT, 6])
    plain, labelled = MixedPackets(50, 2, mcs), MixedPackets(50, 2, mcs, labels)
    packets = rng.integers(0, 50, (4, 2))
    symbols = awgn(labelled.map(labelled.encode(packets, IDENTITY)), 2, rng)
    llrs = labelled.demap(symbols, np.full(len(symbols), noise_variance(2), np.float32))
    priors = np.log(rng.dirichlet(np.ones(50), (4, 2))).astype(np.float32)
    of_labels = np.empty_like(priors)
    of_labels[..., labels.of_tokens] = priors
    expected = plain.list_decode(llrs, np.arange(4), of_labels, IDENTITY)
    found = labelled.list_decode(llrs, np.arange(4), priors, IDENTITY)
    assert np.array_equal(labels.of_tokens[found.tokens], expected.tokens)
    assert np.array_equal(found.log_odds, expected.log_odds)
    for token in range(50):
        assert np.array_equal(found.marginals[..., token], expected.marginals[..., labels.of_tokens[token]])


def test_labels_of_another_codebook_and_tokens_outside_are_named():
    labels = TokenLabels(np.arange(32)[::-1])
    with pytest.raises(ParameterError, match="a codebook of 32 words, the tokens of 1024"):
        MixedPackets(1024, 4, np.array([6]), labels)
    with pytest.raises(FrameError, match="token -1 lies outside the codebook of 32 words"):
        MixedPackets(32, 2, np.array([6]), labels).encode(np.array([[3, -1]]), IDENTITY)


@pytest.mark.parametrize(
    "other",
    [replace(IDENTITY, stream_id=4), replace(IDENTITY, frame_id=78), replace(IDENTITY, codebook_id=0x12345679)],
    ids=["stream", "frame", "codebook"],
)
def test_neither_packets_of_another_burst_pass_nor_those_of_another_place(other):
    mcs = np.repeat([3, 6, 8, 10], 8)
    coded = MixedPackets(1024, 4, mcs)
    packets = np.random.default_rng(2).integers(0, 1024, (32, 4))
    llrs = (coded.encode(packets, IDENTITY) * 16.0 - 8).astype(np.float32)
    tokens, ok = coded.decode(llrs, other)
    assert np.array_equal(tokens, packets) and not ok.any()
    swapped = llrs.copy()
    swapped[:124], swapped[124:248] = llrs[124:248], llrs[:124]
    assert np.flatnonzero(~coded.decode(swapped, IDENTITY)[1]).tolist() == [0, 1]
    priors = np.full((32, 4, 1024), -np.log(1024), np.float32)
    found = coded.list_decode(llrs, np.arange(32), priors, IDENTITY)
    assert np.array_equal(found.tokens, packets) and (found.posterior > 0.99).all()


@given(mcs=MCS_MAPS, seed=st.integers(0, 2**32 - 1))
def test_misfit_and_llrs_hold_the_distance_to_any_code_word(mcs, seed):
    """Against distances in the plane of the symbols, which the LLRs' receiver never sees."""
    rng = np.random.default_rng(seed)
    coded = MixedPackets(50, 2, np.array(mcs), TokenLabels(rng.permutation(50)))
    sent, other = rng.integers(0, 50, (2, len(mcs), 2))
    symbols = coded.map(coded.encode(sent, IDENTITY))
    variance = rng.uniform(0.01, 0.5, len(symbols)).astype(np.float32)
    received = awgn(symbols, 3.0, rng)
    llrs, misfit = coded.demap(received, variance), coded.misfit(received, variance)
    rows = rng.permutation(len(mcs))[: len(mcs) // 2 + 1]
    beyond = coded.beyond_nearest(llrs, rows, other[rows], IDENTITY)
    away = np.abs(received - coded.map(coded.encode(other, IDENTITY))) ** 2 / variance
    starts = np.cumsum(coded.symbols) - coded.symbols
    for row, value in zip(rows, beyond, strict=True):
        whole = slice(starts[row], starts[row] + coded.whole_symbols[row])
        assert misfit[row, 0] + value == pytest.approx(away[whole].sum(), rel=1e-4, abs=1e-4)
    full = [0 if each == MCS_NOT_SENT else find_mcs(each).constellation().bits_per_symbol for each in mcs]
    assert all(b == 0 or w == n // b for b, w, n in zip(full, coded.whole_symbols, coded.bits, strict=True))


def test_the_closest_code_words_are_no_further_than_those_sent():
    coded, rng = MixedPackets(1024, 4, np.full(40, 3)), np.random.default_rng(3)
    packets = rng.integers(0, 1024, (40, 4))
    received = awgn(coded.map(coded.encode(packets, IDENTITY)), -2.0, rng)
    llrs = coded.demap(received, np.full(len(received), noise_variance(-2.0), np.float32))
    closest = coded.closest_beyond_nearest(llrs, IDENTITY)
    own = coded.beyond_nearest(llrs, np.arange(40), packets, IDENTITY)
    assert (closest <= own + 1e-3).all() and (closest < own - 1).any()


def test_noise_alone_is_told_from_a_payload():
    coded, rng, variance = (
        MixedPackets(1024, 4, np.full(20, 6)),
        np.random.default_rng(4),
        np.full(620, 0.1, np.float32),
    )
    symbols = coded.map(coded.encode(rng.integers(0, 1024, (20, 4)), IDENTITY))
    silence = np.sqrt(0.05) * (rng.standard_normal((2, 620)).T @ [1, 1j])
    # Silence is as likely as noise can be: 31 nepers for 31 symbols; a payload is 11 times as strong as its noise.
    assert coded.misfit(silence, variance)[:, 1] == pytest.approx(31, abs=15)
    assert coded.misfit(symbols + silence, variance)[:, 1] == pytest.approx(31 * (1 + np.log(11)), rel=0.15)
    assert coded.misfit(np.zeros(620, np.complex64), variance)[:, 1].max() < 0
