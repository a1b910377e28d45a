"""Packets decoded correctly but not accepted, when the burst matches preamble and header.

Every burst is recovered twice: as by the receiver, and from the LLRs alone, taken at face value. Packets that are
correct and accepted the second way but refused the first way were lost to the test of fit; a receiver without such a
test loses none.
"""

from collections.abc import Iterator
from dataclasses import replace

import numpy as np

from tokcom.errors import TokcomError
from tokcom.link.receiver import Receiver, Reception
from tokcom_lab.air import impairments
from tokcom_lab.air.bursts import CHUNK, noise_power, outcome, placed
from tokcom_lab.air.decoding import PACKETS, burst_for, receiver_for
from tokcom_lab.air.paths import PROFILES, Paths
from tokcom_lab.air.section import Counts, Section, Settings, generator, share

MCS = "16qam-1/2"
CHANNELS = ("AWGN", *PROFILES)
ESN0_DB = (1.0, 2.0, 3.0, 4.0, 6.0, 8.0, 10.0)
DOPPLER_HZ, SAMPLE_RATE = 5.0, 1e6
BURSTS_SHARE = 2
"""Reduction of the number of bursts: there are many rows, and decoding with context is slow."""


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
    counts = dict.fromkeys(("packets", "right", "refused", "lost_to_fit", "wrong"), 0)
    for draw in draws:
        rng = generator(settings, row, draw, "mode", "esn0_db")
        sent = burst_for(settings, row["mode"], rng, draw, MCS)
        samples, _ = placed(sent, rng)
        if row["channel"] != "AWGN":
            nanoseconds, powers = PROFILES[row["channel"]]
            delays = np.array(nanoseconds) * 1e-9 * SAMPLE_RATE
            samples = Paths.rayleigh(delays, powers, DOPPLER_HZ / SAMPLE_RATE, len(samples), rng).through(samples)
        samples = samples + impairments.noise(len(samples), noise_power(row["esn0_db"]), rng)
        receptions = list(_recovered_twice(receiver_for(settings, row["mode"]), samples))
        result, believed = (outcome(sent, [each[way] for each in receptions]) for way in (0, 1))
        counts["packets"] += PACKETS
        counts["right"] += int(result.matching.sum())
        counts["refused"] += int((result.matching & ~result.accepted).sum())
        counts["lost_to_fit"] += int((believed.right & ~result.accepted).sum())
        counts["wrong"] += int(result.wrong.sum())
    return counts


def _recovered_twice(receiver: Receiver, samples: np.ndarray) -> Iterator[tuple[Reception, Reception]]:
    """Yield each reception of samples, and the same recovered from the LLRs taken at face value."""
    whole = np.ascontiguousarray(samples, np.complex64)
    for i in range(0, len(whole), CHUNK):
        for found in receiver.search(whole[i : i + CHUNK]):
            try:
                reception = receiver.finish(found)
                llrs = receiver.demap(receiver.demodulate(found))
                believed = receiver.recovery.recover(reception.frame, receiver.received(llrs, reception.header))
            except TokcomError:
                continue
            yield reception, replace(reception, recovered=believed)


def _figures(row: dict, counts: Counts) -> dict:
    numbers = {name: int(value) for name, value in counts.items()}
    return numbers | {"share_lost": share(counts["lost_to_fit"], counts["packets"])}


FIT = Section("fit", _rows, _draws, 10, _count, _figures)
"""`refused` also counts packets that are correct but whose posterior is too low; `share_lost` is the share of
`lost_to_fit` alone."""
