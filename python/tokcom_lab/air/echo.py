"""Es/N0 required with a late echo, compared with an ideal receiver.

The ideal receiver is the genie: it knows both paths and the noise exactly, begins its windows where capacity is
largest, and treats energy outside the cyclic prefix as noise of known power on each carrier. It cancels nothing.
"""

import numpy as np

from tokcom.link.receiver import Receiver
from tokcom_lab.air import genie, impairments
from tokcom_lab.air.bursts import CODEBOOK, noise_power, outcome, placed, random_burst, receive
from tokcom_lab.air.paths import Paths
from tokcom_lab.air.section import Counts, Section, Settings, generator
from tokcom_lab.air.threshold import HIGHEST_DB, threshold

SAMPLES = (4, 8, 11, 12, 13, 14, 15, 16, 20)
SCHEMES = (("qpsk-1/2", -3.0), ("16qam-1/2", -3.0), ("16qam-1/2", 0.0), ("64qam-3/4", -6.0))
"""MCS, and the level of the echo in dB."""
PACKETS = 64
LOWEST_DB = -1.0
BURSTS_SHARE = 4
"""Reduction of the number of bursts, since one threshold takes about ten measurements."""


def _rows(settings: Settings) -> list[dict]:
    return [
        {"samples": samples, "level_db": level, "mcs": mcs}
        for mcs, level in SCHEMES
        for samples in SAMPLES
        if level == -3 or samples in (8, 12, 14)
    ]


def _count(settings: Settings, row: dict, draws: range) -> Counts:
    crossings = [_crossing(settings, row, draw) for draw in range(_bursts(settings))]

    def lost(esn0_db: float, by_genie: bool) -> float:
        level = noise_power(esn0_db)
        right = 0
        for sent, start, paths, clean, unit in crossings:
            samples = clean + np.sqrt(level) * unit
            if by_genie:
                truth = genie.told(sent, start, paths, level)
                right += int(genie.decode(sent, samples, truth, (CODEBOOK,)).sum())
            else:
                right += int(outcome(sent, receive(Receiver([CODEBOOK]), samples)).right.sum())
        return 1 - right / (PACKETS * len(crossings))

    ideal = threshold(lambda value: lost(value, True), LOWEST_DB)
    lowest = LOWEST_DB if ideal is None else max(ideal - 2, LOWEST_DB)
    own = threshold(lambda value: lost(value, False), lowest)
    return {"esn0_db": own, "ideal_db": ideal, "per": round(lost(HIGHEST_DB, False), 6) if own is None else None}


def _crossing(settings: Settings, row: dict, draw: int) -> tuple:
    """Draw burst, start, paths, samples without noise, and noise of unit power."""
    rng = generator(settings, row, draw, "samples", "level_db")
    sent = random_burst(rng, draw, row["mcs"], PACKETS)
    samples, start = placed(sent, rng)
    echo = 10 ** (row["level_db"] / 20) * np.exp(2j * np.pi * rng.random())
    paths = Paths.still([0, row["samples"]], [1, echo])
    return sent, start, paths, paths.through(samples), impairments.noise(len(samples), 1.0, rng)


def _bursts(settings: Settings) -> int:
    return max(2, settings.bursts // BURSTS_SHARE)


def _figures(row: dict, counts: Counts) -> dict:
    return dict(counts) | {"packets": PACKETS}


ECHO = Section("echo", _rows, lambda settings, row: 1, 1, _count, _figures)
"""Es/N0 for PER 10%, relative to the mean power of both paths; `per`: PER at 36 dB, if it is above 10% there. The
echo's phase is random in every burst; receiver and ideal receiver have the same bursts, phases and noise at every
Es/N0."""
