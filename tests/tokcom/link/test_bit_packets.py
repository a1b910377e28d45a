"""Packets of bits that the Viterbi decoder lost, list-decoded."""

from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest

from tokcom.frame import LOST, BitFrame
from tokcom.link.assembly import Assembly
from tokcom.link.bit_packets import ACCEPTED, MOST_BITS, list_decoded
from tokcom.link.known_noise import SymbolLink
from tokcom.link.receiver import Receiver
from tokcom.link.transmitter import TransmitConfig, Transmitter
from tokcom.packets.codebook import Codebook

BITS = 760


def link(mcs="qpsk-1/2"):
    transmitter = Transmitter(TransmitConfig(mcs, bits_per_packet=BITS))
    return SymbolLink(transmitter, Receiver([Codebook("any", 2, "bits")]), tested=True)


def a_frame(number, packets=4):
    return BitFrame(np.random.default_rng(number).integers(0, 2, packets * BITS), "any", number)


def arrivals(esn0_db, frames, **which):
    """Frames sent, what came of them, and how many of their packets the Viterbi decoder had right."""
    for number in range(frames):
        frame, sent = a_frame(number), link(**which)
        signal = sent.transmit(frame, number).in_noise(esn0_db, np.random.default_rng([7, number]))
        (arrival,) = sent.receive(signal)
        yield frame, arrival, int(arrival.received.decode()[1].sum())


@pytest.mark.parametrize(("mcs", "esn0_db"), [("qpsk-1/2", 2.5), ("qpsk-3/4", 5.2), ("bpsk-1/2", -0.5)])
def test_nearly_all_packets_that_viterbi_loses_near_its_threshold_are_found(mcs, esn0_db):
    lost = still = 0
    for frame, arrival, held in arrivals(esn0_db, 25, mcs=mcs):
        lost += len(arrival.packets_ok) - held
        still += (~arrival.packets_ok).sum()
        shown = Assembly(arrival).frame.tokens
        assert np.array_equal(shown[shown != LOST], frame.tokens[shown != LOST])
    assert lost >= 8 and still <= 0.15 * lost


def test_two_transmissions_are_decoded_together():
    frame, sent = a_frame(3), link()
    first, second = (
        sent.receive(sent.transmit(frame, 3).in_noise(-1.0, np.random.default_rng(seed)))[0] for seed in (1, 2)
    )
    assert not first.packets_ok.any() and not second.packets_ok.any()
    both = Assembly(first)
    both.add(second)
    _, viterbi = both.received.decode()
    assert both.packets_ok.sum() > viterbi.sum() and both.packets_ok.all()
    assert np.array_equal(both.frame.tokens, frame.tokens)


@pytest.mark.parametrize("esn0_db", [-20.0, -3.0])
def test_what_is_not_heard_is_not_believed(esn0_db):
    for _, arrival, _ in arrivals(esn0_db, 4):
        assert not arrival.packets_ok.any()


def test_interference_is_not_believed():
    sent, rng = link(), np.random.default_rng(1)
    for number in range(6):
        signal = sent.transmit(a_frame(number), number).in_noise(20.0, rng)
        jammed = signal.symbols + 1.5 * np.exp(2j * np.pi * rng.random(len(signal.symbols)))
        (arrival,) = sent.receive(replace(signal, symbols=jammed.astype(np.complex64)))
        assert not arrival.packets_ok.any()


def test_hostile_bursts_take_bounded_time():
    asked = []

    def list_decode(rows, priors, settings):
        asked.append(len(rows))
        odds = np.where(rows % 2 == 0, ACCEPTED, ACCEPTED - 0.1)
        return SimpleNamespace(tokens=np.ones((len(rows), 2048), np.int32), log_odds=odds)

    received = SimpleNamespace(positions=np.zeros((100, 2048), int), sent=np.arange(100) != 1, list_decode=list_decode)
    rows, bits = list_decoded(received, np.arange(100))
    assert asked == [MOST_BITS // 2048] and rows.tolist() == [0, 2, 4] and bits.shape == (3, 2048)
    rows, bits = list_decoded(received, np.array([1]))
    assert len(asked) == 1 and not len(rows) and bits.shape == (0, 2048)
