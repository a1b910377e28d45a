"""Interference on the burst: tones and impulses."""

import numpy as np

from tokcom.link.receiver import Receiver
from tokcom.phy.numerology import CYCLIC_PREFIX
from tokcom_lab.air import genie, impairments
from tokcom_lab.air.air_interface import carriers_of, payload_windows
from tokcom_lab.air.bursts import CODEBOOK, COUNTED, noise_power, outcome, placed, random_burst, receive, tally
from tokcom_lab.air.section import Counts, Section, Settings, generator, share

MCS = "16qam-1/2"
PACKETS = 64
BAND = 2.55
"""Frequency of the outermost carriers in rad/sample, within which tones are drawn."""
KINDS = (
    ("none", 0.0, 15.0, 0.0),
    ("CW from mid-payload", 10.0, 15.0, 0.0), ("CW from mid-payload", 5.0, 15.0, 0.0),
    ("CW from mid-payload", 0.0, 15.0, 0.0),
    ("CW throughout", 5.0, 15.0, 0.0), ("CW throughout", 0.0, 15.0, 0.0), ("CW throughout", -5.0, 15.0, 0.0),
    ("impulses", 20.0, 20.0, 100.0), ("impulses", 20.0, 20.0, 500.0), ("impulses", 30.0, 20.0, 500.0),
)  # fmt: skip
"""Kind; level in dB: SIR of tones, power over the signal of impulses; Es/N0 in dB; impulses per second at 1 MS/s."""
IMPULSE_LENGTH = 10
SAMPLE_RATE = 1e6


def _rows(settings: Settings) -> list[dict]:
    return [
        {"kind": kind, "level_db": level, "esn0_db": esn0_db, "rate": rate, "mcs": MCS}
        for kind, level, esn0_db, rate in KINDS
    ]


def _draws(settings: Settings, row: dict) -> int:
    return settings.bursts


def _count(settings: Settings, row: dict, draws: range) -> Counts:
    counts = dict.fromkeys(COUNTED, 0)
    for draw in draws:
        rng = generator(settings, row, draw)
        sent = random_burst(rng, draw, MCS, PACKETS)
        samples, start = placed(sent, rng)
        level = noise_power(row["esn0_db"])
        variance, foreign = np.full(len(samples), level), np.zeros(len(samples))
        if row["kind"] == "impulses":
            power = impairments.impulse_power(
                len(samples), row["rate"] / SAMPLE_RATE, IMPULSE_LENGTH, 10 ** (row["level_db"] / 10), rng
            )
            variance = variance + power
        elif row["kind"] != "none":
            first = start + int(payload_windows(sent.header, sent.profile)[0]) - CYCLIC_PREFIX
            begin = 0 if row["kind"] == "CW throughout" else (first + start + len(sent.samples)) // 2
            foreign = impairments.tone(
                len(samples), 10 ** (-row["level_db"] / 10), rng.uniform(-BAND, BAND), rng.uniform(0, 2 * np.pi), begin
            )
        samples = samples + foreign + impairments.noise(len(samples), variance, rng)
        result = outcome(sent, receive(Receiver([CODEBOOK]), samples))
        truth = genie.told(sent, start, None, variance)
        # A tone has the same power on a carrier in every window that it fills.
        heard = np.abs(carriers_of(foreign, truth.starts)) ** 2
        truth = genie.Truth(truth.starts, truth.gains, truth.variance + heard)
        tally(counts, result, genie.decode(sent, samples, truth, (CODEBOOK,)))
    return counts


def _figures(row: dict, counts: Counts) -> dict:
    return {
        "bursts": int(counts["bursts"]), "per": share(counts["lost"], counts["sent"]),
        "per_genie": share(counts["lost_genie"], counts["sent"]), "found": share(counts["found"], counts["bursts"]),
        "wrong": int(counts["wrong"]),
    }  # fmt: skip


INTERFERENCE = Section("interference", _rows, _draws, 10, _count, _figures)
"""The genie knows the power of a tone on each carrier and of impulses in each OFDM symbol, but cancels neither."""
