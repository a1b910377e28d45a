"""Datagrams as a link: the same assembler as of bursts puts their packets together."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tokcom.errors import ParameterError
from tokcom.frame import TokenFrame
from tokcom.link.assembly import FrameAssembler
from tokcom.packets.codebook import Codebook
from tokcom.packets.mcs_map import MCS_NOT_SENT
from tokcom.protocol import datagram_link
from tokcom.protocol.datagram_link import DatagramLink

BOOK = Codebook("model", 1000)


def frame(seed=0, number=3):
    tokens = np.random.default_rng(seed).integers(0, 1000, 130)
    return TokenFrame(tokens, "model", 1000, (10, 13), cmi=2, frame_id=number)


def test_a_frame_comes_whole_in_any_order_and_twice():
    sent, received = DatagramLink(stream_id=9), DatagramLink([BOOK])
    announced, *datagrams = sent.transmit(frame(), layout_seed=77)
    mixed = np.random.default_rng(1).permutation(len(datagrams) * 2) % len(datagrams)
    assembler = FrameAssembler()
    for arrival in received.receive([announced, *(datagrams[i] for i in mixed)]):
        whole = assembler.add(arrival)
    assert whole.frame == frame() and assembler.counters.duplicates == 33 and received.refused == 0


def test_packets_that_stay_behind_lack():
    link = DatagramLink([BOOK])
    mcs = np.zeros(33, np.uint8)
    mcs[[4, 20]] = MCS_NOT_SENT
    assembler = FrameAssembler()
    for arrival in link.receive(link.transmit(frame(), 5, mcs)):
        whole = assembler.add(arrival)
    assert (whole.missing.tolist() == [4, 20] and whole.frame.lost.sum() == 8) or whole.frame.lost.sum() == 6


def test_streams_that_are_not_announced_are_counted():
    link = DatagramLink([BOOK])
    assert link.receive(link.transmit(frame())[1:]) == [] and sum(link.unannounced.values()) == 5


def line(n, number=0):
    return TokenFrame(np.zeros(n, int), "model", 1000, frame_id=number)


def test_frames_that_are_too_large_are_refused_and_the_others_go_on():
    sent, received = DatagramLink(), DatagramLink([BOOK], max_tokens=130)
    assert received.receive(sent.transmit(line(131))) == []
    assert received.refused == 5 and "has 131 tokens; this end takes at most 130" in received.last_error
    assert sum(len(each.rows) for each in received.receive(sent.transmit(line(130)))) == 33
    assert DatagramLink([BOOK]).receive(sent.transmit(line((1 << 16) + 1))[:2]) == []
    with pytest.raises(ParameterError, match="max_tokens is 0"):
        DatagramLink(max_tokens=0)


def test_outlines_are_bounded_in_bytes(monkeypatch):
    monkeypatch.setattr(datagram_link, "MAX_OUTLINE_BYTES", 1 << 20)
    sent, received = DatagramLink(tokens_per_packet=64), DatagramLink([BOOK])
    for number in range(12):
        received.receive(sent.transmit(line(1 << 14, number))[:2])
        # Tokens and positions take 4 bytes each.
        assert received._outline_bytes == min(number + 1, 8) << 17
    for number in range(100):
        received.receive(sent.transmit(line(4, 100 + number)))
    assert len(received._outlines) == 64 and received._outline_bytes == 64 * (4 + 64) * 4


@settings(max_examples=100, deadline=None)
@given(st.lists(st.binary(max_size=80), max_size=8), st.integers(0, 2**31))
def test_nothing_that_comes_raises(datagrams, seed):
    link = DatagramLink([BOOK])
    good = [bytearray(each) for each in link.transmit(frame())]
    rng = np.random.default_rng(seed)
    for each in good[1:]:
        each[rng.integers(len(each))] ^= int(rng.integers(1, 256))
    assert link.receive([*datagrams, *map(bytes, good)]) == []
