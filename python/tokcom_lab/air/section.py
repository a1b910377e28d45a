"""Common parts of the benchmark's sections: settings, rows, and measurement of a row piece by piece."""

import zlib
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np

Counts = dict[str, float]
"""Counts over some of a row's draws; counts of several pieces add up."""


@dataclass(frozen=True)
class Settings:
    """Settings of a run.

    Attributes:
        packets: packets per fault and mode in section accepted_wrong.
        bursts: bursts per row elsewhere.
        draws: channels per row in section found.
        noise_samples: samples searched for false alarms.
        esn0_db: values of Es/N0 in dB in section accepted_wrong.
        modes: modes of the receiver there.
        model: name or folder of the model for mode context.
        device: where its networks run, as in `device.receiving_device`.
        data: photographs, as for `load_photographs`.
        photographs: number of photographs.
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
    """Section of the benchmark.

    Attributes:
        name: name in the report.
        rows: function that lists the rows, as parameters by name.
        draws: function that returns the number of draws of a row.
        piece: draws measured together, which bounds the loss when a run is interrupted.
        count: function that measures draws `first` to `last` of a row.
        figures: function that computes a row's figures from the counts of all of its draws.
    """

    name: str
    rows: Callable[[Settings], list[dict]]
    draws: Callable[[Settings, dict], int]
    piece: int
    count: Callable[[Settings, dict, range], Counts]
    figures: Callable[[dict, Counts], dict]


def generator(settings: Settings, row: dict, draw: int, *left_out: str) -> np.random.Generator:
    """Make the generator of a row's draw; rows that differ only in the parameters `left_out` share it."""
    told = sorted((name, value) for name, value in row.items() if name not in left_out)
    return np.random.default_rng([settings.seed, zlib.crc32(repr(told).encode()), draw])


def share(part: float, whole: float) -> float:
    """Compute a share, rounded to six places."""
    return round(part / whole, 6) if whole else 0.0
