"""Packets of bits that the Viterbi decoder lost, list-decoded."""

from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest

from tokcom.frame import LOST, BitFrame
from tokcom.link.assembly import Assembly
from tokcom.link.bit_packets import ACCEPTED, MOST_BITS, all_listed, list_decoded
from tokcom.link.known_noise import SymbolLink
from tokcom.link.receiver import Receiver
from tokcom.link.transmitter import TransmitConfig, Transmitter
from tokcom.mcs import find_mcs
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


def test_all_packets_of_a_burst_are_list_decoded_or_it_is_known_that_some_are_not():
    asked = []

    def list_decode(rows, priors, settings):
        asked.append(len(rows))
        return SimpleNamespace(tokens=np.ones((len(rows), size), np.int32), log_odds=np.zeros(len(rows)))

    for packets, size in ((4, 2048), (5, 2048), (32, 256), (33, 256), (10, 760), (11, 760), (1, 1)):
        received = SimpleNamespace(
            positions=np.zeros((packets, size), int), sent=np.ones(packets, bool), list_decode=list_decode
        )
        list_decoded(received, np.arange(packets))
        assert all_listed(packets, size) == (asked[-1] == packets)


@pytest.mark.parametrize(
    ("mcs", "bits", "few"), [("qpsk-1/2", 760, 200), ("16qam-3/4", 200, 400), ("256qam-1/1", 48, 400)]
)
def test_packets_are_lost_as_often_as_the_mcs_table_predicts(mcs, bits, few):
    """As a receiver decodes them, within a factor of 1.6 and 3: three standard deviations."""
    packets = MOST_BITS // bits
    sent = SymbolLink(
        Transmitter(TransmitConfig(mcs, bits_per_packet=bits)), Receiver([Codebook("any", 2, "bits")]), tested=True
    )
    for esn0_db, share, count_all, factor in zip(
        find_mcs(mcs).thresholds_db(bits, True), (0.1, 0.01), (few, 4 * few), (1.6, 3), strict=True
    ):
        lost = count = 0
        while count < count_all:
            rng = np.random.default_rng([count, bits])
            frame = BitFrame(rng.integers(0, 2, packets * bits), "any", count)
            (arrival,) = sent.receive(sent.transmit(frame).in_noise(esn0_db, rng))
            right = (arrival.tokens == frame.bits.reshape(packets, bits)).all(axis=1)
            lost, count = lost + int((~(arrival.packets_ok & right)).sum()), count + packets
        assert share / factor < lost / count < share * factor
