"""Faults in the middle of a burst: a step of the gain, lost samples, a collision with another burst."""

import numpy as np

from tokcom.link.receiver import Receiver
from tokcom.phy.numerology import CYCLIC_PREFIX, SYMBOL_LENGTH
from tokcom_lab.air import genie, impairments
from tokcom_lab.air.air_interface import payload_windows
from tokcom_lab.air.bursts import (
    CODEBOOK,
    COUNTED,
    SentBurst,
    noise_power,
    outcome,
    placed,
    random_burst,
    receive,
    tally,
)
from tokcom_lab.air.section import Counts, Section, Settings, generator, share
from tokcom_lab.air.threshold import threshold

MCS = "16qam-1/2"
PACKETS = 64
ESN0_DB = 20.0
FRONT_END, SIGNAL = "gain step of the front end", "gain step of the signal"
LOST = "samples lost in mid-burst"
COLLISION = "equal-power burst over the last third"
STEPS = ((FRONT_END, -6.0), (FRONT_END, 6.0), (SIGNAL, -6.0))
BURSTS_SHARE = 8
"""Reduction of the number of bursts, since one threshold takes about ten measurements."""
ERASED = 1e6
"""Variance given to the genie for lost samples."""


def _rows(settings: Settings) -> list[dict]:
    steps = [{"fault": fault, "level": level, "mcs": MCS} for fault, level in STEPS]
    broken = [(LOST, 2.0), (LOST, 300.0), (COLLISION, 0.0)]
    return steps + [{"fault": fault, "level": level, "mcs": MCS} for fault, level in broken]


def _draws(settings: Settings, row: dict) -> int:
    return 1 if row["fault"] in (FRONT_END, SIGNAL) else settings.bursts


def _count(settings: Settings, row: dict, draws: range) -> Counts:
    return _thresholds(settings, row) if row["fault"] in (FRONT_END, SIGNAL) else _broken(settings, row, draws)


def _middle(start: int, sent: SentBurst, place: float) -> int:
    """Return the sample at a given share of the payload's length."""
    first = start + int(payload_windows(sent.header, sent.profile)[0]) - CYCLIC_PREFIX
    return first + int(place * (start + len(sent.samples) - first))


def _thresholds(settings: Settings, row: dict) -> Counts:
    crossings = []
    for draw in range(max(2, settings.bursts // BURSTS_SHARE)):
        rng = generator(settings, row, draw)
        sent = random_burst(rng, draw, MCS, PACKETS)
        samples, start = placed(sent, rng)
        crossings.append((sent, start, samples, impairments.noise(len(samples), 1.0, rng)))

    def lost(esn0_db: float, by_genie: bool) -> float:
        level, right = noise_power(esn0_db), 0
        for sent, start, clean, unit in crossings:
            middle = _middle(start, sent, 0.5)
            step = impairments.with_step(np.ones(len(clean)), middle, row["level"])
            noise = np.sqrt(level) * unit
            samples = step * (clean + noise) if row["fault"] == FRONT_END else step * clean + noise
            if by_genie:
                truth = genie.told(sent, start, None, level)
                gain = step[truth.starts + SYMBOL_LENGTH // 2][:, None]
                variance = truth.variance * (gain**2 if row["fault"] == FRONT_END else 1)
                truth = genie.Truth(truth.starts, truth.gains * gain, variance)
                right += int(genie.decode(sent, samples, truth, (CODEBOOK,)).sum())
            else:
                right += int(outcome(sent, receive(Receiver([CODEBOOK]), samples)).right.sum())
        return 1 - right / (PACKETS * len(crossings))

    ideal = threshold(lambda value: lost(value, True), 2.0)
    return {"esn0_db": threshold(lambda value: lost(value, False), (ideal or 4.0) - 2), "ideal_db": ideal}


def _broken(settings: Settings, row: dict, draws: range) -> Counts:
    counts = dict.fromkeys((*COUNTED, "lost_ahead"), 0)
    ahead = 2 * PACKETS // 3
    for draw in draws:
        rng = generator(settings, row, draw)
        sent, other = random_burst(rng, 2 * draw, MCS, PACKETS), random_burst(rng, 2 * draw + 1, MCS, PACKETS)
        samples, start = placed(sent, rng, extra=len(other.samples))
        noise = impairments.noise(len(samples), noise_power(ESN0_DB), rng)
        truth = genie.told(sent, start, None, noise_power(ESN0_DB))
        starts, variance = truth.starts, truth.variance.copy()
        if row["fault"] == COLLISION:
            begin = _middle(start, sent, 2 / 3)
            turned = impairments.with_frequency_offset(other.samples, 0.01, rng.uniform(0, 2 * np.pi))
            samples = impairments.with_burst(samples, turned, begin)[: len(noise)] + noise
            variance[starts + SYMBOL_LENGTH > begin] += genie.CARRIER_GAIN**2
        else:
            begin, count = _middle(start, sent, 0.5), int(row["level"])
            samples = impairments.without(samples + noise, begin, count)
            torn = (starts < begin + count) & (starts + SYMBOL_LENGTH > begin)
            variance[torn] = ERASED
            starts = np.where(starts >= begin, starts - count, starts)
        result = outcome(sent, receive(Receiver([CODEBOOK]), samples))
        truth = genie.Truth(starts, truth.gains, variance)
        tally(counts, result, genie.decode(sent, samples, truth, (CODEBOOK,)))
        counts["lost_ahead"] += int((~result.right[:ahead]).sum())
    return counts | {"sent_ahead": ahead * len(draws)}


def _figures(row: dict, counts: Counts) -> dict:
    if "ideal_db" in counts:
        loss = None if None in (counts["esn0_db"], counts["ideal_db"]) else counts["esn0_db"] - counts["ideal_db"]
        return dict(counts) | {"loss_db": loss and round(loss, 2)}
    return {
        "esn0_db": ESN0_DB, "bursts": int(counts["bursts"]), "found": share(counts["found"], counts["bursts"]),
        "per": share(counts["lost"], counts["sent"]), "per_genie": share(counts["lost_genie"], counts["sent"]),
        "per_first_two_thirds": share(counts["lost_ahead"], counts["sent_ahead"]), "wrong": int(counts["wrong"]),
    }  # fmt: skip


FAULTS = Section("faults", _rows, _draws, 10, _count, _figures)
"""`level`: step in dB, in mid-payload; number of lost samples; or level in dB of the other burst. Rows of steps give
the Es/N0 before the step for PER 10%: a step of the front end scales the noise, too, so the genie loses nothing. In the
other rows `esn0_db` is that of the burst."""
