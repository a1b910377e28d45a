"""The four modes beside each other, on frames whose statistics a model knows exactly."""

from dataclasses import replace

import numpy as np
import pytest

from tokcom.channel.awgn import awgn, noise_variance
from tokcom.coding.list_decoding import ListSettings
from tokcom.context.condition import Condition
from tokcom.context.joint_decoding import ContextSettings
from tokcom.context.prior import Prior
from tokcom.errors import FrameError, ModelError, ParameterError
from tokcom.frame import LOST, TokenFrame
from tokcom.link.modes import MODES
from tokcom.link.packets import MixedPackets
from tokcom.link.receiver import Receiver
from tokcom.link.recovery import FrameRecovery
from tokcom.link.transmitter import TransmitConfig, Transmitter
from tokcom.packets.codebook import Codebook
from tokcom.packets.labels import TokenLabels
from tokcom.packets.layout import packet_layout
from tokcom.packets.mcs_map import MCS_NOT_SENT

SIZE, N, STAY = 1024, 96, 0.9
BOOK = Codebook("chain", SIZE)


class Markov(Prior):
    """A line of tokens, each the left neighbour's with probability 0.9, else any: the exact posterior of lost ones."""

    codebook, codebook_size, grid, num_classes = "chain", SIZE, None, 5

    def log_probabilities(self, tokens, wanted, conditions):
        return np.concatenate(
            [self.of_frame(line, condition.label) for line, condition in zip(tokens, conditions, strict=True)]
        )

    def of_frame(self, tokens, cmi):
        def messages(line):
            out = np.full((len(line) + 1, SIZE), 1 / SIZE)
            for place, token in enumerate(line):
                here = out[place] if token == LOST else np.eye(1, SIZE, token)[0]
                out[place + 1] = STAY * here + (1 - STAY) * here.sum() / SIZE
            return out[:-1]

        both = messages(tokens) * messages(tokens[::-1])[::-1]
        lost = both[tokens == LOST]
        return np.log(lost / lost.sum(axis=1, keepdims=True)).astype(np.float32)


def chain(seed, n=N):
    rng = np.random.default_rng(seed)
    tokens = rng.integers(0, SIZE, n)
    for place in np.flatnonzero(rng.random(n - 1) < STAY) + 1:
        tokens[place] = tokens[place - 1]
    return TokenFrame(tokens, BOOK.name, SIZE, cmi=1, frame_id=seed)


def received(frame, esn0_db, mcs=6, tokens_per_packet=4):
    """LLRs and header of a frame after AWGN, and what the Viterbi decoder leaves of it."""
    transmitter, receiver = Transmitter(TransmitConfig(tokens_per_packet=tokens_per_packet)), Receiver([BOOK])
    packets = transmitter.packetize(frame, frame.frame_id)
    mcs = np.broadcast_to(mcs, len(packets))
    coded = MixedPackets.of(SIZE, tokens_per_packet, mcs)
    symbols = awgn(
        coded.map(coded.encode(packets, transmitter.identity(frame))), esn0_db, np.random.default_rng(frame.frame_id)
    )
    llrs = coded.demap(symbols, np.full(len(symbols), noise_variance(esn0_db)))
    header = transmitter.header(frame, frame.frame_id, mcs, tokens_per_packet)
    return llrs, header, receiver.assemble(*receiver.decode(llrs, header), header).frame


def heard(header, llrs, misfit=None):
    """What recovery is told of a frame's packets."""
    return Receiver([BOOK]).received(llrs, header, misfit)


def recovery(mode, **settings):
    return FrameRecovery(mode, Markov(), **settings)


@pytest.mark.parametrize("description", [b"\2a dog", b"\1\5\6"], ids=["sentence", "point"])
def test_a_prior_that_is_loaded_late_leaves_out_descriptions_that_it_does_not_use(description):
    sent = replace(chain(3), description=description)
    frame = sent.with_tokens(np.where(np.arange(N) % 3, sent.tokens, LOST))
    found = FrameRecovery("list", Markov, codebook="chain").recover(frame)
    expected = recovery("list").recover(replace(frame, description=b""))
    assert np.array_equal(found.frame.tokens, expected.frame.tokens) and not found.frame.lost.any()


@pytest.fixture(scope="module")
def outcome():
    """Token error rate, share of packets not ok, and wrong ok packets by mode: ten frames at 3.5 dB."""
    result = {}
    cases = [(chain(seed), *received(chain(seed), 3.5)) for seed in range(10)]
    for mode in MODES:
        wrong, open_, false = [], [], []
        for sent, llrs, header, frame in cases:
            got = recovery(mode).recover(frame, heard(header, llrs))
            errors = got.frame.tokens != sent.tokens
            bad = errors[packet_layout(N, 4, header.layout_seed)].any(axis=1)
            (
                wrong.append(errors.mean()),
                open_.append(np.mean(~got.packets_ok)),
                false.append((bad & got.packets_ok).sum()),
            )
        result[mode] = np.mean(wrong), np.mean(open_), np.sum(false)
    return result


def test_each_mode_knows_more_than_the_one_before(outcome):
    assert outcome["context"][0] < 0.1 * outcome["list"][0] < 0.1 * outcome["keep"][0]
    assert outcome["context"][0] < 0.1 * outcome["mask"][0]
    assert outcome["context"][1] < outcome["list"][1] < outcome["keep"][1] == outcome["mask"][1]
    assert outcome["keep"][1] > 0.5


def test_packets_declared_good_are(outcome):
    """Of 240 packets; in mode "list" the posteriors promise a wrong one in 8000 here."""
    wrong = {mode: outcome[mode][2] for mode in MODES}
    assert wrong.pop("list") <= 1 and not any(wrong.values())


def test_kept_tokens_are_the_viterbi_decoders():
    frame = chain(3)
    llrs, header, left = received(frame, 4.0)
    tokens, ok = Receiver([BOOK]).decode(llrs, header)
    got = recovery("keep").recover(left, heard(header, llrs))
    assert not ok.all() and np.array_equal(got.packets_ok, ok)
    assert np.array_equal(got.frame.tokens[packet_layout(N, 4, 3)], tokens)
    assert (got.confidence == ~left.lost).all()


@pytest.mark.parametrize("mode", MODES)
def test_what_is_known_stays_and_nothing_stays_lost(mode):
    frame = chain(4)
    llrs, header, left = received(frame, 4.5)
    got = recovery(mode).recover(left, heard(header, llrs))
    assert np.array_equal(got.frame.tokens[~left.lost], left.tokens[~left.lost]) and not got.frame.lost.any()
    assert got.confidence.shape == (N,) and (got.confidence >= 0).all() and (got.confidence <= 1 + 1e-5).all()
    assert got.packets_ok.shape == (N // 4,)
    again = recovery(mode).recover(left, heard(header, llrs))
    assert np.array_equal(again.frame.tokens, got.frame.tokens)


@pytest.mark.parametrize("mode", MODES)
def test_packets_that_were_not_sent_are_guessed(mode):
    frame = chain(5)
    mcs = np.where(np.arange(N // 4) % 3, 6, MCS_NOT_SENT)
    llrs, header, left = received(frame, 12.0, mcs)
    got = recovery(mode).recover(left, heard(header, llrs))
    assert left.lost.sum() == N // 3 and not got.frame.lost.any()
    assert (got.frame.tokens == frame.tokens)[left.lost].mean() > 0.7
    if mode == "list":
        assert not got.packets_ok[mcs == MCS_NOT_SENT].any()


@pytest.mark.parametrize("mcs", [0, 3, 7, 8, 10])
def test_context_helps_with_every_constellation_and_rate(mcs):
    """About 3 dB below what Viterbi needs, packets of every MCS come through."""
    from tokcom.mcs import mcs_table

    frame = chain(6)
    llrs, header, left = received(frame, mcs_table()[mcs].per10_esn0_db - 3, mcs)
    got = recovery("context").recover(left, heard(header, llrs))
    assert left.lost.mean() > 0.5 and (got.frame.tokens != frame.tokens).mean() < 0.1


@pytest.mark.parametrize("mode", ["list", "context"])
def test_any_number_of_tokens_a_packet_with_slots_left_over(mode):
    for tokens_per_packet in (1, 5, 7):
        frame = chain(7)
        llrs, header, left = received(frame, 4.5, tokens_per_packet=tokens_per_packet)
        got = recovery(mode).recover(left, heard(header, llrs))
        assert (got.frame.tokens != frame.tokens).mean() <= left.lost.mean() / 2 + 0.01


@pytest.mark.parametrize("mode", MODES)
def test_without_llrs_the_model_guesses(mode):
    frame = chain(8)
    tokens = frame.tokens.copy()
    tokens[::3] = LOST
    got = recovery(mode).recover(frame.with_tokens(tokens))
    assert (got.frame.tokens == frame.tokens).mean() > 0.8 and not got.frame.lost.any()
    assert got.packets_ok.size == 0


def test_without_a_model_losses_of_other_modes_stay():
    frame = chain(9)
    llrs, header, left = received(frame, 4.0, np.where(np.arange(N // 4) == 2, MCS_NOT_SENT, 6))
    kept = FrameRecovery("keep").recover(left, heard(header, llrs))
    assert kept.frame.lost.sum() == 4
    listed = FrameRecovery("list").recover(left, heard(header, llrs))
    assert (listed.frame.tokens == frame.tokens).mean() > (kept.frame.tokens == frame.tokens).mean()


def test_the_schedule_and_the_list_reach_the_decoders():
    frame = chain(10)
    llrs, header, left = received(frame, 3.0)
    short = recovery("context", context=ContextSettings(rounds=1, turns=1), lists=ListSettings(16))
    assert short.recover(left, heard(header, llrs)).passes == 1
    long = recovery("context", context=ContextSettings(rounds=3, turns=2)).recover(left, heard(header, llrs))
    assert 1 < long.passes <= 6


@pytest.mark.parametrize("mode", ["list", "context"])
def test_acceptance_follows_the_threshold(mode):
    frame = chain(11)
    llrs, header, left = received(frame, 3.0 if mode == "list" else 0.0)
    ok = {
        accept: recovery(mode, context=ContextSettings(accept=accept))
        .recover(left, heard(header, llrs))
        .packets_ok.sum()
        for accept in (0.5, 0.9999)
    }
    assert ok[0.5] > ok[0.9999]


def test_bad_modes_are_named():
    with pytest.raises(ParameterError, match="mode is 'guess'; it must be one of keep, mask, list, context"):
        FrameRecovery("guess")
    with pytest.raises(ParameterError, match="belong to one codebook: name it"):
        FrameRecovery("list", frequencies=np.full(4, 0.25))
    for mode in ("mask", "context"):
        with pytest.raises(ParameterError, match=f"mode '{mode}' needs a context model"):
            FrameRecovery(mode)


def test_frames_and_llrs_that_do_not_fit_are_named():
    frame = chain(12)
    llrs, header, left = received(frame, 4.0)
    with pytest.raises(FrameError, match="LLRs have shape"):
        recovery("list").recover(left, heard(header, llrs[:-1]))
    stranger = TokenFrame(left.tokens, "other", SIZE)
    with pytest.raises(ModelError, match="other"):
        recovery("context").recover(stranger, heard(header, llrs))


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("kind", ["semantic", "contextual"])
def test_labels_cross_the_air_in_every_mode(kind, mode):
    """Samples to samples: what the channel leaves whole comes back, and context mends the rest."""
    labels = {
        name: TokenLabels(np.random.default_rng(seed).permutation(SIZE))
        for seed, name in enumerate(("semantic", "contextual"), start=2)
    }
    book = Codebook(BOOK.name, SIZE, labels=labels)
    frame = chain(6)
    burst = np.pad(Transmitter(TransmitConfig(labels=kind), [book]).transmit(frame, 6), 500)
    for esn0_db in (30.0, 4.0):
        receiver = Receiver([book], recovery(mode))
        (reception,) = receiver.receive(awgn(burst, esn0_db, np.random.default_rng(1)))
        assert reception.header.labels == kind and reception.packets_ok.all() == (esn0_db == 30)
        kept = ~reception.frame.lost
        assert np.array_equal(reception.frame.tokens[kept], frame.tokens[kept])
        if esn0_db == 30 or mode == "context":
            assert np.array_equal(reception.recovered.frame.tokens, frame.tokens)


def test_labels_that_are_not_here_are_named():
    book = Codebook(BOOK.name, SIZE, labels={"semantic": TokenLabels(np.arange(SIZE)[::-1])})
    frame = chain(7)
    burst = np.pad(Transmitter(TransmitConfig(labels="semantic"), [book]).transmit(frame, 7), 500)
    for sender in (
        Transmitter(TransmitConfig(labels="semantic")),
        Transmitter(TransmitConfig(labels="semantic"), [BOOK]),
        Transmitter(TransmitConfig(labels="contextual"), [book]),
    ):
        kind = sender.config.labels
        with pytest.raises(FrameError, match=f"frame 7 needs {kind} labels, but its codebook chain has none"):
            sender.transmit(frame, 7)
    receiver = Receiver([BOOK])
    assert receiver.receive(burst) == [] and receiver.unusable == 1
    assert "semantic labels" in receiver.last_error
    # Who does not know the codebook passes on the numbers that were on the air, under no codebook's name.
    (stranger,) = Receiver().receive(burst)
    assert np.array_equal(stranger.frame.tokens, SIZE - 1 - frame.tokens)
    assert stranger.frame.codebook.startswith("unknown-")
    (reception,) = Receiver([book]).receive(burst)
    assert np.array_equal(reception.frame.tokens, frame.tokens)
    with pytest.raises(FrameError, match="frame 7 needs semantic labels, but its codebook chain has none"):
        receiver.received(np.zeros(24 * 124, np.float32), reception.header)
    with pytest.raises(ParameterError, match="labels is 'gray'"):
        TransmitConfig(labels="gray")


def faulty(frame, fault, esn0_db, mcs):
    """A frame's packets as symbols, one a row, through AWGN of known power and a fault: what `recover` takes."""
    transmitter, rng = Transmitter(TransmitConfig()), np.random.default_rng([frame.frame_id, mcs])
    packets = transmitter.packetize(frame, frame.frame_id)
    schemes = np.full(len(packets), mcs)
    coded, header = MixedPackets.of(SIZE, 4, schemes), transmitter.header(frame, frame.frame_id, schemes, 4)
    symbols = fault(coded.map(coded.encode(packets, header.identity)).reshape(len(packets), -1), rng)
    received = awgn(symbols.ravel(), esn0_db, rng)
    variance = np.full(len(received), noise_variance(esn0_db), np.float32)
    llrs, misfit = coded.demap(received, variance), coded.misfit(received, variance)
    left = Receiver([BOOK]).assemble(*Receiver([BOOK]).decode(llrs, header), header).frame
    return left, header, llrs, misfit


def complex_normal(shape, rng):
    return (rng.standard_normal((*shape, 2)) @ [1, 1j]) / np.sqrt(2)


FAULTS = {
    "silence behind the header": lambda sent, rng: 0 * sent,
    "overlaid by noise of its power": lambda sent, rng: sent + complex_normal(sent.shape, rng),
    "samples lost": lambda sent, rng: rng.permuted(sent, axis=1),
    "another burst's phases": lambda sent, rng: sent * np.exp(2j * np.pi * rng.random((len(sent), 1))),
    "a tenth of the symbols jammed": lambda sent, rng: (
        sent + (rng.random(sent.shape) < 0.1) * complex_normal(sent.shape, rng)
    ),
    "half of the symbols jammed": lambda sent, rng: (
        sent + (rng.random(sent.shape) < 0.5) * complex_normal(sent.shape, rng)
    ),
}


@pytest.mark.parametrize(
    ("mode", "fault"), [*(("list", fault) for fault in FAULTS), ("context", "silence behind the header")]
)
def test_what_no_code_word_explains_is_not_declared_good(mode, fault):
    """At 12 and 20 dB; without the test of fit there are wrong ones in most faults."""
    wrong, trusting, sure, right = 0, 0, 0, 0
    for seed, mcs in ((30, 3), (31, 6), (32, 11)) if mode == "list" else ((31, 6),):
        frame = chain(seed)
        left, header, llrs, misfit = faulty(frame, FAULTS[fault], 12.0 if seed % 2 else 20.0, mcs)
        layout = packet_layout(N, 4, header.layout_seed)
        tested, believed = (recovery(mode).recover(left, heard(header, llrs, given)) for given in (misfit, None))
        errors = tested.frame.tokens != frame.tokens
        wrong += (errors[layout].any(axis=1) & tested.packets_ok).sum()
        trusting += ((believed.frame.tokens != frame.tokens)[layout].any(axis=1) & believed.packets_ok).sum()
        sure, right = sure + (tested.confidence > 0.9).sum(), right + (~errors & (tested.confidence > 0.9)).sum()
    assert wrong == 0 and (trusting > 0 or "tenth" in fault)
    assert sure - right <= 0.1 * sure + 4, "tokens of which it is sure are right"


@pytest.mark.parametrize(("mode", "esn0_db"), [("list", 4.0), ("context", 1.0)])
def test_sound_packets_pass_the_test_of_fit(mode, esn0_db):
    believed = tested = 0
    for seed in range(5 if mode == "list" else 2):
        left, header, llrs, misfit = faulty(chain(40 + seed), lambda sent, rng: sent, esn0_db, 6)
        believed += recovery(mode).recover(left, heard(header, llrs)).packets_ok.sum()
        tested += recovery(mode).recover(left, heard(header, llrs, misfit)).packets_ok.sum()
    assert 30 < believed and abs(int(believed) - int(tested)) <= 1


def test_packets_that_were_not_sent_are_guessed_beside_the_test_of_fit():
    frame = chain(5)
    mcs = np.where(np.arange(N // 4) % 3, 6, MCS_NOT_SENT)
    llrs, header, left = received(frame, 12.0, mcs)
    misfit = np.where(mcs == 6, 31.0, 0.0)[:, None] * [0.9, 3.7]
    got = recovery("context").recover(left, heard(header, llrs, misfit.astype(np.float32)))
    assert (got.frame.tokens == frame.tokens)[left.lost].mean() > 0.7
    with pytest.raises(ParameterError, match=r"misfit has shape \(23, 2\); 24 packets need"):
        recovery("context").recover(left, heard(header, llrs, misfit[1:]))


def test_frequencies_of_one_codebook_weigh_no_frame_of_another():
    frame = chain(13)
    llrs, header, left = received(frame, 4.0)
    strange = FrameRecovery("list", frequencies=np.full(SIZE, 1 / SIZE), codebook="mine@12345678")
    with pytest.raises(ModelError, match="tokens of codebook chain; frequencies here are those of mine"):
        strange.recover(left, heard(header, llrs))


@pytest.mark.parametrize(
    ("mode", "tokens", "words", "gib"),
    [("list", 1 << 17, 1 << 13, r"4\.0"), ("context", 1 << 14, 1 << 16, r"5\.0")],
)
def test_a_header_cannot_ask_for_more_memory_than_there_is(mode, tokens, words, gib):
    """A few milliseconds of airtime, 4 GiB of probabilities; of a large codebook, their levels, too."""
    frame = TokenFrame(np.full(tokens, LOST), "huge", words)
    huge = FrameRecovery(mode, type("Huge", (Markov,), {"codebook": "huge", "codebook_size": words})())
    with pytest.raises(ModelError, match=rf"lacks {tokens} tokens of {words} words: to score them takes {gib} GiB"):
        huge.recover(frame)


def test_words_that_a_quantizer_has_not_are_never_believed_and_help_to_decode():
    """Three quantizers of 1024, 32 and 2 words; the same tokens sent as if all had 1024 are worse off."""
    rng = np.random.default_rng(5)
    sizes = (SIZE, 32, 2)
    tokens = rng.integers(0, np.repeat(sizes, 32))
    frame = TokenFrame(tokens, BOOK.name, SIZE, (3, 32), quantizers=3, sizes=sizes, frame_id=3)
    with pytest.raises(FrameError, match="token 95 is 2; its quantizer has 2 words"):
        frame.with_tokens(np.r_[tokens[:-1], 2])
    config = TransmitConfig(layout="contiguous")
    wrong = {}
    for told in (frame, TokenFrame(tokens, BOOK.name, SIZE, (3, 32), quantizers=3, frame_id=3)):
        burst = np.pad(Transmitter(config).transmit(told, 0), 500)
        receiver = Receiver([BOOK], FrameRecovery("list"))
        (got,) = receiver.receive(awgn(burst, 1.0, np.random.default_rng(1)))
        assert got.frame.sizes == got.recovered.frame.sizes == told.sizes
        wrong[bool(told.sizes)] = (got.recovered.frame.tokens != tokens)[32:].mean()
    assert wrong[True] < 0.1 < 0.25 < wrong[False]
    # A header that tells of fewer words than its tokens need: packets of words that are none.
    strange = TokenFrame(np.full(96, 31), BOOK.name, SIZE, (3, 32), quantizers=3, frame_id=3)
    transmitter, receiver = Transmitter(config), Receiver([BOOK])
    packets, mcs = transmitter.packetize(strange), np.full(24, 3)
    coded = MixedPackets.of(SIZE, 4, mcs)
    bits = coded.encode(packets, transmitter.identity(strange))
    header = transmitter.header(frame, 0, mcs, 4)
    _, ok = receiver.decode((2.0 * bits - 1).astype(np.float32), header)
    assert ok.tolist() == [True] * 16 + [False] * 8


class Stays(Prior):
    """Each token is that of the frame before with probability 0.9, else any; it remembers what it was asked."""

    codebook, codebook_size, grid = "chain", SIZE, None
    takes = frozenset({"before"})

    def __init__(self):
        self.seen, self.lengths = [], set()

    def log_probabilities(self, tokens, wanted, conditions):
        found = []
        for line, condition in zip(tokens, conditions, strict=True):
            before = np.resize(condition.before.tokens, len(line))
            self.seen.append(condition.before.tokens.tolist())
            self.lengths.add(len(line))
            same = np.eye(SIZE)[before[line == LOST]]
            found.append(np.log(STAY * same + (1 - STAY) / SIZE))
        return np.concatenate(found).astype(np.float32)


def a_group(rng):
    """A frame, and a group of three that follow it."""
    frames = [rng.integers(0, SIZE, 48)]
    for _ in range(3):
        frames.append(np.where(rng.random(48) < STAY, frames[-1], rng.integers(0, SIZE, 48)))
    first = TokenFrame(frames[0], BOOK.name, SIZE, (6, 8), frame_id=2)
    return first, replace(first, tokens=np.concatenate(frames[1:]), grid=(3, 6, 8), frame_id=3, follows=1)


def test_the_frames_of_a_group_are_decoded_in_turn():
    """Each in view of the one before as it was decoded."""
    first, group = a_group(np.random.default_rng(6))
    llrs, header, left = received(group, 3.0)
    assert left.lost.reshape(3, -1).any(axis=1).all()
    prior = Stays()
    found = FrameRecovery("context", prior).recover(left, heard(header, llrs), condition=Condition(before=first))
    assert np.array_equal(found.frame.tokens, group.tokens) and found.packets_ok.all() and prior.lengths == {48}
    before = [first.tokens.tolist(), *group.tokens.reshape(3, -1)[:2].tolist()]
    assert [each for number, each in enumerate(prior.seen) if each not in prior.seen[:number]] == before


def test_a_group_with_packets_of_several_frames_is_decoded_as_a_whole():
    first, group = a_group(np.random.default_rng(6))
    llrs, header, left = received(group, 3.0, tokens_per_packet=5)
    prior = Stays()
    found = FrameRecovery("context", prior).recover(left, heard(header, llrs), condition=Condition(before=first))
    assert prior.lengths == {144} and not found.frame.lost.any()
