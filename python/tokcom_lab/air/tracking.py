"""Packets lost on a moving channel, compared with a receiver that knows it at every OFDM symbol."""

import numpy as np

from tokcom.link.receiver import Receiver
from tokcom_lab.air import genie, impairments
from tokcom_lab.air.bursts import CODEBOOK, COUNTED, noise_power, outcome, placed, random_burst, receive, tally
from tokcom_lab.air.paths import PROFILES, Paths
from tokcom_lab.air.section import Counts, Section, Settings, generator, share

ESN0_DB = 20.0
CHANNELS = {"two Rayleigh paths": ([0, 4], [0, -3]), "one Rayleigh path": ([0], [0])}
"""Delays in samples and mean powers in dB."""
SPEEDS = ((0.0, 1e6), (5.0, 250e3), (10.0, 250e3), (100.0, 1e6), (300.0, 1e6))
"""Doppler shift and sample rate in Hz."""
SIZES = {64: 1, 256: 4}
"""Packets per burst, and the factor by which fewer such bursts are sent."""


def _rows(settings: Settings) -> list[dict]:
    rows = [
        _row("two Rayleigh paths", doppler, rate, mcs, packets)
        for packets in SIZES
        for doppler, rate in SPEEDS
        for mcs in ("qpsk-1/2", "16qam-1/2")
    ]
    rows += [
        _row("one Rayleigh path", doppler, rate, "16qam-1/2", 64) for doppler, rate in ((5.0, 250e3), (100.0, 1e6))
    ]
    return rows + [_row(name, 5.0, 1e6, "16qam-1/2", 64) for name in PROFILES]


def _row(channel: str, doppler: float, rate: float, mcs: str, packets: int) -> dict:
    return {"channel": channel, "doppler_hz": doppler, "sample_rate": rate, "mcs": mcs, "packets": packets}


def _draws(settings: Settings, row: dict) -> int:
    return max(1, settings.bursts // SIZES[row["packets"]])


def _paths(row: dict, n_samples: int, rng: np.random.Generator) -> Paths:
    if row["channel"] in CHANNELS:
        delays, powers = CHANNELS[row["channel"]]
    else:
        nanoseconds, powers = PROFILES[row["channel"]]
        delays = np.array(nanoseconds) * 1e-9 * row["sample_rate"]
    return Paths.rayleigh(delays, powers, row["doppler_hz"] / row["sample_rate"], n_samples, rng)


def _count(settings: Settings, row: dict, draws: range) -> Counts:
    counts = dict.fromkeys(COUNTED, 0)
    for draw in draws:
        rng = generator(settings, row, draw)
        sent = random_burst(rng, draw, row["mcs"], row["packets"])
        samples, start = placed(sent, rng)
        paths = _paths(row, len(samples), rng)
        samples = paths.through(samples) + impairments.noise(len(samples), noise_power(ESN0_DB), rng)
        result = outcome(sent, receive(Receiver([CODEBOOK]), samples))
        truth = genie.told(sent, start, paths, noise_power(ESN0_DB))
        tally(counts, result, genie.decode(sent, samples, truth, (CODEBOOK,)))
    return counts


def _figures(row: dict, counts: Counts) -> dict:
    return {
        "esn0_db": ESN0_DB, "bursts": int(counts["bursts"]), "found": share(counts["found"], counts["bursts"]),
        "per": share(counts["lost"], counts["sent"]), "per_genie": share(counts["lost_genie"], counts["sent"]),
        "wrong": int(counts["wrong"]),
    }  # fmt: skip


TRACKING = Section("tracking", _rows, _draws, 8, _count, _figures)
"""Mean Es/N0 of 20 dB; the genie also decodes packets of bursts that the receiver does not find."""
