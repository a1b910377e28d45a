"""Share of bursts whose header is received over two equal Rayleigh paths."""

import numpy as np

from tokcom.link.receiver import Receiver
from tokcom_lab.air import impairments
from tokcom_lab.air.bursts import CODEBOOK, noise_power, outcome, placed, random_burst, receive
from tokcom_lab.air.paths import Paths
from tokcom_lab.air.section import Counts, Section, Settings, generator, share

ESN0_DB = 10.0
FARTHEST = 14
PACKETS = 4


def _rows(settings: Settings) -> list[dict]:
    return [{"echo_samples": samples} for samples in range(FARTHEST + 1)]


def _draws(settings: Settings, row: dict) -> int:
    return settings.draws


def _count(settings: Settings, row: dict, draws: range) -> Counts:
    found = 0
    for draw in draws:
        rng = generator(settings, row, draw, "echo_samples")
        sent = random_burst(rng, draw, "qpsk-1/2", PACKETS)
        samples, _ = placed(sent, rng)
        gains = rng.standard_normal((2, 2)) @ np.array([1, 1j])
        # At distance 0 both are one path, and only their sum matters.
        power = np.sum(np.abs(gains) ** 2) if row["echo_samples"] else np.abs(gains.sum()) ** 2
        paths = Paths(np.array([0.0, row["echo_samples"]]), (gains / np.sqrt(power))[:, None])
        samples = paths.through(samples) + impairments.noise(len(samples), noise_power(ESN0_DB), rng)
        found += outcome(sent, receive(Receiver([CODEBOOK]), samples)).found
    return {"found": found, "bursts": len(draws)}


def _figures(row: dict, counts: Counts) -> dict:
    return {"esn0_db": ESN0_DB, "draws": int(counts["bursts"]), "share": share(counts["found"], counts["bursts"])}


FOUND = Section("found", _rows, _draws, 50, _count, _figures)
"""Each draw is scaled to unit power, so that all have an Es/N0 of 10 dB and differ only in the shape of the channel.
Unscaled, 1.2% of the draws would be too weak for any header."""
