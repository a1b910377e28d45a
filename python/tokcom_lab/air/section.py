"""What all sections of the benchmark share: settings, rows, and how a row is measured piece by piece."""

import zlib
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np

Counts = dict[str, float]
"""What was counted in some of a row's draws; those of several pieces add up."""


@dataclass(frozen=True)
class Settings:
    """Of a run.

    Attributes:
        packets: packets for each fault and mode of section accepted_wrong.
        bursts: bursts of each row elsewhere.
        draws: channels of each row of section found.
        noise_samples: samples that are searched for bursts that are not there.
        esn0_db: Es/N0 in dB of section accepted_wrong.
        modes: of the receiver there.
        model: name or folder of the model for mode context.
        device: where its networks run, as in `device.receiving_device`.
        data: photographs, as `load_photographs` takes them.
        photographs: how many of them.
        seed: seed of everything.
    """

    packets: int = 20_000
    bursts: int = 200
    draws: int = 1000
    noise_samples: int = 10**8
    esn0_db: tuple[float, ...] = (8.0, 12.0, 15.0, 20.0, 30.0)
    modes: tuple[str, ...] = ("list", "context")
    model: str = "caltech64"
    device: str = "cpu"
    data: Path | None = None
    photographs: int = 64
    seed: int = 0


@dataclass(frozen=True)
class Section:
    """A part of the benchmark.

    Attributes:
        name: in the report.
        rows: what is to be measured: what tells the rows apart, by name.
        draws: how many draws a row takes.
        piece: draws that are measured together; a run that is stopped loses no more.
        count: measures draws `first` to `last` of a row.
        figures: what the report says of a row, by what was counted in all of its draws.
    """

    name: str
    rows: Callable[[Settings], list[dict]]
    draws: Callable[[Settings, dict], int]
    piece: int
    count: Callable[[Settings, dict, range], Counts]
    figures: Callable[[dict, Counts], dict]


def generator(settings: Settings, row: dict, draw: int, *left_out: str) -> np.random.Generator:
    """The generator of a row's draw; rows that differ only in what is left out have the same."""
    told = sorted((name, value) for name, value in row.items() if name not in left_out)
    return np.random.default_rng([settings.seed, zlib.crc32(repr(told).encode()), draw])


def share(part: float, whole: float) -> float:
    """To six places."""
    return round(part / whole, 6) if whole else 0.0
