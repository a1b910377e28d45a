"""Packets in any order, once or several times, from every link: the frames that come of them."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tokcom.channel.awgn import awgn
from tokcom.errors import FrameError, ParameterError
from tokcom.frame import LOST, BitFrame, TokenFrame
from tokcom.link.arrival import Arrival
from tokcom.link.assembly import TRANSMISSIONS, Assembly, FrameAssembler
from tokcom.link.bursts import BurstLink
from tokcom.link.known_noise import PlainLink, SymbolLink
from tokcom.link.packet_link import LinkConfig
from tokcom.link.receiver import Receiver
from tokcom.link.recovery import FrameRecovery
from tokcom.link.transmitter import TransmitConfig, Transmitter
from tokcom.packets.codebook import Codebook
from tokcom.packets.layout import pack, packet_layout
from tokcom.packets.mcs_map import MCS_NOT_SENT
from tokcom.security.keyring import Keyring
from tokcom.security.keys import Key
from tokcom.security.sealer import Sealer

BOOK = Codebook("random", 1024)


def a_frame(number=0, n_tokens=64):
    tokens = np.random.default_rng(number).integers(0, BOOK.size, n_tokens, dtype=np.int32)
    return TokenFrame(tokens, BOOK.name, BOOK.size, frame_id=number)


def datagram(frame, rows, stream_id=0, source=None, tokens_per_packet=4):
    """Packets of a frame that arrive whole."""
    positions, rows = packet_layout(len(frame.tokens), tokens_per_packet, 0), np.array(rows, int)
    outline = frame.with_tokens(np.full_like(frame.tokens, LOST))
    tokens = pack(frame.tokens, positions)[rows]
    return Arrival(stream_id, outline, positions, rows, tokens, np.ones(len(rows), bool), source=source)


@given(st.lists(st.tuples(st.integers(0, 2), st.lists(st.integers(0, 15), max_size=4, unique=True)), max_size=30))
def test_any_order_and_any_repetition_gives_what_has_come(deliveries):
    assembler, came = FrameAssembler(), {0: set(), 1: set(), 2: set()}
    for number, rows in deliveries:
        got = assembler.add(datagram(a_frame(number), rows))
        came[number] |= set(rows)
        layout = packet_layout(64, 4, 0)
        expected = np.full(64, LOST)
        for row in came[number]:
            expected[layout[row]] = a_frame(number).tokens[layout[row]]
        assert np.array_equal(got.frame.tokens, expected) and set(got.missing) == set(range(16)) - came[number]
    heard = sum(len(rows) for _, rows in deliveries)
    assert assembler.counters.duplicates == heard - sum(map(len, came.values()))
    assert assembler.bytes_held == sum(
        assembler.get(key).n_bytes for key in [(None, 0, number) for number in came] if assembler.get(key)
    )


def test_streams_and_sources_are_kept_apart_and_frames_taken_out():
    assembler = FrameAssembler()
    for stream_id, source in ((0, None), (1, None), (0, "10.0.0.1")):
        assembler.add(datagram(a_frame(3), [stream_id], stream_id, source))
    assert len(assembler) == 3 and assembler.get((None, 1, 3)).missing.tolist() == [0, *range(2, 16)]
    taken = assembler.pop((None, 1, 3))
    assert taken.packets_ok.sum() == 1 and assembler.pop((None, 1, 3)) is None and len(assembler) == 2


def test_bounds_hold_and_what_is_let_go_is_counted():
    assembler = FrameAssembler(max_frames=4)
    for number in range(10):
        assembler.add(datagram(a_frame(number), [0, 1]))
    assert len(assembler) == 4 and assembler.counters.frames_dropped == 6 and assembler.counters.packets_dropped == 12
    small = FrameAssembler(max_bytes=3000)
    for number in range(50):
        small.add(datagram(a_frame(number % 7), [number % 16]))
        assert small.bytes_held <= 3000 and len(small) >= 1
    small.add(datagram(a_frame(99, 4096), [0]))
    assert len(small) == 1, "the latest stays, whatever it holds"
    with pytest.raises(ParameterError, match="max_frames is 0"):
        FrameAssembler(max_frames=0)


def test_a_number_that_comes_again_with_other_content_is_another_frame():
    assembler, other = FrameAssembler(), a_frame(1).with_tokens(a_frame(2).tokens)
    assembler.add(datagram(a_frame(1), [0, 1, 2]))
    got = assembler.add(datagram(other, [1, 5]))
    assert assembler.counters.frames_replaced == 1 and np.flatnonzero(got.packets_ok).tolist() == [1, 5]
    got = assembler.add(datagram(a_frame(1, 96), [3]))
    assert assembler.counters.frames_replaced == 2 and len(got.packets_ok) == 24
    assembler.add(datagram(a_frame(1, 96), [4], tokens_per_packet=3))
    assert assembler.counters.frames_replaced == 3 and len(assembler) == 1


def link_of(name, mcs="16qam-1/2", tokens_per_packet=4):
    if name == "plain":
        return PlainLink(LinkConfig("k7", tokens_per_packet=tokens_per_packet), BOOK.size)
    ends = Transmitter(TransmitConfig(mcs, tokens_per_packet), [BOOK]), Receiver([BOOK])
    return BurstLink(*ends) if name == "bursts" else SymbolLink(*ends)


def carried(link, frame, esn0_db, seed, mcs=None):
    """What a link brings of a frame through AWGN."""
    signal, rng = link.transmit(frame, 5, mcs), np.random.default_rng(seed)
    noisy = awgn(np.pad(signal, 600), esn0_db, rng) if isinstance(link, BurstLink) else signal.in_noise(esn0_db, rng)
    return link.receive(noisy)


@pytest.mark.parametrize("name", ["plain", "symbols", "bursts"])
def test_every_link_brings_packets_that_make_the_frame(name):
    link, assembler, frame = link_of(name), FrameAssembler(), a_frame(8)
    first = np.where(np.arange(16) % 3 == 0, 6, MCS_NOT_SENT)
    for mcs in (first, np.where(first == 6, MCS_NOT_SENT, 6)):
        for arrival in carried(link, frame, 30.0, 1, mcs):
            got = assembler.add(arrival)
    assert got.frame == frame and not len(got.missing) and got.key == (None, 0, 8)
    assert sum(each.sent.astype(int) for each in got.received.transmissions).tolist() == [1] * 16


def test_bits_are_put_together_as_tokens_are():
    bits = BitFrame(np.random.default_rng(0).integers(0, 2, 5000), "bytes", frame_id=2)
    sender = Transmitter(TransmitConfig(bits_per_packet=500))
    link, assembler = BurstLink(sender, Receiver([Codebook("bytes", 2, "bits")])), FrameAssembler()
    for rows in (range(7), range(5, 10)):
        mcs = np.where(np.isin(np.arange(10), rows), 6, MCS_NOT_SENT)
        (arrival,) = carried(link, bits, 30.0, 0, mcs)
        got = assembler.add(arrival)
    assert got.frame == bits and assembler.counters.duplicates == 2


def share_decoded(link, esn0_db, times, mcs=(None,), packets=400):
    """Share of packets that come through, sent so often, each time with one of the MCS."""
    frame = a_frame(4, 4 * packets)
    assembly = None
    for turn in range(times):
        schemes = mcs[turn % len(mcs)]
        schemes = None if schemes is None else np.full(packets, schemes)
        (arrival,) = carried(link, frame, esn0_db, turn, schemes)
        if assembly is None:
            assembly = Assembly(arrival)
        else:
            assembly.add(arrival)
    right = (assembly.frame.tokens == frame.tokens)[assembly.positions].all(axis=1)
    assert (right == assembly.packets_ok).mean() > 0.997, "what passes the check is right"
    return assembly.packets_ok.mean()


@pytest.mark.parametrize("name", ["plain", "symbols"])
def test_two_transmissions_are_worth_twice_the_energy(name):
    """Chase combining: two at half the Es/N0 do as one at all of it, or better, for a packet may pass alone, too."""
    link = link_of(name)
    once, twice = share_decoded(link, 5.5, 1), share_decoded(link, 5.5 - 3.01, 2)
    assert share_decoded(link, 5.5 - 3.01, 1) < 0.1 and 0.6 < once < 0.95
    assert once - 0.03 < twice < once + 0.15


def test_transmissions_of_different_mcs_add_too():
    """16-QAM 3/4, which never comes through here, tells what QPSK 1/2 lacks."""
    link = link_of("symbols")
    apart = [share_decoded(link, -0.5, 1, (mcs,)) for mcs in (8, 3)]
    assert apart[0] == 0 and share_decoded(link, -0.5, 2, (8, 3)) > apart[1] + 0.2


def test_added_transmissions_are_what_recovery_decodes():
    link, frame = link_of("symbols"), a_frame(6, 256)
    assemblies = [Assembly(carried(link, frame, 1.0, seed)[0]) for seed in range(3)]
    alone = FrameRecovery("list").recover(assemblies[0].frame, assemblies[0].received)
    for other in assemblies[1:]:
        assemblies[0].received = assemblies[0].received.with_more(other.received)
    together = FrameRecovery("list").recover(assemblies[0].frame, assemblies[0].received)
    wrong = [(each.frame.tokens != frame.tokens).mean() for each in (alone, together)]
    assert wrong[0] > 0.5 and wrong[1] < 0.05


def test_steps_decode_as_the_packets_do():
    link, frame = link_of("symbols"), a_frame(7, 128)
    received = carried(link, frame, 5.0, 0)[0].received
    rows = np.array([3, 3, 9])
    steps = received.steps(rows)
    assert steps.shape == (3, 62, 4) and np.array_equal(steps[0], steps[1])
    likeliest = steps - steps.max(axis=-1, keepdims=True)
    bits = np.stack([likeliest[..., [2, 3]].max(-1) - likeliest[..., [0, 1]].max(-1),
                     likeliest[..., [1, 3]].max(-1) - likeliest[..., [0, 2]].max(-1)], axis=-1)  # fmt: skip
    llrs = received.transmissions[0].llrs.reshape(32, -1)[rows]
    assert np.allclose(bits.reshape(3, -1), llrs, rtol=1e-3, atol=1e-2)


def test_a_receiver_adds_bursts_that_were_sent_again():
    frame, sender = a_frame(9), Transmitter(TransmitConfig("16qam-1/2"))
    burst = np.pad(sender.transmit(frame, 1), 600)
    receiver = Receiver([BOOK], FrameRecovery("list"), assembler=FrameAssembler())
    single = Receiver([BOOK])
    shares = []
    for seed in range(3):
        noisy = awgn(burst, 3.5, np.random.default_rng(seed))
        ((together,), (alone,)) = receiver.receive(noisy), single.receive(noisy)
        shares.append((together.packets_ok.mean(), alone.packets_ok.mean()))
        assert together.recovered.packets_ok.sum() >= together.packets_ok.sum()
    assert shares[0][0] == shares[0][1] < 0.5 and shares[2][0] == 1 > 2 * shares[2][1]
    assert together.frame == frame


def test_encrypted_transmissions_add_though_their_key_streams_differ(tmp_path):
    key = Key(bytes(range(32)))
    sender = Transmitter(TransmitConfig("16qam-1/2"), sealer=Sealer(key, tmp_path / "epochs"))
    link, assembler, frame = BurstLink(sender, Receiver([BOOK], keys=Keyring([key]))), FrameAssembler(), a_frame(3)
    got = [assembler.add(*carried(link, frame, 3.5, seed)).packets_ok.mean() for seed in range(3)]
    received = assembler.get(((key.id, 0), 0, 3)).received
    assert len({each.identity.cipher.header_tag for each in received.transmissions}) == 3
    # Tags are each transmission's own, and do not add.
    assert got[0] < 0.5 and got[0] < got[1] < got[2]


def test_repetitions_without_end_take_no_more_memory():
    link, assembler = link_of("symbols"), FrameAssembler()
    for seed in range(2 * TRANSMISSIONS):
        got = assembler.add(*carried(link, a_frame(1), -10.0, seed))
    assert len(got.received.transmissions) == TRANSMISSIONS and assembler.bytes_held == got.n_bytes < 1 << 20


def test_other_packets_are_no_repetition():
    link = link_of("symbols")
    one, other = (carried(link, a_frame(1, n), 5.0, 0)[0].received for n in (64, 96))
    with pytest.raises(FrameError, match="no repetition"):
        one.with_more(other)
