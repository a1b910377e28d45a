"""Noise alone: loss of synchronisation, headers, offsets of frequency and clock, and false alarms."""

from dataclasses import asdict

import numpy as np

from tokcom.link.receiver import Receiver
from tokcom.mcs import find_mcs, mcs_table
from tokcom_lab.air import genie, impairments
from tokcom_lab.air.bursts import CODEBOOK, noise_power, outcome, placed, random_burst, receive
from tokcom_lab.air.section import Counts, Section, Settings, generator, share
from tokcom_lab.air.threshold import threshold

PACKETS = 64
HEADERS = (
    ("standard", -1.0), ("standard", 0.0), ("standard", 1.0), ("standard", 3.0), ("robust", -4.0), ("robust", -3.0),
    ("robust", -2.0),
)  # fmt: skip
"""Profile and Es/N0 in dB."""
HEADER_BURSTS = 10
"""Number of headers sent per whole burst."""
HEADER_ESN0_DB = -0.8
"""Es/N0 in dB at which about a tenth of the standard profile's headers fails; losses are measured for MCS with higher
thresholds only."""
OFFSETS = (0.5, -0.5)
"""Frequency offsets in rad/sample."""
CLOCKS = (100.0, -100.0)
"""Parts per million."""
SCHEMES = ("qpsk-1/2", "16qam-1/2", "64qam-3/4")
ALARMS = {
    "noise": (None, 0.0),
    "noise and a tone 20 dB above": (100.0, 0.0),
    "noise and a DC offset 20 dB above": (None, 10.0),
}
"""Power of a tone, and DC offset, in noise of unit power."""
TONE = 0.37
"""Frequency of the tone in rad/sample."""
SEARCHED = 1 << 20
"""Samples of noise searched at a time."""


def _rows(settings: Settings) -> list[dict]:
    losses = [_loss(row.name) for row in mcs_table() if row.per10_esn0_db > HEADER_ESN0_DB]
    offsets = [_loss(mcs, cfo=cfo) for mcs in SCHEMES for cfo in OFFSETS]
    clocks = [_loss(mcs, ppm=ppm) for mcs in SCHEMES for ppm in CLOCKS]
    headers = [{"figure": "header", "profile": name, "esn0_db": esn0_db} for name, esn0_db in HEADERS]
    return losses + offsets + clocks + headers + [{"figure": "false_alarms", "in": name} for name in ALARMS]


def _loss(mcs: str, cfo: float = 0.0, ppm: float = 0.0) -> dict:
    return {"figure": "sync_loss", "mcs": mcs, "cfo": cfo, "clock_ppm": ppm}


def _draws(settings: Settings, row: dict) -> int:
    if row["figure"] == "header":
        return HEADER_BURSTS * settings.bursts
    return 1 if row["figure"] == "sync_loss" else -(-settings.noise_samples // SEARCHED)


def _count(settings: Settings, row: dict, draws: range) -> Counts:
    measure = {"sync_loss": _sync_loss, "header": _headers, "false_alarms": _alarms}[row["figure"]]
    return measure(settings, row, draws)


def _sync_loss(settings: Settings, row: dict, draws: range) -> Counts:
    crossings = []
    for draw in range(settings.bursts):
        rng = generator(settings, row, draw, "cfo", "clock_ppm")
        sent = random_burst(rng, draw, row["mcs"], PACKETS)
        clean, start = placed(sent, rng)
        unit, phase = impairments.noise(len(clean), 1.0, rng), rng.uniform(0, 2 * np.pi)
        moved = impairments.with_clock_offset(clean, row["clock_ppm"], rng.random()) if row["clock_ppm"] else clean
        crossings.append((sent, start, clean, impairments.with_frequency_offset(moved, row["cfo"], phase), unit))

    def lost(esn0_db: float, by_genie: bool) -> float:
        level, right = noise_power(esn0_db), 0
        for sent, start, clean, moved, unit in crossings:
            if by_genie:
                samples = clean + np.sqrt(level) * unit
                right += int(genie.decode(sent, samples, genie.told(sent, start, None, level), (CODEBOOK,)).sum())
            else:
                samples = moved + np.sqrt(level) * unit[: len(moved)]
                right += int(outcome(sent, receive(Receiver([CODEBOOK]), samples)).right.sum())
        return 1 - right / (PACKETS * len(crossings))

    nominal = find_mcs(row["mcs"]).per10_esn0_db
    ideal = threshold(lambda value: lost(value, True), nominal - 1, nominal + 3)
    return {"esn0_db": threshold(lambda value: lost(value, False), nominal - 1), "ideal_db": ideal}


def _headers(settings: Settings, row: dict, draws: range) -> Counts:
    found = 0
    for draw in draws:
        rng = generator(settings, row, draw, "esn0_db")
        sent = random_burst(rng, draw, "bpsk-1/2", 1, row["profile"])
        samples, _ = placed(sent, rng)
        samples = impairments.with_frequency_offset(samples, 0.03, rng.uniform(0, 2 * np.pi))
        samples = samples + impairments.noise(len(samples), noise_power(row["esn0_db"]), rng)
        found += outcome(sent, receive(Receiver([CODEBOOK]), samples)).found
    return {"found": found, "bursts": len(draws)}


def _alarms(settings: Settings, row: dict, draws: range) -> Counts:
    power, offset = ALARMS[row["in"]]
    receiver, bursts = Receiver([CODEBOOK]), 0
    for draw in draws:
        rng = generator(settings, row, draw)
        count = min(SEARCHED, settings.noise_samples - draw * SEARCHED)
        samples = rng.standard_normal((count, 2), np.float32).view(np.complex64)[:, 0] * np.float32(np.sqrt(0.5))
        if power is not None:
            samples = samples + impairments.tone(count, power, TONE)
        bursts += len(receive(receiver, samples + np.complex64(offset)))
    counters = asdict(receiver.searcher.counters)
    return {"samples": counters["samples"], "preambles": counters["preambles"], "bursts": bursts}


def _figures(row: dict, counts: Counts) -> dict:
    if row["figure"] == "sync_loss":
        loss = None if None in (counts["esn0_db"], counts["ideal_db"]) else counts["esn0_db"] - counts["ideal_db"]
        return dict(counts) | {"loss_db": loss and round(loss, 2)}
    if row["figure"] == "header":
        return {"bursts": int(counts["bursts"]), "success": share(counts["found"], counts["bursts"])}
    return {name: int(value) for name, value in counts.items()}


STATIC = Section("static", _rows, _draws, 32, _count, _figures)
"""Losses are relative to the genie in the same noise, in Es/N0 for PER 10% and bursts of 64 packets; those with an
offset of frequency or clock are relative to the genie without it."""
