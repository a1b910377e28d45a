"""Frames of which no datagram came: sought by their number, within bounds."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.tokcom.protocol.test_session import BOOK, HERE, delivered, frames, network

from tokcom.protocol.path import Path, PathSettings
from tokcom.protocol.receiver import Receiver, ReceiverSettings
from tokcom.protocol.sender import Sender, SenderSettings
from tokcom.protocol.simulation import Simulation
from tokcom.protocol.skipped_frames import MAX_IN_VAIN, MAX_PACKETS, MAX_SKIPPED, SkippedFrames

LOSSY = PathSettings(0.2, 1, 0.02)


@pytest.mark.parametrize("repeats", ["all", "context"])
def test_frames_whose_only_datagram_is_lost_are_asked_for(repeats):
    simulation, _, receiver, sent = network(
        60, LOSSY, LOSSY, repeats, section_packets=64, judge=lambda question: question.assembly.missing, seed=3
    )
    got = delivered(simulation)
    assert receiver.counters.frames_sought > 5
    # A gap shows once a later frame comes.
    assert set(range(min(got), max(got))) <= set(got)
    assert all(got[i].frame == sent[i] for i in got if got[i].packets_ok.all())
    assert np.mean([got[i].packets_ok.all() for i in got]) > 0.95
    assert receiver.counters.report_bytes <= receiver.counters.bytes


def test_without_repeats_nothing_is_sought():
    _, _, receiver, _ = network(60, LOSSY, LOSSY, "none", section_packets=64, seed=3)
    assert not receiver.counters.frames_sought


def test_a_sender_that_skips_numbers_is_asked_in_vain_only_a_few_times():
    sender, receiver = Sender(SenderSettings()), Receiver([BOOK], ReceiverSettings("all"))
    simulation = Simulation({HERE: sender}, receiver, Path(PathSettings()), Path(PathSettings()))
    for number, frame in enumerate(frames(60)):
        seventh = replace(frame, frame_id=7 * number)
        simulation.at(number * 0.04, lambda frame=seventh: sender.offer(frame, simulation.now))
    simulation.run(5)
    assert len(delivered(simulation)) == 60
    assert 0 < receiver.counters.frames_sought <= 3 * MAX_SKIPPED + MAX_IN_VAIN
    assert not sender.counters.packets_repeated


def test_what_is_sought_comes_again_until_the_rounds_are_over():
    skipped = SkippedFrames(rounds=2, deadline_s=1.0)
    skipped.begin(10, 64, 0.1, 0.0)
    assert not len(skipped) and skipped.next_time() is None  # earlier ones were never announced
    skipped.begin(13, 5000, 0.1, 0.0)
    assert skipped.next_time() == 0.1 and not skipped.due(0.2, 0.05)
    assert skipped.due(0.2, 0.1) == [(11, MAX_PACKETS), (12, MAX_PACKETS)]
    skipped.begin(12, 64, 0.1, 0.2)
    assert skipped.due(0.2, 0.4) == [(11, MAX_PACKETS)]
    assert not skipped.due(0.2, 0.7) and not len(skipped)


@given(st.lists(st.tuples(st.integers(0, 2**18), st.floats(0, 0.3)), max_size=60))
def test_whatever_numbers_come_little_is_sought(numbers):
    skipped, now, asked = SkippedFrames(3, 0.5), 0.0, 0
    for number, pause in numbers:
        now += pause
        skipped.begin(number, 64, 0.03, now)
        assert len(skipped) <= MAX_SKIPPED
        asked += len(skipped.due(0.1, now))
    assert asked <= 3 * MAX_SKIPPED * len(numbers)
