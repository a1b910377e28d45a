"""Packets that came out right and were not declared good, where the burst is what preamble and header promised."""

import numpy as np

from tokcom.experiments.air import impairments
from tokcom.experiments.air.bursts import noise_power, outcome, placed, receive
from tokcom.experiments.air.decoding import PACKETS, burst_for, receiver_for
from tokcom.experiments.air.paths import PROFILES, Paths
from tokcom.experiments.air.section import Counts, Section, Settings, generator, share

MCS = "16qam-1/2"
CHANNELS = ("AWGN", *PROFILES)
ESN0_DB = (1.0, 2.0, 3.0, 4.0, 6.0, 8.0, 10.0)
DOPPLER_HZ, SAMPLE_RATE = 5.0, 1e6
BURSTS_SHARE = 2
"""Rows are many, and decoding with context is slow."""


def _rows(settings: Settings) -> list[dict]:
    return [
        {"channel": channel, "esn0_db": esn0_db, "mode": mode}
        for channel in CHANNELS
        for mode in settings.modes
        for esn0_db in ESN0_DB
    ]


def _draws(settings: Settings, row: dict) -> int:
    return -(-settings.bursts // BURSTS_SHARE)


def _count(settings: Settings, row: dict, draws: range) -> Counts:
    counts = dict.fromkeys(("packets", "right", "refused", "wrong"), 0)
    for draw in draws:
        rng = generator(settings, row, draw, "mode", "esn0_db")
        sent = burst_for(settings, row["mode"], rng, draw, MCS)
        samples, _ = placed(sent, rng)
        if row["channel"] != "AWGN":
            nanoseconds, powers = PROFILES[row["channel"]]
            delays = np.array(nanoseconds) * 1e-9 * SAMPLE_RATE
            samples = Paths.rayleigh(delays, powers, DOPPLER_HZ / SAMPLE_RATE, len(samples), rng).through(samples)
        samples = samples + impairments.noise(len(samples), noise_power(row["esn0_db"]), rng)
        result = outcome(sent, receive(receiver_for(settings, row["mode"]), samples))
        counts["packets"] += PACKETS
        counts["right"] += int(result.matching.sum())
        counts["refused"] += int((result.matching & ~result.accepted).sum())
        counts["wrong"] += int(result.wrong.sum())
    return counts


def _figures(row: dict, counts: Counts) -> dict:
    numbers = {name: int(value) for name, value in counts.items()}
    return numbers | {"share_refused": share(counts["refused"], counts["packets"])}


FIT = Section("fit", _rows, _draws, 10, _count, _figures)
"""A test of fit takes what `share_refused` has more than that of a receiver without: right tokens whose posterior does
not suffice are refused, too."""
