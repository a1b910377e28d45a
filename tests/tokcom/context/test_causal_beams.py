"""Beams, against the sum over every text that could have been sent."""

from dataclasses import replace
from itertools import product

import numpy as np
import pytest

from tokcom.coding.convolutional import ConvolutionalCode
from tokcom.coding.list_decoding import ListDecoder
from tokcom.context.acceptance import Acceptance
from tokcom.context.causal import CausalPrior, Paths
from tokcom.context.causal_beams import CausalBeams
from tokcom.context.condition import NOTHING
from tokcom.context.joint_decoding import ContextSettings
from tokcom.context.maskgit import MaskGit
from tokcom.context.questions import result_of
from tokcom.errors import ModelError, ParameterError
from tokcom.frame import LOST, TokenFrame
from tokcom.packets.bits import tokens_to_bits
from tokcom.packets.crc import Crc

SIZE, WIDTH, PER_PACKET, N_PACKETS = 6, 3, 2, 3
CODE, CRC = ConvolutionalCode(3, (5, 7)), Crc(4, 0x3, 0xF)
DECODER = ListDecoder(CODE, CRC, WIDTH, PER_PACKET)
CHAIN = np.random.default_rng(0).dirichlet(np.full(SIZE, 0.3), SIZE + 1).astype(np.float32)
"""Of the first token, and of one behind each word."""
CERTAIN = ContextSettings(beam=SIZE**6, reach=200.0, settle=1 - 1e-12)


class Chain(CausalPrior):
    """A Markov chain."""

    codebook, codebook_size, grid = "chain", SIZE, None

    def __init__(self):
        self.asked = 0

    def paths(self, condition):
        return ChainPaths(self)


class ChainPaths(Paths):
    def __init__(self, prior):
        self.prior, self.last = prior, np.array([-1])

    @property
    def log_probabilities(self):
        self.prior.asked += 1
        return np.log(CHAIN[self.last + 1])

    def branch(self, parents, tokens):
        assert (parents < len(self.last)).all()
        self.last = np.asarray(tokens)

    def select(self, kept):
        self.last = self.last[kept]

    def follow(self, tokens, weigh=True):
        before = np.concatenate([self.last[:, None], np.tile(tokens[:-1], (len(self.last), 1))], 1)
        weight = np.log(CHAIN[before + 1, tokens]).sum(1, dtype=np.float64)
        self.last = np.full(len(self.last), tokens[-1])
        return weight if weigh else np.zeros(len(weight))


class Coded:
    """Packets in noise."""

    def __init__(self, packets, scale, seed):
        coded = CODE.encode(CRC.append(tokens_to_bits(packets, WIDTH)))
        noise = np.random.default_rng(seed).normal(0, 1, coded.shape)
        self.llrs = (scale * ((2.0 * coded - 1) * scale / 2 + noise)).astype(np.float32)
        self.metrics = DECODER.steps(self.llrs)

    def __call__(self, rows, priors):
        return DECODER.decode(self.metrics[rows], priors)

    def token_steps(self, row, log_frequencies):
        return DECODER.token_steps(self.metrics[row], log_frequencies)

    def believed(self, rows, tokens, log_prior, log_odds):
        return log_odds

    def log_likelihoods(self, packets):
        coded = CODE.encode(CRC.append(tokens_to_bits(packets, WIDTH)))
        return (coded * self.llrs[:, None].reshape(-1, self.llrs.shape[1])).sum(1)


def drawn(seed):
    """A text that the chain likes, as packets."""
    rng, tokens, last = np.random.default_rng(seed), [], -1
    for _ in range(N_PACKETS * PER_PACKET):
        last = int(rng.choice(SIZE, p=CHAIN[last + 1] / CHAIN[last + 1].sum()))
        tokens.append(last)
    return np.array(tokens, np.int32).reshape(N_PACKETS, PER_PACKET)


def outline(n=N_PACKETS * PER_PACKET):
    return TokenFrame(np.full(n, LOST), "chain", SIZE, (n,), "text")


POSITIONS = np.arange(N_PACKETS * PER_PACKET).reshape(N_PACKETS, PER_PACKET)


def decoded(beams, packets, coded, ok=None, positions=POSITIONS, frame=None, cancelled=lambda: False):
    ok = np.zeros(len(positions), bool) if ok is None else ok
    work = beams.decode(frame or outline(), positions, packets, ok, coded, NOTHING, cancelled)
    return result_of(work, lambda: None)


def all_posteriors(coded, known):
    """Every text and its posterior; `known` are the packets that are."""
    texts = np.array(list(product(range(SIZE), repeat=N_PACKETS * PER_PACKET)))
    before = np.concatenate([np.full((len(texts), 1), -1), texts[:, :-1]], 1)
    log = np.log(CHAIN[before + 1, texts]).sum(1, dtype=np.float64)
    pairs = np.array(list(product(range(SIZE), repeat=PER_PACKET)))
    for row in range(N_PACKETS):
        own = texts[:, row * PER_PACKET : (row + 1) * PER_PACKET]
        if row in known:
            log[(own != known[row]).any(1)] = -np.inf
            continue
        sent = CODE.encode(CRC.append(tokens_to_bits(pairs, WIDTH))) @ coded.llrs[row].astype(np.float64)
        log += sent[own @ [SIZE, 1]]
    weight = np.exp(log - log.max())
    return texts, weight / weight.sum()


@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize("ok", [(), (1,), (0, 2)])
def test_with_room_for_all_paths_posteriors_are_exact(seed, ok):
    packets = drawn(seed)
    coded = Coded(packets, 0.7, seed)
    mask = np.isin(np.arange(N_PACKETS), ok)
    found = decoded(CausalBeams(Chain(), CERTAIN), packets, coded, mask)
    texts, posterior = all_posteriors(coded, {row: packets[row] for row in ok})
    best = texts[posterior.argmax()]
    assert np.array_equal(found.tokens.ravel(), best)
    expected = [(posterior * (texts[:, place] == best[place])).sum() for place in range(texts.shape[1])]
    # All but 4096 endings of a packet are left to the look-ahead.
    assert found.confidence.ravel() == pytest.approx(expected, abs=5e-3)
    for row in np.flatnonzero(~mask):
        same = (texts.reshape(len(texts), N_PACKETS, -1)[:, row] == best.reshape(N_PACKETS, -1)[row]).all(1)
        share = posterior[same].sum()
        assert found.log_odds[row] == pytest.approx(np.log(share / (1 - share)), abs=5e-2)
    assert np.isposinf(found.log_odds[mask]).all() and (found.confidence[mask] == 1).all()


def test_what_was_dropped_is_doubted():
    wide, narrow = [], []
    for seed in range(20):
        packets = drawn(seed)
        coded = Coded(packets, 0.6, seed)
        for settings, found in ((CERTAIN, wide), (ContextSettings(beam=2, settle=1 - 1e-12), narrow)):
            found.append(decoded(CausalBeams(Chain(), settings), packets, coded).confidence.mean())
    assert np.mean(narrow) < np.mean(wide) + 0.02
    assert max(narrow) <= 1


def test_posteriors_come_true():
    right, claimed = [], []
    for seed in range(150):
        packets = drawn(seed)
        found = decoded(CausalBeams(Chain(), ContextSettings(beam=12)), packets, Coded(packets, 0.7, 1000 + seed))
        right.append(found.tokens == packets)
        claimed.append(found.confidence)
    assert np.mean(right) == pytest.approx(np.mean(claimed), abs=0.05)


def test_a_second_search_of_doubtful_packets_only_finds_texts_that_are_likelier():
    likelier = 0
    for seed in range(40):
        packets = drawn(seed)
        coded = Coded(packets, 0.7, seed)
        texts, posterior = all_posteriors(coded, {})
        shares = []
        for closer in (2, SIZE**2):
            settings = ContextSettings(beam=2, closer=closer, reach=200.0, settle=1 - 1e-12)
            found = decoded(CausalBeams(Chain(), settings), packets, coded).tokens.ravel()
            shares.append(posterior[(texts == found).all(1)].sum())
        assert shares[1] >= shares[0] * (1 - 1e-6)
        likelier += shares[1] > shares[0] * (1 + 1e-6)
    assert likelier >= 5


class Patience:
    """Is at an end after some questions."""

    def __init__(self, most=10**9):
        self.asked, self.most = 0, most

    def __call__(self):
        self.asked += 1
        return self.asked > self.most


def test_a_second_search_that_is_interrupted_counts_for_nothing():
    once = ContextSettings(beam=2, closer=2, reach=200.0, settle=1 - 1e-12)
    twice = replace(once, closer=SIZE**2)
    for seed in range(10):
        packets, patience = drawn(seed), Patience()
        coded = Coded(packets, 0.6, seed)
        first = decoded(CausalBeams(Chain(), once), packets, coded, cancelled=patience)
        found = decoded(CausalBeams(Chain(), twice), packets, coded, cancelled=Patience(patience.asked + 2))
        assert np.array_equal(found.tokens, first.tokens)
        assert np.allclose(found.log_odds, first.log_odds)


def test_what_the_whole_packet_says_is_followed_though_the_prior_finds_it_unlikely():
    """With a single path, the first word would be the prior's, and the check come too late."""
    right, unlikely = 0, np.tile(CHAIN[0].argmin(), (N_PACKETS, PER_PACKET)).astype(np.int32)
    for seed in range(10):
        settings = ContextSettings(beam=1, settle=1 - 1e-15)
        found = decoded(CausalBeams(Chain(), settings), unlikely, Coded(unlikely, 2.6, seed))
        right += np.array_equal(found.tokens, unlikely)
    assert right >= 9


def test_frames_in_another_order_are_decoded_without_the_prior():
    packets, prior = drawn(1), Chain()
    positions = POSITIONS[:, ::-1].copy()
    found = decoded(CausalBeams(prior), packets, Coded(packets, 3.0, 1), positions=positions)
    assert prior.asked == 0 and np.array_equal(found.tokens, packets)


def test_where_all_is_certain_the_prior_is_not_asked():
    packets, prior = drawn(1), Chain()
    found = decoded(CausalBeams(prior), packets, Coded(packets, 9.0, 1))
    assert prior.asked == found.passes == 0 and np.array_equal(found.tokens, packets)


def test_slots_without_a_token_stay_zero():
    packets = drawn(2)
    packets[-1, -1] = 0
    positions = POSITIONS.copy()
    positions[-1, -1] = -1
    frame = outline(N_PACKETS * PER_PACKET - 1)
    found = decoded(CausalBeams(Chain(), CERTAIN), packets, Coded(packets, 0.8, 2), positions=positions, frame=frame)
    assert found.tokens[-1, -1] == 0 and found.confidence[-1, -1] == pytest.approx(1)


@pytest.mark.parametrize("late", [False, True])
def test_it_can_be_stopped(late):
    packets = drawn(3)
    settings = ContextSettings(seconds=1e-9) if late else None
    found = decoded(CausalBeams(Chain(), settings), packets, Coded(packets, 0.7, 3), cancelled=lambda: not late)
    assert found.passes == 0 and found.tokens.shape == packets.shape


def test_acceptance_is_asked():
    packets = drawn(4)
    never = Acceptance((-1.0, 1.0), (-9.0, -9.0))
    assert not decoded(CausalBeams(Chain(), None, never), packets, Coded(packets, 1.0, 4)).accepted.any()


def test_priors_of_any_order_and_frames_of_others_are_refused():
    with pytest.raises(ParameterError, match="order is any"):
        CausalBeams(object.__new__(MaskGit))
    packets = drawn(5)
    strange = TokenFrame(np.zeros(6, int), "other", SIZE, (6,), "text")
    with pytest.raises(ModelError, match="codebook other"):
        decoded(CausalBeams(Chain()), packets, Coded(packets, 1.0, 5), frame=strange)
