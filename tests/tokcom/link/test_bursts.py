from dataclasses import replace

import numba
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.signal import czt

from tokcom.channel.awgn import awgn
from tokcom.coding import list_decoding
from tokcom.context.prediction import Prediction
from tokcom.context.prior import Prior
from tokcom.errors import BurstError, FrameError, ParameterError, TokcomError
from tokcom.frame import LOST, BitFrame, TokenFrame
from tokcom.link.bursts import compile_kernels
from tokcom.link.packets import MixedPackets
from tokcom.link.receiver import Receiver
from tokcom.link.recovery import FrameRecovery
from tokcom.link.transmitter import TransmitConfig, Transmitter
from tokcom.mcs import mcs_table
from tokcom.packets.codebook import Codebook, codebook_id
from tokcom.packets.identity import PacketIdentity
from tokcom.packets.layout import packet_layout
from tokcom.packets.mcs_map import MCS_NOT_SENT
from tokcom.phy.burst import plan_burst
from tokcom.phy.numerology import MAX_PAYLOAD_SYMBOLS
from tokcom.phy.profile import profile, profile_names

pytestmark = pytest.mark.filterwarnings("error")

TAPS = np.array([1, 0, 0, 0.5j, 0, 0, 0, -0.3 + 0.1j])
"""Three paths within half of the cyclic prefix."""


def random_frame(n_tokens=256, size=1024, seed=0, grid=(), **rest):
    tokens = np.random.default_rng(seed).integers(0, size, n_tokens)
    return TokenFrame(tokens, "random", size, grid, **{"frame_id": seed} | rest)


def on_air(*bursts, gap=400, esn0_db=40, seed=0):
    """Bursts with silence around, in noise."""
    stream = np.concatenate([np.zeros(gap), *(np.r_[burst, np.zeros(gap)] for burst in bursts)])
    return awgn(stream, esn0_db, np.random.default_rng(seed))


def known(size=1024):
    return Receiver([Codebook("random", size)])


def slow_receiver(samples, ppm):
    """Samples of a receiver whose clock is slow by so much, by the trigonometric polynomial through them."""
    n, ratio = len(samples), 1 + ppm * 1e-6
    turns = np.exp(-2j * np.pi * (n // 2) * ratio / n * np.arange(n))
    return czt(np.fft.fftshift(np.fft.fft(samples)), n, np.exp(2j * np.pi * ratio / n)) * turns / n


def rough_channel(burst, ppm, cfo=0.05, esn0_db=35, seed=0):
    """Three paths, an offset of clock and frequency, noise."""
    received = np.convolve(np.r_[np.zeros(700), burst, np.zeros(300)], TAPS / np.linalg.norm(TAPS))
    received = slow_receiver(received, ppm) * np.exp(1j * cfo * np.arange(len(received)))
    return awgn(received, esn0_db, np.random.default_rng(seed))


@st.composite
def grids(draw):
    sides = []
    for _ in range(draw(st.integers(1, 4))):
        sides.append(draw(st.integers(1, 480 // int(np.prod(sides or [1])))))
    return tuple(draw(st.permutations(sides)))


@settings(max_examples=60)
@given(
    grid=grids(), size=st.integers(2, 1 << 18) | st.sampled_from((2, 1024, 1 << 18)), per_packet=st.integers(1, 64),
    schemes=st.lists(st.sampled_from((*range(15), MCS_NOT_SENT)), min_size=1, max_size=13), robust=st.booleans(),
    cmi=st.none() | st.integers(0, 4094), layout_seed=st.integers(0, 1023), seed=st.integers(0, 2**32 - 1),
)  # fmt: skip
def test_any_frame_crosses_a_clean_channel(grid, size, per_packet, schemes, robust, cmi, layout_seed, seed):
    """Whatever its grid, codebook, class and the MCS of its packets; those not sent are lost."""
    frame = random_frame(int(np.prod(grid)), size, seed, grid, cmi=cmi)
    n_packets = -(-len(frame.tokens) // per_packet)
    mcs = np.resize(np.sort(schemes), n_packets)
    config = TransmitConfig(tokens_per_packet=per_packet, profile="robust" if robust else "standard", stream_id=7)
    receiver = known(size)
    (reception,) = receiver.receive(on_air(Transmitter(config).transmit(frame, layout_seed, mcs)))
    assert np.array_equal(reception.packets_ok, mcs != MCS_NOT_SENT)
    layout = packet_layout(len(frame.tokens), per_packet, layout_seed)
    expected = frame.tokens.copy()
    missing = layout[mcs == MCS_NOT_SENT].ravel()
    expected[missing[missing >= 0]] = LOST
    got = reception.frame
    assert np.array_equal(got.tokens, expected)
    assert (got.codebook, got.codebook_size, got.grid, got.cmi) == ("random", size, grid, cmi)
    assert got.frame_id == seed % (1 << 20) and got.modality == "image"
    header = reception.header
    assert (header.stream_id, header.layout_seed, header.tokens_per_packet) == (7, layout_seed, per_packet)
    # Now and then a burst has a line that is taken off as a tone: with 40 dB, 25 are left.
    assert abs(reception.position - 400) <= 1 and reception.quality.esn0_db > 20 and reception.recovered is None


def test_the_stages_in_a_row_are_the_whole():
    """As blocks between which a flowgraph passes PDUs."""
    transmitter, receiver, frame = Transmitter(), known(), random_frame(grid=(16, 16), cmi=3)
    burst = transmitter.transmit(frame, 5)
    packets = transmitter.packetize(frame, 5)
    assert np.array_equal(transmitter.choose_mcs(64), np.full(64, 6))
    header = transmitter.header(frame.with_tokens(np.full(256, LOST)), 5, transmitter.choose_mcs(64), 4)
    stream = on_air(burst, esn0_db=5.5)
    (found,) = receiver.search(stream)
    demodulated = receiver.demodulate(found)
    assert demodulated.header == header
    tokens, ok = receiver.decode(receiver.demap(demodulated), header)
    assert np.array_equal(tokens[ok], packets[ok]) and 0 < ok.sum() < 64
    (reception,) = known().receive(stream)
    assert np.array_equal(reception.frame.tokens, receiver.assemble(tokens, ok, header).frame.tokens)
    assert np.array_equal(reception.packets_ok, ok) and reception.quality.esn0_db == demodulated.quality.esn0_db


def test_a_failed_packet_costs_its_own_tokens_and_no_others():
    transmitter, frame = Transmitter(), random_frame(seed=5)
    burst = transmitter.transmit(frame, 5)
    header = transmitter.header(frame, 5, transmitter.choose_mcs(64), 4)
    receiver = known()
    (found,) = receiver.search(on_air(burst, esn0_db=20))
    llrs = receiver.demap(receiver.demodulate(found)).reshape(64, 124)
    llrs[7] = np.random.default_rng(0).normal(size=124)
    reception = receiver.assemble(*receiver.decode(llrs.ravel(), header), header)
    lost = packet_layout(256, 4, 5)[7]
    assert np.flatnonzero(~reception.packets_ok).tolist() == [7]
    assert sorted(np.flatnonzero(reception.frame.lost)) == sorted(lost)
    assert np.array_equal(np.delete(reception.frame.tokens, lost), np.delete(frame.tokens, lost))


def test_an_impulse_costs_few_packets():
    """The interleaving leaves each packet one or two of its 31 symbols in an OFDM symbol that was hit."""
    burst = Transmitter().transmit(random_frame(), 5)
    stream = on_air(burst, esn0_db=20)
    stream[400 + 320 + 80 * 25 + 40] += 1000
    (reception,) = known().receive(stream)
    assert reception.packets_ok.mean() > 0.9


def test_the_outline_says_no_tokens():
    transmitter, frame = Transmitter(), random_frame(grid=(16, 16), cmi=9)
    outline = known().outline(transmitter.header(frame, 0, transmitter.choose_mcs(64), 4))
    assert (outline.tokens == LOST).all() and outline.grid == (16, 16) and outline.cmi == 9


@pytest.mark.parametrize("row", mcs_table(), ids=lambda row: row.name)
def test_three_paths_and_offsets_of_clock_and_frequency_cost_nothing_at_high_snr(row):
    """20 ppm either way; the receiver tells them."""
    for each, ppm in (("standard", 20), ("standard", -20), ("robust", 20)):
        frame = random_frame(seed=row.index, grid=(16, 16))
        burst = Transmitter(TransmitConfig(row.name, profile=each)).transmit(frame, 7)
        (reception,) = known().receive(rough_channel(burst, ppm))
        assert reception.packets_ok.all() and np.array_equal(reception.frame.tokens, frame.tokens)
        assert reception.quality.clock_offset_ppm == pytest.approx(ppm, abs=3)
        assert reception.quality.cfo == pytest.approx(0.05, abs=1e-5)


@pytest.mark.parametrize("ppm", [-20, 20])
@pytest.mark.parametrize(
    ("mcs", "per_packet", "grid"), [("64qam-3/4", 16, (9, 4000)), ("qpsk-1/2", 8, (2, 3600))], ids=["64qam", "qpsk"]
)
def test_the_longest_bursts_hold_with_clocks_20_ppm_apart(mcs, per_packet, grid, ppm):
    frame = random_frame(int(np.prod(grid)), grid=grid)
    transmitter = Transmitter(TransmitConfig(mcs, per_packet))
    n_packets = len(frame.tokens) // per_packet
    header = transmitter.header(frame, 3, transmitter.choose_mcs(n_packets), per_packet)
    assert plan_burst(header, profile("standard")).payload_symbols > 0.9 * MAX_PAYLOAD_SYMBOLS
    (reception,) = known().receive(rough_channel(transmitter.transmit(frame, 3), ppm))
    assert reception.packets_ok.all() and np.array_equal(reception.frame.tokens, frame.tokens)


@pytest.mark.parametrize("name", ["qpsk-1/2", "16qam-1/2", "64qam-2/3"])
def test_the_air_costs_little_more_than_the_table_says(name):
    """At the table's Es/N0 for 1% and one decibel, of a cell: a sample's is 52/64 of it. At most 4% of packets fail."""
    row = next(row for row in mcs_table() if row.name == name)
    transmitter = Transmitter(TransmitConfig(name))
    stream = on_air(
        *(transmitter.transmit(random_frame(seed=i), i) for i in range(12)),
        esn0_db=row.per1_esn0_db + 1 + 10 * np.log10(52 / 64),
    )
    receptions = known().receive(stream)
    assert len(receptions) >= 11
    assert np.mean([reception.packets_ok.mean() for reception in receptions]) > 0.96
    for reception in receptions:
        good = ~reception.frame.lost
        assert np.array_equal(reception.frame.tokens[good], random_frame(seed=reception.frame.frame_id).tokens[good])


def test_many_bursts_in_any_pieces_give_the_same_frames():
    frames = [random_frame(64, seed=i) for i in range(10)]
    transmitters = [Transmitter(TransmitConfig(profile=name)) for name in profile_names()]
    stream = on_air(*(transmitters[i % 2].transmit(frame, i) for i, frame in enumerate(frames)), gap=50, esn0_db=9)
    expected = known().receive(stream)
    assert [reception.frame.frame_id for reception in expected] == list(range(10))
    for step in (100, 1023, 10000):
        receiver = known()
        got = [each for start in range(0, len(stream), step) for each in receiver.receive(stream[start : start + step])]
        assert all(np.array_equal(a.frame.tokens, b.frame.tokens) for a, b in zip(got, expected, strict=True))
        assert all(
            a.position == b.position and a.quality.cfo == b.quality.cfo for a, b in zip(got, expected, strict=True)
        )


def test_a_frame_of_a_codebook_that_is_not_known_comes_out_under_its_id():
    frame = random_frame(size=1000)
    (reception,) = Receiver([Codebook("other", 1024)]).receive(on_air(Transmitter().transmit(frame, 0)))
    assert reception.frame.codebook == f"unknown-{codebook_id('random'):08x}"
    assert reception.frame.codebook_size == 1024 and reception.frame.modality == "unknown"
    assert np.array_equal(reception.frame.tokens, frame.tokens)


def test_two_ends_of_one_name_and_other_content_say_so():
    """Other weights or labels under one name: no token is decoded under the wrong ones, and both ends are named."""
    theirs, ours = "mine@11112222", Codebook("mine@33334444", 1000)
    receiver = Receiver([ours])
    (reception,) = receiver.receive(
        on_air(Transmitter().transmit(replace(random_frame(size=1000), codebook=theirs), 0))
    )
    assert reception.frame.codebook == "unknown-11112222" and reception.recovered is None
    assert receiver.strangers == {"unknown-11112222": 1}
    assert "has codebook 0x11112222; known are mine@33334444 (0x33334444)" in receiver.last_error


def test_a_receiver_refuses_two_models_of_one_id():
    with pytest.raises(ParameterError, match="have the same id on the air"):
        Receiver([Codebook("one@12345678", 8), Codebook("other@12345678", 8)])


def test_a_codebook_brings_its_size_and_modality():
    receiver = Receiver([Codebook("other", 2), Codebook("random", 1000, "speech")])
    (reception,) = receiver.receive(on_air(Transmitter().transmit(random_frame(size=1000), 0)))
    assert (reception.frame.codebook_size, reception.frame.modality) == (1000, "speech")


def test_a_token_outside_the_receivers_codebook_fails_its_packet():
    """1023 lies in the transmitter's codebook of 1024 words, not in the receiver's of 1000."""
    tokens = np.zeros(16, int)
    tokens[5] = 1023
    burst = Transmitter().transmit(TokenFrame(tokens, "random", 1024), 0)
    (reception,) = known(1000).receive(on_air(burst))
    packet = np.flatnonzero((packet_layout(16, 4, 0) == 5).any(axis=1))
    assert np.flatnonzero(~reception.packets_ok).tolist() == packet.tolist()


def test_a_codebook_of_another_width_is_named_counted_and_hurts_no_other_burst():
    wide = Transmitter().transmit(random_frame(size=2048, seed=1), 0)
    good = Transmitter().transmit(random_frame(seed=2), 0)
    receiver = known(1024)
    receptions = receiver.receive(on_air(good, wide, good))
    assert [reception.frame.frame_id for reception in receptions] == [2, 2] and receiver.unusable == 1
    assert "frame 1 has tokens of 11 bits, its codebook random of 10" in receiver.last_error
    header = Transmitter().header(random_frame(size=2048), 0, np.full(64, 6), 4)
    with pytest.raises(FrameError, match="transmitter and receiver hold different models"):
        receiver.outline(header)


class Zeros(Prior):
    """A prior of 1024 words that believes in word 0."""

    codebook, codebook_size, grid, num_classes = "random", 1024, None, 102

    def log_probabilities(self, tokens, wanted, conditions):
        return np.log(np.eye(1024)[np.zeros(wanted.sum(), int)] * 0.9 + 1e-4)


def test_what_is_lost_is_recovered_and_the_rest_stays():
    mcs = np.full(64, 6)
    mcs[10:20] = MCS_NOT_SENT
    frame = random_frame()
    receiver = Receiver([Codebook("random", 1024)], FrameRecovery("context", Zeros()))
    (reception,) = receiver.receive(on_air(Transmitter().transmit(frame, 0, mcs)))
    lost = reception.frame.lost
    assert lost.sum() == 40 and not reception.recovered.frame.tokens[lost].any()
    assert np.array_equal(reception.recovered.frame.tokens[~lost], frame.tokens[~lost])


def test_a_frame_that_the_recovery_does_not_know_comes_out_as_it_is():
    receiver = Receiver([], FrameRecovery("context", Zeros()))
    (reception,) = receiver.receive(on_air(Transmitter().transmit(random_frame(), 0)))
    assert reception.recovered is None and reception.packets_ok.all()


@pytest.mark.parametrize(
    ("bad", "message"),
    [
        ({"mcs": "8psk-1/2"}, "8psk"), ({"mcs": 16}, "16"), ({"tokens_per_packet": 0}, "tokens_per_packet is 0"),
        ({"tokens_per_packet": 65}, "tokens_per_packet is 65"), ({"profile": "fast"}, "fast"),
        ({"stream_id": 64}, "stream_id is 64"), ({"stream_id": -1}, "stream_id is -1"),
    ],
    ids=str,
)  # fmt: skip
def test_bad_transmitters_are_named(bad, message):
    with pytest.raises(ParameterError, match=message):
        TransmitConfig(**bad)


@pytest.mark.parametrize(
    ("frame", "layout_seed", "mcs", "message"),
    [
        (TokenFrame(np.array([1, LOST]), "random", 4), 0, None, "1 tokens of frame 0 are lost"),
        (random_frame(1 << 17), 0, None, "number of packets is 32768"),
        (random_frame(16384), 0, np.r_[np.zeros(100), np.full(3996, 15)], "400 are sent, which allows at most 4224"),
        (random_frame(cmi=4095), 0, None, "cmi is 4095"),
        (random_frame(), 0, np.full(63, 6), r"mcs has shape \(63,\); 256 tokens make 64 packets"),
        (random_frame(), 0, np.full(64, 16), "mcs holds 16"),
        (random_frame(16000, grid=(4, 4000)), 0, np.zeros(4000, int), "4000 packets take .* at most 2048"),
        (random_frame(4 * 600), 0, np.arange(600) % 12, "600 packets takes 300 bytes of elements"),
    ],
)  # fmt: skip
def test_a_frame_that_cannot_be_sent_is_named(frame, layout_seed, mcs, message):
    with pytest.raises((FrameError, ParameterError, BurstError), match=message) as caught:
        Transmitter().transmit(frame, layout_seed, mcs)
    assert isinstance(caught.value, TokcomError)


@pytest.mark.parametrize(
    ("frame", "config"),
    [
        (random_frame(5000, 50257, grid=(5000,)), TransmitConfig(layout="contiguous")),
        (random_frame(4800, grid=(300, 16)), TransmitConfig(8)),
        (random_frame(1024, grid=(4, 16, 16)), TransmitConfig()),
        (replace(random_frame(1024, grid=(4, 8, 32)), quantizers=4), TransmitConfig(layout="importance")),
        (random_frame(1024, grid=(2, 2, 16, 16), frame_id=(1 << 20) - 1), TransmitConfig(profile="robust")),
    ],
    ids=["text", "long grid", "video", "quantizers", "four dimensions"],
)
def test_frames_of_any_shape_come_back_whole(frame, config):
    (reception,) = known(frame.codebook_size).receive(on_air(Transmitter(config).transmit(frame, 77)))
    assert reception.packets_ok.all() and reception.frame == frame
    assert reception.header.layout == ("frames" if len(frame.grid) == 3 and frame.quantizers == 1 else config.layout)


def test_a_frame_number_beyond_its_field_comes_back_modulo():
    frame = random_frame(frame_id=(1 << 20) + 3)
    (reception,) = known().receive(on_air(Transmitter().transmit(frame, 0)))
    assert reception.packets_ok.all() and reception.frame == replace(frame, frame_id=3)


@settings(max_examples=20)
@given(
    n=st.integers(1, 3000), per_packet=st.integers(1, 2048), mcs=st.integers(0, 14), seed=st.integers(0, 2**32 - 1)
)  # fmt: skip
def test_any_bits_cross_a_clean_channel(n, per_packet, mcs, seed):
    frame = BitFrame(np.random.default_rng(seed).integers(0, 2, n), "random bits", seed % (1 << 20))
    per_packet = max(per_packet, n // 300 + 1)
    burst = Transmitter(TransmitConfig(mcs, bits_per_packet=per_packet)).transmit(frame)
    (reception,) = Receiver([Codebook("random bits", 2)]).receive(on_air(burst))
    assert reception.frame == frame and reception.packets_ok.all() and reception.recovered is None
    assert reception.header.payload == "bits" and reception.header.positions().shape[1] == per_packet


def test_a_thousand_bytes_cross_awgn_where_packets_fail_and_only_they_are_lost():
    """At 5 dB some packets of 256 bits fail in 16-QAM 1/2; recovery, which knows tokens, keeps its hands off."""
    data = np.random.default_rng(3).bytes(1000)
    frame = BitFrame.of_bytes(data, "random bits", 9)
    stream = on_air(Transmitter().transmit(frame), esn0_db=5.0)
    receiver = Receiver([Codebook("random bits", 2)], FrameRecovery("list"))
    (reception,) = receiver.receive(stream)
    assert 8000 / 256 < len(reception.packets_ok) <= 32 and 0 < (~reception.packets_ok).sum() < 16
    lost = np.repeat(~reception.packets_ok, 256)[:8000]
    assert np.array_equal(reception.frame.lost, lost) and reception.recovered is None
    assert np.array_equal(reception.frame.bits[~lost], frame.bits[~lost])
    with pytest.raises(FrameError, match=f"{lost.sum()} of 8000 bits of frame 9 are lost"):
        reception.frame.to_bytes()
    (clear,) = Receiver([Codebook("random bits", 2)]).receive(on_air(Transmitter().transmit(frame), esn0_db=12))
    assert clear.frame.to_bytes() == data


def test_bits_of_unknown_content_come_out_under_its_id():
    receiver = Receiver()
    (reception,) = receiver.receive(on_air(Transmitter().transmit(BitFrame(np.arange(9) % 2, "secret"))))
    assert reception.frame == BitFrame(np.arange(9) % 2, f"unknown-{codebook_id('secret'):08x}")
    assert "has bits of content 0x" in receiver.last_error and receiver.strangers.total() == 1


def test_labels_and_layout_of_tokens_are_none_of_bits():
    config = TransmitConfig(layout="importance", labels="semantic")
    (reception,) = Receiver().receive(on_air(Transmitter(config).transmit(BitFrame(np.arange(9) % 2, "secret"), 70)))
    header = reception.header
    assert (header.labels, header.layout, header.layout_seed) == ("natural", "contiguous", 0)


def test_kernels_are_compiled_before_bursts_come(monkeypatch):
    """List decoding asks for the same signatures later, of priors of all words and of the likeliest."""
    seen = {"decode_packets": set(), "decode_packets_of_named_words": set()}
    for name, signatures in seen.items():
        real = getattr(list_decoding, name)

        def noted(*arguments, real=real, signatures=signatures):
            signatures.add(tuple(map(numba.typeof, arguments)))
            return real(*arguments)

        monkeypatch.setattr(list_decoding, name, noted)
    compile_kernels.__wrapped__()
    before = {name: set(signatures) for name, signatures in seen.items()}
    logs = np.log(np.random.default_rng(0).dirichlet(np.ones(1024), (3, 4))).astype(np.float32)
    coded = MixedPackets.of(1024, 4, np.zeros(3))
    for prior in (Prediction.dense(logs), Prediction.dense(logs).top(16)):
        coded.list_decode(np.ones(coded.bits.sum(), np.float32), np.arange(3), prior, PacketIdentity(0, 0, 0))
    assert seen == before and all(seen.values())
