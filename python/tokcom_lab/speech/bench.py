"""Quality of speech over Es/N0 and losses, system by system."""

from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from itertools import pairwise
from pathlib import Path

import numpy as np

from tokcom_lab.cache import FOLDER, RESULTS, SELDOM, Table, code_of, key_of
from tokcom_lab.speech.digits import DigitRecognizer
from tokcom_lab.speech.quality import estoi_of, log_spectral_distance
from tokcom_lab.speech.systems import SpeechSystem

CLEAN = 30.0
"""Es/N0 in dB at which nothing is lost."""
REACHED = 0.95
LOST_SHARE = 0.2


@dataclass(frozen=True)
class SpeechPoint:
    """Quality of one system at one Es/N0.

    Attributes:
        system: name of the system.
        bit_rate: bits per second.
        symbols_per_packet: symbols per 80 ms.
        esn0_db: Es/N0 in dB.
        estoi: mean over speakers.
        lsd_db: log-spectral distance in dB, mean over speakers.
        digits_right: share of digits that the recogniser gets right.
    """

    system: str
    bit_rate: float
    symbols_per_packet: int
    esn0_db: float
    estoi: float
    lsd_db: float
    digits_right: float


@dataclass(frozen=True)
class SpeechMaterial:
    """Speech that is sent.

    Attributes:
        excerpts: signals by speaker.
        digits: signals of single digits.
        spoken: int (digits,).
        recognizer: function that trains the recogniser of digits when it is first wanted.
    """

    excerpts: dict[str, list[np.ndarray]]
    digits: list[np.ndarray]
    spoken: np.ndarray
    recognizer: Callable[[], DigitRecognizer]


def curve(
    systems: Sequence[SpeechSystem], material: SpeechMaterial, esn0_db: Sequence[float], seed: int,
    advance: Callable[[], None] = lambda: None, cache: Path = FOLDER,
) -> list[SpeechPoint]:  # fmt: skip
    """Measure every system at every Es/N0, and at CLEAN; noise is the same in repeated runs, and points that were
    measured before are read from the cache."""
    table = Table(cache / RESULTS)
    sent = [*(each for signals in material.excerpts.values() for each in signals), *material.digits]
    common = [key_of(*sent), seed, code_of("tokcom", without=SELDOM), code_of("tokcom_lab.speech")]
    points = []
    for system in systems:
        for value in (*esn0_db, CLEAN):
            key = key_of("speech", system.content, value, common)
            known = next(table.find([key]), None)
            found = _point(system, material, value, seed) if known is None else SpeechPoint(**known[1])
            table.add({key: (asdict(found), None)})
            points.append(found)
            advance()
    table.close()
    return points


def _point(system: SpeechSystem, material: SpeechMaterial, esn0_db: float, seed: int) -> SpeechPoint:
    rng = np.random.default_rng([seed, round(100 * esn0_db) + 100_000])
    clear, distance = [], []
    for signals in material.excerpts.values():
        heard = [system.through_noise(each, esn0_db, rng) for each in signals]
        clear.append(np.mean([estoi_of(*pair) for pair in zip(signals, heard, strict=True)]))
        distance.append(np.mean([log_spectral_distance(*pair) for pair in zip(signals, heard, strict=True)]))
    right = float("nan")
    if material.digits:
        spoken = [system.through_noise(each, esn0_db, rng) for each in material.digits]
        right = float((material.recognizer().recognize(spoken) == material.spoken).mean())
    return SpeechPoint(
        system.name, system.bit_rate, system.symbols, esn0_db, float(np.mean(clear)), float(np.mean(distance)), right
    )


def losses(
    systems: Sequence[SpeechSystem], material: SpeechMaterial, seed: int, share: float = LOST_SHARE
) -> list[dict]:
    """ESTOI of systems where a share of the packets is lost, on the same packets for all."""
    found = []
    for system in systems:
        rng = np.random.default_rng(seed)
        by_speaker = [
            np.mean([estoi_of(each, system.through_losses(each, share, rng)) for each in signals])
            for signals in material.excerpts.values()
        ]
        found.append({"system": system.name, "lost": share, "estoi": float(np.mean(by_speaker))})
    return found


def needed_esn0_db(points: Sequence[SpeechPoint], system: str) -> float | None:
    """Least Es/N0 in dB at which ESTOI is REACHED of the clean one, interpolated; None if it never is."""
    own = sorted((each.esn0_db, each.estoi) for each in points if each.system == system)
    wanted = REACHED * own[-1][1]
    for (low, below), (high, above) in pairwise(own):
        if below < wanted <= above:
            return float(low + (wanted - below) / (above - below) * (high - low))
    return float(own[0][0]) if own[0][1] >= wanted else None


def summary(points: Sequence[SpeechPoint]) -> dict:
    """Figures for the JSON file: the curve, and what each system needs."""
    names = list(dict.fromkeys(each.system for each in points))
    return {
        "curve": [asdict(each) for each in points],
        "esn0_db_at_95_percent": {name: needed_esn0_db(points, name) for name in names},
    }
