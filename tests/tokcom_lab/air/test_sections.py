from dataclasses import replace

import numpy as np
import pytest

from tokcom.link.receiver import Receiver
from tokcom.link.recovery import FrameRecovery
from tokcom_lab.air import accepted_wrong, impairments
from tokcom_lab.air.air_interface import payload_windows
from tokcom_lab.air.bursts import CODEBOOK, Outcome, outcome, placed, random_burst, receive
from tokcom_lab.air.report import SECTIONS
from tokcom_lab.air.section import Settings, generator

SETTINGS = Settings(packets=64, bursts=2, draws=3, noise_samples=100_000, esn0_db=(20.0,), photographs=2)


def counted(name, **wanted):
    """Figures of the first row of a section that is as wanted."""
    section = SECTIONS[name]
    rows = [row for row in section.rows(SETTINGS) if all(row[key] == value for key, value in wanted.items())]
    draws = range(section.draws(SETTINGS, rows[0]))
    return section.figures(rows[0], section.count(SETTINGS, rows[0], draws))


def test_packets_are_right_wrong_or_lost():
    packets = Outcome(True, np.array([True, True, False, False]), np.array([True, False, True, False]))
    assert list(packets.right) == [True, False, False, False] and list(packets.wrong) == [False, True, False, False]


def test_a_burst_that_arrives_is_told_from_another_one():
    rng = np.random.default_rng(1)
    sent, other = random_burst(rng, 7, "qpsk-1/2", 16), random_burst(rng, 8, "qpsk-1/2", 16)
    samples, _ = placed(sent, rng)
    receptions = receive(Receiver([CODEBOOK]), samples + impairments.noise(len(samples), 0.01, rng))
    assert len(receptions) == 1
    assert outcome(sent, receptions).right.all() and outcome(sent, receptions).found
    assert not outcome(other, receptions).found and not outcome(other, receptions).accepted.any()
    swapped = replace(sent, packets=sent.packets[::-1])
    assert outcome(swapped, receptions).wrong.all()


EVERYWHERE = ("Rayleigh", "echo", "throughout", "impulses")
"""Faults that do not spare the preamble have one of these words in their names."""


@pytest.mark.parametrize("fault", accepted_wrong.FAULTS)
def test_faults_leave_preamble_and_header_alone_unless_they_are_meant_to_hit_them(fault):
    rng = np.random.default_rng(2)
    sent, other = random_burst(rng, 0, "16qam-1/2"), random_burst(rng, 1, "16qam-1/2")
    samples, start = placed(sent, rng)
    faulty = accepted_wrong.FAULTS[fault](samples, start, sent, other, rng)
    payload = start + payload_windows(sent.header, sent.profile)[0] - 16
    if not any(word in fault for word in EVERYWHERE):
        assert np.allclose(faulty[:payload], samples[:payload])
    assert len(faulty) != len(samples) or not np.allclose(faulty, samples)


def test_the_payload_of_another_burst_is_that():
    rng = np.random.default_rng(3)
    sent, other = random_burst(rng, 0, "16qam-1/2"), random_burst(rng, 1, "16qam-1/2")
    samples, start = placed(sent, rng)
    faulty = accepted_wrong.FAULTS["payload of another burst"](samples, start, sent, other, rng)
    first = payload_windows(sent.header, sent.profile)[0] - 16
    assert np.allclose(faulty[start + first : start + len(sent.samples)], other.samples[first:])


def test_rows_that_differ_only_in_what_is_left_out_meet_the_same():
    rows = [{"mode": "list", "esn0_db": 3.0}, {"mode": "context", "esn0_db": 3.0}, {"mode": "list", "esn0_db": 4.0}]
    first, same, other = (generator(SETTINGS, row, 5, "mode").integers(1 << 40) for row in rows)
    assert first == same != other
    assert generator(replace(SETTINGS, seed=1), rows[0], 5, "mode").integers(1 << 40) != first
    assert generator(SETTINGS, rows[0], 6, "mode").integers(1 << 40) != first


def test_nothing_is_lost_where_nothing_is_wrong():
    figures = counted("interference", kind="none")
    assert figures["per"] == figures["per_genie"] == figures["wrong"] == 0 and figures["found"] == 1
    figures = counted("tracking", doppler_hz=0.0, mcs="qpsk-1/2", packets=64)
    assert figures["per_genie"] == 0 and figures["bursts"] == 2
    figures = counted("found", echo_samples=2)
    assert figures["draws"] == 3 and figures["share"] == 1


def test_an_echo_within_the_prefix_costs_little():
    figures = counted("echo", samples=4, mcs="qpsk-1/2")
    assert figures["esn0_db"] == pytest.approx(figures["ideal_db"], abs=1.5)


def test_static_figures_are_those_of_noise_alone():
    figures = counted("static", figure="sync_loss", mcs="16qam-1/2")
    assert figures["ideal_db"] == pytest.approx(6.2, abs=0.8) and abs(figures["loss_db"]) < 1.2
    figures = counted("static", figure="header", profile="standard", esn0_db=3.0)
    assert figures == {"bursts": 20, "success": 1.0}
    figures = counted("static", **{"figure": "false_alarms", "in": "noise"})
    assert figures == {"samples": 100_000, "preambles": 0, "bursts": 0}


def test_a_step_of_the_front_end_costs_the_genie_nothing():
    figures = counted("faults", fault="gain step of the front end", level=-6.0)
    assert figures["ideal_db"] == pytest.approx(6.2, abs=0.8)
    figures = counted("faults", fault="samples lost in mid-burst", level=2.0)
    assert figures["per_genie"] < 0.1 and figures["bursts"] == 2


def test_a_test_of_fit_loses_what_is_right_and_believed_without_it(monkeypatch):
    recover_all = FrameRecovery.recover_all

    def doubting(self, *arguments, **others):
        """The receiver's own recovery, which here believes no packet of odd number."""
        whole = recover_all(self, *arguments, **others)
        return [replace(each, packets_ok=each.packets_ok & (np.arange(64) % 2 == 0)) for each in whole]

    figures = counted("fit", channel="AWGN", mode="list", esn0_db=10.0)
    assert figures["right"] == figures["packets"] == 64 and figures["refused"] == figures["lost_to_fit"] == 0
    monkeypatch.setattr(FrameRecovery, "recover_all", doubting)
    figures = counted("fit", channel="AWGN", mode="list", esn0_db=10.0)
    assert figures["right"] == 64 and figures["refused"] == figures["lost_to_fit"] == 32
    assert figures["share_lost"] == 0.5


def test_random_tokens_meet_both_modes_alike():
    figures = {mode: counted("random_tokens", mode=mode, esn0_db=5.0) for mode in ("list", "context")}
    assert all(each["packets"] == 64 and 0 <= each["per"] < 0.5 for each in figures.values())
