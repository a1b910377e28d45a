"""Packets accepted although wrong, when the payload does not match preamble and header."""

from collections.abc import Callable

import numpy as np

from tokcom.phy.numerology import CYCLIC_PREFIX, SYMBOL_LENGTH
from tokcom_lab.air import impairments
from tokcom_lab.air.air_interface import payload_windows
from tokcom_lab.air.bursts import SentBurst, noise_power, outcome, placed, receive
from tokcom_lab.air.decoding import PACKETS, burst_for, receiver_for
from tokcom_lab.air.paths import Paths
from tokcom_lab.air.section import Counts, Section, Settings, generator

MCS = ("qpsk-1/2", "16qam-1/2", "64qam-1/2")
"""MCS of successive bursts of a row."""
BAND = 2.55
"""Frequency of the outermost carriers in rad/sample."""
FADING = ((5.0, 250e3), (20.0, 250e3), (100.0, 1e6), (300.0, 1e6))
"""Doppler shift and sample rate in Hz."""

Fault = Callable[[np.ndarray, int, SentBurst, SentBurst, np.random.Generator], np.ndarray]
"""Function that applies a fault: from samples with a burst, its start, the burst, another burst and a generator to the
received samples without noise."""


def _payload(start: int, sent: SentBurst) -> int:
    return start + int(payload_windows(sent.header, sent.profile)[0]) - CYCLIC_PREFIX


def _runs_in(samples, start, sent, other, rng):
    turned = impairments.with_frequency_offset(other.samples, 0.01, rng.uniform(0, 2 * np.pi))
    return impairments.with_burst(samples, turned, start + 1500)


def _lost(count: int) -> Fault:
    def fault(samples, start, sent, other, rng):
        place = rng.uniform(0.3, 0.7) * (start + len(sent.samples) - _payload(start, sent))
        return impairments.without(samples, _payload(start, sent) + int(place), count)

    return fault


def _silent(samples, start, sent, other, rng):
    return impairments.with_silence(samples, _payload(start, sent))


def _overlaid(samples, start, sent, other, rng):
    first = _payload(start, sent)
    power = np.where((np.arange(len(samples)) >= first) & (np.arange(len(samples)) < start + len(sent.samples)), 1.0, 0)
    return samples + impairments.noise(len(samples), power, rng)


def _foreign(samples, start, sent, other, rng):
    first, theirs = _payload(start, sent), _payload(0, other)
    out = impairments.with_silence(samples, first)
    return impairments.with_burst(out, other.samples[theirs:], first)


def _fading(doppler: float, rate: float) -> Fault:
    def fault(samples, start, sent, other, rng):
        return Paths.rayleigh([0, 4], [0, -3], doppler / rate, len(samples), rng).through(samples)

    return fault


def _echo(samples, start, sent, other, rng):
    gains = [1, 10 ** (-3 / 20) * np.exp(2j * np.pi * rng.random())]
    return Paths.still([0, rng.integers(0, 21)], gains).through(samples)


def _tone(sir_db: float, throughout: bool) -> Fault:
    def fault(samples, start, sent, other, rng):
        first = 0 if throughout else (_payload(start, sent) + start + len(sent.samples)) // 2
        wave = impairments.tone(
            len(samples), 10 ** (-sir_db / 10), rng.uniform(-BAND, BAND), rng.uniform(0, 2 * np.pi), first
        )
        return samples + wave

    return fault


def _impulses(samples, start, sent, other, rng):
    power = impairments.impulse_power(len(samples), 500 / 1e6, 10, 100.0, rng)
    return samples + impairments.noise(len(samples), power, rng)


def _jammed(samples, start, sent, other, rng):
    windows = start + payload_windows(sent.header, sent.profile) - CYCLIC_PREFIX
    power = impairments.jammed(len(samples), windows, SYMBOL_LENGTH, rng.uniform(0.1, 0.6), 1.0, rng)
    return samples + impairments.noise(len(samples), power, rng)


def _jammed_in_band(samples, start, sent, other, rng):
    windows = start + payload_windows(sent.header, sent.profile) - CYCLIC_PREFIX
    on = impairments.jammed(len(samples), windows, SYMBOL_LENGTH, rng.uniform(0.1, 0.6), 1.0, rng)
    return samples + on * impairments.in_band(impairments.noise(len(samples), 1.0, rng), BAND)


FAULTS: dict[str, Fault] = {
    "equal-power burst runs in 1500 samples later": _runs_in,
    "2 samples lost": _lost(2),
    "300 samples lost": _lost(300),
    "silent after the header": _silent,
    "payload overlaid by noise of its power": _overlaid,
    "payload of another burst": _foreign,
    **{
        f"two Rayleigh paths, {doppler:g} Hz at {rate / 1e3:g} kS/s": _fading(doppler, rate) for doppler, rate in FADING
    },
    "echo of -3 dB 0 to 20 samples late": _echo,
    "CW from mid-payload, SIR 5 dB": _tone(5, throughout=False),
    "CW throughout, SIR 0 dB": _tone(0, throughout=True),
    "impulses of +20 dB, 500 a second at 1 MS/s": _impulses,
    "10 to 60% of OFDM symbols jammed at 0 dB": _jammed,
    "10 to 60% of OFDM symbols jammed at 0 dB, used carriers alone": _jammed_in_band,
}


def _rows(settings: Settings) -> list[dict]:
    return [
        {"fault": fault, "esn0_db": esn0_db, "mode": mode}
        for fault in FAULTS
        for esn0_db in settings.esn0_db
        for mode in settings.modes
    ]


def _draws(settings: Settings, row: dict) -> int:
    return -(-settings.packets // (PACKETS * len(settings.esn0_db)))


def _count(settings: Settings, row: dict, draws: range) -> Counts:
    counts = dict.fromkeys(("packets", "accepted", "wrong", "bursts", "found"), 0)
    for draw in draws:
        rng = generator(settings, row, draw, "mode")
        mcs = MCS[draw % len(MCS)]
        sent, other = (burst_for(settings, row["mode"], rng, 2 * draw + i, mcs) for i in (0, 1))
        samples, start = placed(sent, rng)
        samples = FAULTS[row["fault"]](samples, start, sent, other, rng)
        samples = samples + impairments.noise(len(samples), noise_power(row["esn0_db"]), rng)
        result = outcome(sent, receive(receiver_for(settings, row["mode"]), samples))
        counts["packets"] += PACKETS
        counts["accepted"] += int(result.accepted.sum())
        counts["wrong"] += int(result.wrong.sum())
        counts["bursts"] += 1
        counts["found"] += result.found
    return counts


def _figures(row: dict, counts: Counts) -> dict:
    return {name: int(value) for name, value in counts.items()}


ACCEPTED_WRONG = Section("accepted_wrong", _rows, _draws, 4, _count, _figures)
"""Random tokens in mode list, photographs in the others; QPSK, 16-QAM and 64-QAM of rate 1/2 in turn."""
