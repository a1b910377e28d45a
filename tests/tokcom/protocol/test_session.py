"""Senders and receivers over simulated networks: what arrives, what is asked for, and what hostile peers achieve."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tokcom.errors import FrameError
from tokcom.frame import BitFrame, TokenFrame
from tokcom.packets.codebook import Codebook
from tokcom.packets.layout import pack
from tokcom.protocol import datagrams as wire
from tokcom.protocol.formats import FrameFormat
from tokcom.protocol.incoming import WaitSettings
from tokcom.protocol.path import Path, PathSettings
from tokcom.protocol.receiver import Receiver, ReceiverSettings
from tokcom.protocol.relay import DropQueue
from tokcom.protocol.sections import Section, encode_section, payloads_of
from tokcom.protocol.sender import Sender, SenderSettings
from tokcom.protocol.simulation import Simulation

BOOK = Codebook("model", 1024)
HERE = ("10.0.0.1", 4000)


def frames(count, seed=0, n=256):
    rng = np.random.default_rng(seed)
    return [TokenFrame(rng.integers(0, 1024, n), "model", 1024, (16, n // 16), cmi=7, frame_id=i) for i in range(count)]


def network(
    count=20, forward=None, backward=None, repeats="all", relay=None, interval=0.04, judge=None, bits=None, seed=0,
    until=None, **sender,
):  # fmt: skip
    """A simulation that has run, and the frames sent."""
    sent = frames(count, seed)
    one = Sender(SenderSettings(**{"deadline_s": 2.0} | sender))
    receiver = Receiver([BOOK], ReceiverSettings(repeats, WaitSettings(deadline_s=1.0)))
    forward, backward = Path(forward or PathSettings(), seed), Path(backward or PathSettings(), seed + 1)
    simulation = Simulation({HERE: one}, receiver, forward, backward, relay, judge)
    for number, frame in enumerate(sent):
        simulation.at(number * interval, lambda frame=frame: one.offer(frame, simulation.now, bits))
    simulation.run(until or count * interval + 3)
    return simulation, one, receiver, sent


def delivered(simulation):
    return {each.received.outline.frame_id: each.received for each in simulation.deliveries}


def test_without_loss_every_frame_comes_whole_once():
    simulation, sender, receiver, sent = network()
    got = delivered(simulation)
    assert len(simulation.deliveries) == len(sent) and sender.finished
    assert all(got[frame.frame_id].frame == frame for frame in sent)
    assert receiver.counters.packets_wanted == receiver.counters.refused == sender.counters.refused == 0


@settings(max_examples=12, deadline=None)
@given(st.integers(0, 2**20), st.floats(0, 0.4), st.floats(0, 0.3), st.floats(0, 0.3), st.floats(0, 0.05))
def test_whatever_a_network_does_no_token_is_wrong_and_no_frame_comes_twice(seed, loss, duplicate, reorder, jitter):
    path = PathSettings(loss, 2, 0.02, jitter, reorder, duplicate)
    simulation, _, receiver, sent = network(10, path, path, seed=seed)
    ids = [each.received.outline.frame_id for each in simulation.deliveries]
    assert len(ids) == len(set(ids))
    for frame_id, received in delivered(simulation).items():
        known = ~received.frame.lost
        assert (received.frame.tokens[known] == sent[frame_id].tokens[known]).all()
        assert received.frame.cmi == 7
    # Only a network that eats every handshake brings nothing.
    assert len(ids) >= 8
    assert receiver.counters.report_bytes <= receiver.counters.bytes


def test_repeats_make_frames_whole_again():
    path = PathSettings(loss=0.2, burst=2, delay_s=0.02)
    none, all_of_them = (network(40, path, repeats=repeats)[0] for repeats in ("none", "all"))
    shares = [np.mean([each.packets_ok.mean() for each in delivered(s).values()]) for s in (none, all_of_them)]
    assert shares[0] == pytest.approx(0.8, abs=0.05) and shares[1] > 0.97


def test_only_what_is_judged_wanted_is_asked_for():
    path = PathSettings(loss=0.2, delay_s=0.02)

    def even(question):
        return question.assembly.missing[question.assembly.missing % 2 == 0]

    simulation, sender, receiver, _ = network(40, path, repeats="context", judge=even)
    got = delivered(simulation)
    assert len(got) == 40 and 0 < receiver.counters.packets_wanted
    came = np.mean([each.packets_ok for each in got.values()], axis=0)
    assert came[0::2].mean() > 0.97 and came[1::2].mean() == pytest.approx(0.8, abs=0.06)
    assert sender.counters.packets_repeated <= receiver.counters.packets_wanted


def test_numbers_wrap():
    simulation, sender, receiver, _ = network(1, until=1)
    sender._session.sent = receiver._sessions[sender._session.number].window.highest = 65530
    many = frames(30, 3)
    for frame in many:
        moved = TokenFrame(frame.tokens, "model", 1024, (16, 16), frame_id=65520 + frame.frame_id)
        sender.offer(moved, simulation.now)
        simulation.run(simulation.now + 0.2)
    got = delivered(simulation)
    assert all((got[65520 + i].frame.tokens == many[i].tokens).all() for i in range(30))


@pytest.mark.parametrize("drop", ["surest", "random"])
def test_a_sender_meets_its_rate(drop):
    bits = np.arange(64.0) if drop == "surest" else None
    rate = 2500
    simulation, sender, _, sent = network(50, interval=0.1, max_rate=rate, drop=drop, bits=bits, repeats="none")
    got = delivered(simulation)
    assert sender.counters.packets_dropped > 0
    assert sender.counters.bytes <= rate * (simulation.now + 1)
    share = np.mean([each.packets_ok for each in got.values()], axis=0)
    assert len(got) == len(sent)
    if drop == "surest":
        assert share[-16:].min() > 0.9 and share[:16].max() < share[-16:].min()
    else:
        assert np.abs(np.corrcoef(np.arange(64), share)[0, 1]) < 0.5


@pytest.mark.parametrize(("drop", "first"), [("surest", 2), ("tail", None), ("random", None)])
def test_a_relay_drops_the_surest_first(drop, first):
    relay = DropQueue(8000, 4000, drop)
    bits = np.random.default_rng(3).random(64)
    simulation, _, _, _ = network(40, interval=0.04, relay=relay, bits=bits, repeats="none")
    counters = relay.counters
    assert counters.passed and sum(counters.dropped)
    if first is not None:
        got = delivered(simulation)
        surest = bits <= np.sort(bits)[20]
        share = np.mean([each.packets_ok for each in got.values()], axis=0)
        assert share[~surest].mean() > share[surest].mean() + 0.15
    assert relay.n_bytes <= 4000


def test_congestion_finds_the_bottleneck():
    """Copa fills a bottleneck and keeps its queue short: two datagrams and some, by its aim."""
    forward = PathSettings(delay_s=0.02, rate=125_000, queue_bytes=200_000)
    sent = [TokenFrame(np.random.default_rng(i).integers(0, 1024, 4096), "model", 1024, (64, 64), frame_id=i)
            for i in range(200)]  # fmt: skip
    sender = Sender(SenderSettings(deadline_s=60, section_packets=200))
    receiver = Receiver([BOOK], ReceiverSettings("none", WaitSettings(deadline_s=5.0, wait_s=1, ended_wait_s=1)))
    simulation = Simulation({HERE: sender}, receiver, Path(forward), Path(PathSettings(delay_s=0.02)))
    for frame in sent:
        simulation.at(0, lambda frame=frame: sender.offer(frame, 0))
    simulation.run(4)
    before = receiver.counters.bytes
    simulation.run(8)
    assert (receiver.counters.bytes - before) / 4 > 0.85 * 125_000
    assert sender.congestion.smoothed_rtt_s < 0.04 + 12 * 1200 / 125_000
    assert simulation.forward.overflowed == 0


def test_random_loss_does_not_starve_a_sender():
    forward = PathSettings(loss=0.2, delay_s=0.02, rate=125_000, queue_bytes=200_000)
    simulation, sender, _, _ = network(100, forward, interval=0.01, repeats="none")
    assert sender.counters.datagrams_lost > 0 and len(simulation.deliveries) == 100


def test_bits_and_lines_travel_too():
    sender = Sender(SenderSettings())
    receiver = Receiver([BOOK, Codebook("text", 30000, "text")])
    simulation = Simulation({HERE: sender}, receiver, Path(PathSettings()), Path(PathSettings()))
    bits = BitFrame.of_bytes(b"any bytes", "model", 0)
    line = TokenFrame(np.arange(37), "text", 30000, modality="text", frame_id=1)
    for frame in (bits, line):
        sender.offer(frame, simulation.now)
        simulation.run(simulation.now + 1)
    got = delivered(simulation)
    assert got[0].frame.to_bytes() == b"any bytes" and got[1].frame == line


def test_what_a_frame_says_beside_its_tokens_travels_too():
    told = [replace(frame, follows=1, companion=200, description=bytes([1, 2, 3])) for frame in frames(3)]
    sender, receiver = Sender(SenderSettings()), Receiver([BOOK])
    simulation = Simulation({HERE: sender}, receiver, Path(PathSettings(loss=0.3)), Path(PathSettings()))
    for frame in told:
        sender.offer(frame, 0)
    simulation.run(3)
    for frame_id, received in delivered(simulation).items():
        assert replace(told[frame_id], tokens=received.frame.tokens) == received.frame
    with pytest.raises(FrameError, match="frame 0 is thinned"):
        sender.offer(replace(frames(1)[0], thinning=b"rule"), 0)


# Hostile peers.


def test_nothing_is_kept_of_a_sender_that_does_not_receive():
    receiver = Receiver([BOOK])
    form = FrameFormat.of_frame(frames(1)[0])
    for number in range(2000):
        nonce, spoofed = number.to_bytes(8, "big"), (f"10.1.{number // 256}.{number % 256}", 1)
        reply = receiver.receive(wire.encode_hello(nonce), spoofed, 0.0)
        assert len(reply) < wire.HELLO_BYTES
        # It has not seen the cookie that went to the address it claims.
        key = wire.session_key(nonce, bytes(16))
        assert receiver.receive(wire.encode_connect(nonce, bytes(16), [form], key), spoofed, 0.0) is None
    assert receiver.sessions == 0 and receiver.counters.refused == 2000
    # The cookie of another address, and one that is too old.
    cookie = wire.decode_cookie(receiver.receive(wire.encode_hello(bytes(8)), HERE, 0.0))[1]
    connect = wire.encode_connect(bytes(8), cookie, [form], wire.session_key(bytes(8), cookie))
    assert receiver.receive(connect, ("10.0.0.2", 4000), 0.0) is None
    assert receiver.receive(connect, HERE, 100.0) is None
    assert receiver.receive(connect, HERE, 1.0) is not None and receiver.sessions == 1


def connect(receiver, address, now=0.0, nonce=bytes(8), forms=None, secret=b""):
    """Number and key of a new session; None where it is refused."""
    cookie = wire.decode_cookie(receiver.receive(wire.encode_hello(nonce), address, now))[1]
    key = wire.session_key(nonce, cookie, secret)
    forms = forms or [FrameFormat.of_frame(frames(1)[0])]
    reply = receiver.receive(wire.encode_connect(nonce, cookie, forms, key), address, now)
    return None if reply is None else (wire.decode_accept(reply)[1], key)


def test_what_is_left_of_a_request_that_was_answered_in_part_is_requested_again():
    frame, receiver = frames(1)[0], Receiver([BOOK], ReceiverSettings("all", WaitSettings(deadline_s=10)))
    form = FrameFormat.of_frame(frame)
    session, key = connect(receiver, HERE, forms=[form])
    packets = pack(frame.tokens, form.positions(frame.grid, 0))

    def take(number, rows, now):
        section = Section(0, 0, frame.grid, np.array(rows), payloads_of(packets[rows], form.token_bits), end=True)
        receiver.receive(data(session, key, number, encode_section(section, form)), HERE, now)

    def requested(now):
        reports = [wire.decode_feedback(report).wanted for report, _ in receiver.poll(now)]
        return [dict(wanted)[0] for wanted in reports if wanted]

    take(1, range(62), 0.0)
    assert requested(0.1) == [(62, 63)]
    assert requested(0.12) == [(62, 63)]  # a report may be lost
    take(2, [62], 0.15)
    assert not any(requested(0.2))
    assert requested(0.6) == [(63,)]
    take(3, [63], 0.7)
    receiver.poll(0.7)
    (received,) = receiver.frames
    assert received.frame.tokens.tolist() == frame.tokens.tolist() and received.rounds == 2


def told(receiver, now, until):
    reports = []
    while now < until:
        reports += [wire.decode_feedback(report).wanted for report, _ in receiver.poll(now)]
        now += 0.005
    return reports


def test_what_finds_no_room_in_a_report_is_told_in_the_next():
    receiver = Receiver([BOOK], ReceiverSettings("none"))
    form = FrameFormat(BOOK.id, 10, (), 1, "contiguous")
    session, key = connect(receiver, HERE, forms=[form])
    for number in range(5):
        ids = range(64 * number, 64 * (number + 1))
        whole = [Section(0, each, (1,), np.array([0]), payloads_of(np.array([[7]]), 10)) for each in ids]
        body = b"".join(encode_section(each, form) for each in whole)
        receiver.receive(data(session, key, number + 1, body), HERE, 0.0)
    reports = told(receiver, 0.0, 1.0)
    # Every frame once, and nothing more is wanted of any.
    assert len(reports) == 2 and sum(map(len, reports)) == 320
    assert {each for report in reports for each in report} == {(number, ()) for number in range(320)}


def test_packets_that_find_no_room_in_a_report_are_told_in_the_next():
    wait = WaitSettings(deadline_s=10, wait_s=0.03)
    receiver = Receiver([BOOK], ReceiverSettings("all", wait))
    session, key = connect(receiver, HERE, forms=[FrameFormat(BOOK.id, 10, (), 1, "contiguous")])
    for number in range(1, 200):
        receiver.receive(data(session, key, number, bytes(60)), HERE, 0.0)  # makes room to answer
    one = bytes([0, 0, 0, 1]) + (20000).to_bytes(3, "big") + bytes(4)
    receiver.receive(data(session, key, 1000, one), HERE, 0.0)
    reports = [dict(each)[0] for each in told(receiver, 0.0, 0.1) if each]
    assert len(reports[0]) < 19999
    assert sorted({each for report in reports for each in report}) == list(range(1, 20000))


def test_sessions_are_bounded_by_host_and_in_all_and_end():
    receiver = Receiver([BOOK], ReceiverSettings(max_sessions=10, max_host_sessions=3, idle_s=5))
    for host in range(6):
        for number in range(4):
            connect(receiver, (f"h{host}", 1), nonce=bytes([host, number] * 4))
    assert receiver.sessions == 10 and receiver.counters.turned_away == 14
    receiver.poll(6.0)
    assert receiver.sessions == 0 and not receiver._hosts and not receiver._by_nonce
    assert connect(receiver, ("h0", 1), 6.0) is not None


def test_a_secret_keeps_others_out():
    receiver = Receiver([BOOK], ReceiverSettings(secret=b"shared"))
    assert connect(receiver, HERE) is None
    assert connect(receiver, HERE, secret=b"shared") is not None


def data(session, key, number, section=b""):
    return wire.encode_data(session, number, 0, section, key)


def test_replays_and_forgeries_change_nothing():
    receiver = Receiver([BOOK])
    session, key = connect(receiver, HERE)
    one = data(session, key, 1)
    for _ in range(3):
        receiver.receive(one, HERE, 0.0)
    assert receiver.counters.datagrams == 1 and receiver.counters.replayed == 2
    receiver.receive(data(session, bytes(16), 2), HERE, 0.0)
    receiver.receive(data(session, key, 65536 + 1), HERE, 0.0)
    assert receiver.counters.datagrams == 1 and receiver.counters.refused == 2
    # Numbers jump ahead; those far behind are old.
    receiver.receive(data(session, key, 5000), HERE, 0.0)
    receiver.receive(data(session, key, 2), HERE, 0.0)
    assert receiver.counters.datagrams == 2 and receiver.counters.replayed == 3


def test_an_address_may_change_and_gets_no_more_than_it_sent():
    receiver = Receiver([BOOK])
    session, key = connect(receiver, HERE)
    there = ("10.9.9.9", 77)
    receiver.receive(data(session, key, 1), HERE, 0.0)
    receiver.receive(data(session, key, 2), there, 0.0)
    assert receiver.counters.moved == 1
    sent = {HERE: 9, there: 9}
    for number in range(3, 100):
        receiver.receive(data(session, key, number), there, number * 0.01)
        sent[there] += 9
        for report, address in receiver.poll(number * 0.01):
            assert address == there
            sent[address] -= len(report)
    assert min(sent.values()) >= 0


def test_a_receiver_that_is_started_again_is_found_again():
    simulation, sender, _, _ = network(5)
    simulation.receiver = again = Receiver([BOOK], ReceiverSettings("all"))
    for frame in frames(20, 5):
        simulation.at(
            simulation.now + 0.05 * frame.frame_id,
            lambda frame=frame: sender.offer(
                TokenFrame(frame.tokens, "model", 1024, (16, 16), frame_id=100 + frame.frame_id), simulation.now
            ),
        )
    simulation.run(simulation.now + 4)
    assert again.counters.sessions == 1 and again.counters.strangers >= 1
    assert again.counters.frames >= 15 and sender.counters.sessions == 2


def test_a_reset_by_somebody_else_costs_a_handshake_and_nothing_more():
    simulation, sender, _, _ = network(3)
    number = sender._session.number
    sender.receive(wire.encode_reset(number, 60000), simulation.now)
    assert sender.counters.refused == 1 and sender.connected
    for frame in frames(5, 9):
        sender.offer(TokenFrame(frame.tokens, "model", 1024, (16, 16), frame_id=50 + frame.frame_id), simulation.now)
        for datagram in sender.poll(simulation.now):
            simulation.send(HERE, datagram)
        sender.receive(wire.encode_reset(number, sender._session.sent & 0xFFFF), simulation.now)
        simulation.run(simulation.now + 1)
    assert {50, 51, 52, 53, 54} <= set(delivered(simulation))


def test_a_sender_killed_and_started_again_gets_a_session_of_its_own():
    simulation, _, receiver, _ = network(3)
    again = simulation.senders[HERE] = Sender(SenderSettings())
    again.offer(frames(1)[0], simulation.now)
    simulation.run(simulation.now + 2)
    assert receiver.counters.sessions == 2 and receiver.counters.frames == 4


def test_memory_is_bounded_whatever_a_session_announces():
    receiver = Receiver([BOOK], ReceiverSettings(max_bytes=4 << 20, max_frames=64))
    forms = [FrameFormat(BOOK.id, 10, (), 1, "contiguous")]
    session, key = connect(receiver, HERE, forms=forms)
    for number in range(1, 400):
        section = bytes([0, number >> 8, number & 255, 1]) + (60000).to_bytes(3, "big") + b"\0\0" + b"\0\0"
        receiver.receive(data(session, key, number, section), HERE, number * 1e-4)
        receiver.poll(number * 1e-4)
        held = next(iter(receiver._sessions.values())).frames
        assert held.n_bytes <= (1 << 20) + 1_000_000 and len(held.frames) <= 64
        receiver.frames.clear()
    assert receiver.counters.frames_dropped > 0
    huge = bytes([0, 9, 9, 1]) + (1 << 20).to_bytes(3, "big") + b"\0\0" + b"\0\0"
    receiver.receive(data(session, key, 1000, huge), HERE, 1.0)
    assert "takes at most" in receiver.refused or "at most 65536 packets" in receiver.refused


def test_frames_that_nobody_fetches_are_bounded_in_bytes_and_the_oldest_go():
    receiver = Receiver([BOOK], ReceiverSettings("none", max_bytes=4 << 20))
    session, key = connect(receiver, HERE, forms=[FrameFormat(BOOK.id, 10, (), 1, "contiguous")])
    for number in range(40):
        section = number.to_bytes(2, "big") + bytes([1]) + (60000).to_bytes(3, "big") + bytes(4)
        receiver.receive(data(session, key, number + 1, b"\0" + section), HERE, float(number))
        receiver.poll(number + 0.9)
    # Each has tokens, positions, and an outline of 4 bytes per token, and a byte per packet.
    kept = (4 << 20) // (13 * 60000)
    assert [each.outline.frame_id for each in receiver.frames] == list(range(40 - kept, 40))
    assert receiver.frames.n_bytes == sum(each.n_bytes for each in receiver.frames) == kept * 13 * 60000
    assert (receiver.counters.frames, receiver.counters.frames_dropped) == (40, 40 - kept)
    receiver.frames.popleft()
    assert receiver.frames.n_bytes == (kept - 1) * 13 * 60000
    receiver.frames.clear()
    assert receiver.frames.n_bytes == 0


def test_memory_is_bounded_whatever_one_datagram_announces_and_for_all_sessions_together():
    limits = ReceiverSettings(max_bytes=8 << 20, max_frames=40)
    receiver, held = Receiver([BOOK], limits), []
    forms = [FrameFormat(BOOK.id, 10, (), 1, "contiguous")]

    def sections(count):
        return b"".join(bytes([0, 0, each, 1]) + (60000).to_bytes(3, "big") + bytes(4) for each in range(count))

    for number in range(8):
        address = "10.0.0.1", number
        session, key = connect(receiver, address, forms=forms, nonce=bytes([number] * 8))
        receiver.receive(data(session, key, 1, sections(64)), address, 0.0)
        incoming = [each.frames for each in receiver._sessions.values()]
        held.append(sum(each.n_bytes for each in incoming))
        assert all(each.n_bytes <= 2 << 20 for each in incoming)
    assert max(held) <= 8 << 20 and held[-1] >= 7 << 20
    cut_short = 8 * 64 - sum(len(each.frames.frames) for each in receiver._sessions.values())
    assert receiver.counters.frames_dropped == cut_short + (cut_short - len(receiver.frames))
    assert receiver.frames.n_bytes <= 8 << 20
    receiver.receive(data(session, key, 2, sections(65)), address, 0.0)
    assert "more than 64 sections" in receiver.refused


@settings(max_examples=200, deadline=None)
@given(st.lists(st.tuples(st.binary(max_size=60), st.integers(0, 7), st.booleans()), max_size=20))
def test_no_datagram_raises_and_answers_are_shorter(rows):
    receiver, sender = Receiver([BOOK]), Sender()
    session, key = connect(receiver, HERE)
    sender.offer(frames(1)[0], 0.0)
    for number, (body, kind, signed) in enumerate(rows, 1):
        content = bytes([64 | kind << 3]) + body
        if signed:
            content = wire._NUMBERED.pack(64 | kind << 3, session, number) + body
            content = wire.sealed(content, number, key)
        reply = receiver.receive(content, HERE, number * 0.01)
        assert reply is None or len(reply) < len(content)
        sender.receive(content, number * 0.01)
        receiver.poll(number * 0.01)
        sender.poll(number * 0.01)


@pytest.mark.parametrize("jump", [-1000.0, 0.0, 1e6])
def test_a_clock_that_jumps_stops_nothing(jump):
    simulation, sender, receiver, _ = network(3)
    now = max(simulation.now + jump, 0.0)
    for frame in frames(3, 4):
        sender.offer(TokenFrame(frame.tokens, "model", 1024, (16, 16), frame_id=10 + frame.frame_id), now)
        for _ in range(30):
            for datagram in sender.poll(now):
                reply = receiver.receive(datagram, HERE, now)
                if reply is not None:
                    sender.receive(reply, now)
            for report, _ in receiver.poll(now):
                sender.receive(report, now)
            now += 0.05
    assert receiver.counters.frames >= 5


def test_a_pause_is_no_silence():
    simulation, sender, _, _ = network(3)
    simulation.run(simulation.now + 20)
    sender.offer(TokenFrame(frames(1)[0].tokens, "model", 1024, (16, 16), frame_id=9), simulation.now)
    simulation.run(simulation.now + 2)
    assert sender.counters.sessions == 1 and 9 in delivered(simulation)


def versions(count):
    """Frames of two versions of a model, which a sender uses in turn, five frames each."""
    rng = np.random.default_rng(5)
    names = ("model@00000001", "model@00000002")
    return [
        TokenFrame(rng.integers(0, 1024, 256), names[number // 5 % 2], 1024, (16, 16), frame_id=number)
        for number in range(count)
    ]


@pytest.mark.parametrize("loss", [0.0, 0.15])
def test_a_sender_that_switches_versions_in_a_stream_loses_no_frame(loss):
    sent, books = versions(30), [Codebook(f"model@0000000{number}", 1024) for number in (1, 2)]
    one = Sender(SenderSettings(deadline_s=2.0))
    receiver = Receiver(books, ReceiverSettings("all", WaitSettings(deadline_s=1.0)))
    path = PathSettings(loss, delay_s=0.02)
    simulation = Simulation({HERE: one}, receiver, Path(path, 1), Path(path, 2))
    for number, frame in enumerate(sent):
        simulation.at(number * 0.04, lambda frame=frame: one.offer(frame, simulation.now))
    simulation.run(6)
    got = delivered(simulation)
    assert sorted(got) == list(range(30))
    assert all(got[frame.frame_id].frame.codebook == frame.codebook for frame in sent)
    if not loss:
        assert all(got[frame.frame_id].frame == frame for frame in sent)


def test_a_codebook_that_is_learnt_in_a_session_counts_from_the_next_frame_on():
    sent, one = versions(30), Sender(SenderSettings(deadline_s=2.0))
    receiver = Receiver([Codebook("model@00000001", 1024)], ReceiverSettings("all", WaitSettings(deadline_s=1.0)))
    simulation = Simulation({HERE: one}, receiver, Path(PathSettings(), 1), Path(PathSettings(), 2))
    for number, frame in enumerate(sent):
        simulation.at(number * 0.04, lambda frame=frame: one.offer(frame, simulation.now))
    simulation.at(0.5, lambda: receiver.learn(Codebook("model@00000002", 1024)))
    simulation.run(6)
    books = {number: received.frame.codebook for number, received in delivered(simulation).items()}
    assert len(books) == 30
    assert {books[number] for number in range(5, 10)} == {"unknown-00000002"}
    assert {books[number] for number in range(15, 20)} == {"model@00000002"}
