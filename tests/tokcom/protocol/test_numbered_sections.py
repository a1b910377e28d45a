"""Packets without index, put in place by the numbers of their datagrams: what senders keep, and receivers conclude."""

import importlib.util
import math
from pathlib import Path as File

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tokcom.errors import DatagramError
from tokcom.frame import LOST, BitFrame, TokenFrame
from tokcom.packets.codebook import Codebook
from tokcom.protocol import datagrams as wire
from tokcom.protocol.formats import FrameFormat
from tokcom.protocol.incoming import WaitSettings
from tokcom.protocol.numbered_sections import NumberedSections
from tokcom.protocol.outgoing import OutgoingFrame, SendQueue, sections_of
from tokcom.protocol.path import Path, PathSettings
from tokcom.protocol.receiver import Receiver, ReceiverSettings
from tokcom.protocol.sections import Section, encode_section, payloads_of
from tokcom.protocol.sender import Sender, SenderSettings
from tokcom.protocol.sequence import ReplayWindow
from tokcom.protocol.simulation import Simulation

_spec = importlib.util.spec_from_file_location("second_parser", File(__file__).with_name("second_parser.py"))
second = importlib.util.module_from_spec(_spec)
_spec.loader.exec_module(second)

BOOK = Codebook("model", 1024)


@given(st.sets(st.integers(1, 1500), min_size=1), st.integers(1, 1500), st.integers(0, 30))
def test_the_nearest_numbers_that_came(numbers, low, width):
    window, high = ReplayWindow(), low + width
    for number in sorted(numbers):
        window.add(number)
    known = [each for each in numbers if each > max(numbers) - 1024]
    below, above = [each for each in known if each < low], [each for each in known if each > high]
    assert window.nearest(low, high) == (max(below, default=None), min(above, default=None))


@st.composite
def sent_frames(draw):
    """Size of sections, packets of a frame, number of its first datagram, sections by number, and which came."""
    size, n_packets = draw(st.integers(1, 5)), draw(st.integers(1, 24))
    sections, first = -(-n_packets // size), draw(st.integers(1, 40))
    every = draw(st.sampled_from((0, 2, 4)))
    sent = {}
    for step in range(sections):
        index = step * size if every and step % every == 0 else None
        sent[first + step] = (index, min(size, n_packets - step * size), step == sections - 1)
    others = draw(st.sets(st.integers(max(first - 8, 1), first + sections + 8), max_size=10)) - set(sent)
    came = draw(st.sets(st.sampled_from(sorted(sent)), min_size=1))
    order = draw(st.permutations(sorted(came | others)))
    return size, n_packets, first, sent, order


@settings(max_examples=300, deadline=None)
@given(sent_frames())
def test_places_are_told_by_numbers_as_soon_as_they_can_be(drawn):
    size, n_packets, first, sent, order = drawn
    window, numbered, seen, found = ReplayWindow(), NumberedSections(n_packets), {}, {}
    for number in order:
        window.add(number)
        seen[number] = []
        if number in sent:
            index, count, end = sent[number]
            seen[number] = [(0, index, count, end)]
            if index is None:
                numbered.add(number, np.full((count, 1), number), end)
            else:
                numbered.note_indexed(number, index)
        taken = numbered.take_placed(window)
        found |= {int(tokens[0, 0]): row for row, tokens in taken}
        assert all(row == (number - first) * size for number, row in found.items())
        if not any(seen.values()):
            continue
        waiting = [each for each in seen if seen[each] and seen[each][0][1] is None and each not in found]
        possible = second.first_numbers(n_packets, size, 0, seen)
        assert first in possible
        # Of what is left, as many places are possible as somebody finds who tries them all.
        unplaced = numbered.unplaced(window)
        if not waiting:
            assert unplaced is None
            continue
        assert len(possible) > 1 and unplaced.packets == sum(sent[each][1] for each in waiting)
        assert sorted((min(waiting) - each) * size for each in possible) == sorted(unplaced.starts)
        steps = np.diff(sorted(waiting)) - 1
        assert unplaced.gaps == tuple(int(step) * size for step in steps)


@settings(max_examples=300, deadline=None)
@given(st.data())
def test_whatever_numbers_and_sizes_come_every_packet_has_one_place_or_none(data):
    n_packets = data.draw(st.integers(1, 20))
    window, numbered, rows, left = ReplayWindow(), NumberedSections(n_packets), [], n_packets
    for _ in range(data.draw(st.integers(1, 12))):
        number, count = data.draw(st.integers(1, 2000)), data.draw(st.integers(1, min(n_packets, 4)))
        if window.is_new(number):
            window.add(number)
        if data.draw(st.booleans()):
            numbered.note_indexed(number, data.draw(st.integers(0, n_packets - 1)))
            continue
        if numbered.packets + count > n_packets:
            continue
        numbered.add(number, np.zeros((count, 1), int), data.draw(st.booleans()))
        try:
            taken = numbered.take_placed(window)
        except DatagramError:
            assert not numbered.waiting and not numbered.packets
            continue
        for row, tokens in taken:
            assert 0 <= row <= n_packets - len(tokens)
            rows.append(row)
        left = numbered.unplaced(window)
        assert left is None or left.packets == numbered.packets <= n_packets
        assert left is None or all(0 <= start < n_packets for start in left.starts)
        assert left is None or all(gap is None or gap >= 0 for gap in left.gaps)


def test_a_section_that_may_be_a_repeat_tells_nothing():
    """Of sections 5 to 8 the second comes; 6 has an index, and is of the first transmission, or not."""
    window, numbered = ReplayWindow(), NumberedSections(8)
    for number in (4, 6, 7):
        window.add(number)
    numbered.note_requested()
    numbered.add(7, np.zeros((2, 1), int), False)
    assert numbered.take_placed(window) == []
    assert sorted(numbered.unplaced(window).starts) == [0, 2, 4]
    numbered.add(8, np.zeros((2, 1), int), True)
    assert [row for row, _ in numbered.take_placed(window)] == [4, 6]


def outgoing(frame_id, n_packets, width):
    form = FrameFormat(1, 8, (n_packets * width,), width)
    payloads, classes = np.zeros((n_packets, width), np.uint8), np.zeros(n_packets, np.uint8)
    return OutgoingFrame(frame_id, 0, form, form.grid, None, payloads, classes, 1e9)


@settings(max_examples=200, deadline=None)
@given(st.data())
def test_datagrams_of_a_frame_without_index_follow_each_other(data):
    """Whatever is queued, repeated and dropped beside it."""
    size = data.draw(st.integers(1, 6))
    queue = SendQueue(size, 1 << 20, data.draw(st.sampled_from(["none", "quarter"])))
    sent, frames, dropped = [], {}, set()
    room = data.draw(st.sampled_from([40, 120, 400]))

    def send():
        batches = queue.next_batches(room)
        if batches:
            again = [each.again for each in batches]
            sent.append(list(zip(batches, sections_of(batches, 0.0), again, strict=True)))
        return bool(batches)

    for _ in range(data.draw(st.integers(1, 25))):
        what = data.draw(st.sampled_from(["add", "send", "send", "repeat", "drop"]))
        if what == "add":
            frame = outgoing(len(frames), data.draw(st.integers(1, 20)), data.draw(st.integers(1, 12)))
            rows = np.arange(len(frame.payloads))
            if data.draw(st.booleans()):
                rows = np.array(sorted(data.draw(st.sets(st.sampled_from(rows.tolist()), min_size=1))))
            frames[frame.frame_id] = frame
            queue.add(frame, rows)
        elif what == "repeat" and queue.frames:
            frame = queue.frames[data.draw(st.sampled_from(sorted(queue.frames)))]
            queue.repeat(frame, np.array([data.draw(st.integers(0, len(frame.payloads) - 1))]))
        elif what == "drop" and queue.frames:
            dropped.add(data.draw(st.sampled_from(sorted(queue.frames))))
            queue.drop(max(dropped))
        elif what == "send":
            send()
    while send():
        pass
    assert not queue and queue.n_bytes == 0
    for frame_id, frame in frames.items():
        own = [
            (number, batch, section)
            for number, datagram in enumerate(sent)
            for batch, section, again in datagram
            if batch.frame is frame and not again
        ]
        if not any(section.indices is None for _, _, section in own):
            continue
        numbers, counts = [number for number, _, _ in own], [len(batch.rows) for _, batch, _ in own]
        assert numbers == list(range(numbers[0], numbers[0] + len(own)))
        assert np.concatenate([batch.rows for _, batch, _ in own]).tolist() == list(range(sum(counts)))
        if frame_id not in dropped:
            assert sum(counts) == len(frame.payloads)
            assert [section.end for _, _, section in own] == [False] * (len(own) - 1) + [True]
        assert all(count == size for count in counts[:-1]) and counts[-1] <= size
        assert all(not section.end for _, _, section in own[:-1])


def frames(count, n=256, lost=0):
    rng = np.random.default_rng(7)
    tokens = rng.integers(0, 1024, (count, n))
    tokens[:, rng.integers(0, n, lost)] = LOST
    return [TokenFrame(each, "model", 1024, (16, n // 16), frame_id=i) for i, each in enumerate(tokens)]


def sent_over(path, sent, backward=None, repeats="none", wait_s=0.03, **settings):
    sender = Sender(SenderSettings(deadline_s=4.0, **settings))
    receiver = Receiver([BOOK], ReceiverSettings(repeats, WaitSettings(2.0, wait_s)))
    simulation = Simulation({"a": sender}, receiver, Path(path, 3), Path(backward or PathSettings(), 4))
    for number, frame in enumerate(sent):
        simulation.at(0.1 * number, lambda frame=frame: sender.offer(frame, simulation.now))
    simulation.run(0.1 * len(sent) + 5)
    assert not receiver._assembler and receiver.counters.refused == 0
    assert all(each.frames.n_bytes == 0 for each in receiver._sessions.values())
    return {each.received.outline.frame_id: each.received for each in simulation.deliveries}, sender


@pytest.mark.parametrize("indexed", ["none", "quarter"])
@pytest.mark.parametrize("section_packets", [1, 4, 8, 64])
def test_no_packet_is_misplaced_without_any_model(indexed, section_packets):
    path = PathSettings(loss=0.2, burst=2, delay_s=0.02, jitter_s=0.05, duplicate=0.1)
    sent = frames(30)
    got, _ = sent_over(path, sent, indexed=indexed, section_packets=section_packets, wait_s=2.0)
    came, left = 0, 0
    for frame_id, received in got.items():
        known = ~received.frame.lost
        assert (received.frame.tokens[known] == sent[frame_id].tokens[known]).all()
        came, left = came + received.come, left + received.come - received.packets_ok.sum()
        if received.unplaced is not None:
            # What the numbers leave open has the truth among it.
            form = FrameFormat.of_frame(sent[frame_id])
            truth = sent[frame_id].tokens[form.positions(sent[frame_id].grid, frame_id)]
            first = received.unplaced.sections[0]
            assert any((truth[s : s + len(first)] == first).all() for s in received.unplaced.starts)
    assert len(got) >= 24 and came > 1000 and left < 0.06 * came
    assert left == 0 or indexed == "none"


def test_frames_without_index_are_repeated_too():
    path = PathSettings(loss=0.2, burst=2, delay_s=0.02)
    sent = frames(20)
    got, sender = sent_over(path, sent, path, "all", indexed="none")
    assert sender.counters.packets_repeated > 0
    shares = [received.packets_ok.mean() for received in got.values() if received.unplaced is None]
    assert len(shares) >= 18 and np.mean(shares) > 0.97
    for frame_id, received in got.items():
        known = ~received.frame.lost
        assert (received.frame.tokens[known] == sent[frame_id].tokens[known]).all()


def test_bits_without_index_come():
    sent = [BitFrame.of_bytes(bytes(range(200)), "model", 0)]
    got, _ = sent_over(PathSettings(delay_s=0.01), sent, indexed="none", section_packets=2)
    assert got[0].frame.to_bytes() == bytes(range(200))


def test_frames_that_miss_packets_are_sent_with_index():
    sent = frames(4, lost=5)
    got, _ = sent_over(PathSettings(loss=0.1, delay_s=0.02), sent, indexed="none")
    for frame_id, received in got.items():
        known = ~received.frame.lost
        assert received.unplaced is None and (received.frame.tokens[known] == sent[frame_id].tokens[known]).all()


def opened(receiver, *forms):
    """Number, key and formats of a new session."""
    cookie = wire.decode_cookie(receiver.receive(wire.encode_hello(bytes(8)), "a", 0.0))[1]
    key = wire.session_key(bytes(8), cookie)
    accept = receiver.receive(wire.encode_connect(bytes(8), cookie, forms, key), "a", 0.0)
    return wire.decode_accept(accept)[1], key, forms


def test_a_frame_waits_for_the_datagram_that_tells_its_place():
    """It is known to be the frame's first when the one ahead of it has come, with nothing of the frame."""
    receiver = Receiver([BOOK], ReceiverSettings("none", WaitSettings(1.0, 0.03)))
    form, tokens = FrameFormat(BOOK.id, 10, (3,), 1, "contiguous"), np.array([[1], [2], [3]])
    session, key, _ = opened(receiver, form)

    def take(number, frame_id, rows, now, end=False):
        section = Section(0, frame_id, (3,), None, payloads_of(tokens[rows], 10), end=end)
        body = encode_section(section, form)
        receiver.receive(wire.encode_data(session, number, 0, body, key), "a", now)
        receiver.poll(now)

    take(12, 5, [0], 0.0)
    for step in range(1, 9):
        receiver.poll(step / 10)
    assert not receiver.frames
    take(11, 4, [2], 0.8, end=True)
    for step in range(80, 98):
        receiver.poll(step / 100)
    placed = {each.outline.frame_id: each.frame.tokens.tolist() for each in receiver.frames}
    assert placed == {5: [1, LOST, LOST], 4: [LOST, LOST, 3]}


def test_a_datagram_that_is_refused_tells_nothing_of_other_frames():
    """It may have had a section of the frame behind the one that was refused."""
    receiver = Receiver([BOOK], ReceiverSettings("none", WaitSettings(1.0, 0.03), max_tokens=8))
    session, key, forms = opened(receiver, FrameFormat(BOOK.id, 10, (), 1, "contiguous"))

    def take(number, *sections):
        body = b"".join(
            encode_section(Section(0, frame_id, (n,), None, payloads_of(np.array([[word]]), 10), end=end), forms[0])
            for frame_id, n, word, end in sections
        )
        receiver.receive(wire.encode_data(session, number, 0, body, key), "a", 0.0)

    take(6, (1, 9, 7, False), (2, 3, 1, False))
    assert "takes at most 8" in receiver.refused
    take(7, (2, 3, 2, False))
    receiver.poll(1.0)
    (received,) = receiver.frames
    assert sorted(received.unplaced.starts) == [0, 1]
    # Without the one that was refused, a datagram ahead of the frame would have told.
    take(20, (3, 3, 1, False))
    take(19, (4, 3, 1, True))
    receiver.poll(1.0)
    assert receiver.frames[-2].frame.tokens.tolist() == [1, LOST, LOST]


def test_many_small_sections_take_memory_that_is_counted():
    receiver = Receiver([BOOK], ReceiverSettings("none", max_bytes=8 << 20))
    form = FrameFormat(BOOK.id, 10, (30000,), 1, "contiguous")
    session, key, _ = opened(receiver, form)
    for number in range(1, 600):
        sections = [Section(0, number % 5, (30000,), None, payloads_of(np.array([[7]]), 10)) for _ in range(64)]
        body = b"".join(encode_section(each, form) for each in sections)
        receiver.receive(wire.encode_data(session, number, 0, body, key), "a", number * 1e-4)
        held = next(iter(receiver._sessions.values())).frames
        assert held.n_bytes <= (2 << 20) + 1_000_000
        waiting = sum(len(each.numbered.waiting) for each in held.frames.values())
        assert held.n_bytes >= 256 * waiting
    assert receiver.counters.frames_dropped > 0 and math.isfinite(held.n_bytes)
