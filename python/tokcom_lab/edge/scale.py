"""A network of many cells and devices, simulated: caches of models at the cells, updates, questions to edge servers.

Cells hold the models whose codebooks their devices use, and pull others from a server of models. Popularity follows
Zipf's law. What a model takes and how fast a server answers are measured elsewhere and passed in.
"""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from tokcom.errors import ParameterError

HOURS = 24
WARM_HOURS = 4
"""Hours, at the beginning, in which caches fill; they are not counted."""


@dataclass(frozen=True)
class Network:
    """A network.

    Args:
        cells: number of cells.
        devices: number of devices.
        codebooks: number of codebooks in use.
        zipf: exponent of their popularity.
        move: share of devices that move to a neighbouring cell per hour.
        active: share of devices that transmit in an hour.
        frames_per_hour: frames of each of these.
        model_bytes: bytes of a model that a cell pulls.

    Raises:
        ParameterError: a number is not positive.
    """

    cells: int = 10_000
    devices: int = 1_000_000
    codebooks: int = 1000
    zipf: float = 1.0
    move: float = 0.3
    active: float = 0.2
    frames_per_hour: float = 60.0
    model_bytes: int = 17_000_000

    def __post_init__(self) -> None:
        for name, value in vars(self).items():
            if not value > 0:
                raise ParameterError(f"{name} is {value}; it must be above 0")


def cache_rows(
    network: Network, kept: Sequence[int], seed: int = 0, progress: Callable[[int], None] = lambda done: None
) -> list[dict]:  # fmt: skip
    """Simulate a day with caches of several sizes, of which each drops the model that was used longest ago.

    Args:
        network: the network.
        kept: models that a cell keeps.
        seed: seed of devices and their moves.
        progress: called with the number of hours simulated since the last call.

    Returns:
        Rows of kept, cell_gigabytes, hit (share of uses, a codebook in a cell in an hour, whose model is there),
        pulls_per_cell_hour, and cell_mbit_per_s (mean rate of pulls).
    """
    return [_day(network, each, seed, progress) for each in kept]


def _day(network: Network, kept: int, seed: int, progress: Callable[[int], None]) -> dict:
    rng = np.random.default_rng(seed)
    popularity = np.arange(1, network.codebooks + 1) ** -network.zipf
    book = rng.choice(network.codebooks, network.devices, p=popularity / popularity.sum())
    cell = rng.integers(0, network.cells, network.devices)
    used = np.full((network.cells, network.codebooks), -1.0, np.float32)
    cached = np.zeros(used.shape, bool)
    uses = hits = 0
    for hour in range(HOURS):
        moved = rng.random(network.devices) < network.move
        cell[moved] = (cell[moved] + rng.choice([-1, 1], moved.sum())) % network.cells
        chosen = rng.random(network.devices) < network.active
        now = np.zeros(used.shape, bool)
        now[cell[chosen], book[chosen]] = True
        if hour >= WARM_HOURS:
            uses += int(now.sum())
            hits += int((now & cached).sum())
        # Within an hour, the order of uses is random.
        used[now] = hour + rng.random(int(now.sum()), np.float32)
        if kept < network.codebooks:
            bound = np.partition(used, -kept, axis=1)[:, -kept]
            cached = (used >= bound[:, None]) & (used >= 0)
        else:
            cached = used >= 0
        progress(1)
    pulls = (uses - hits) / network.cells / (HOURS - WARM_HOURS)
    return {
        "kept": kept, "cell_gigabytes": kept * network.model_bytes / 1e9, "hit": hits / uses,
        "pulls_per_cell_hour": pulls, "cell_mbit_per_s": pulls * network.model_bytes * 8 / 3600 / 1e6,
    }  # fmt: skip


def update_row(network: Network, device_bytes: int, cell_mbit_per_s: float, radio_mbit_per_s: float) -> dict:
    """Compute what a new version of the most popular model costs, if all who use it pull it.

    Args:
        network: the network.
        device_bytes: bytes of it that a device pulls.
        cell_mbit_per_s: rate at which each cell pulls.
        radio_mbit_per_s: rate that each cell spends on its devices' pulls.

    Returns:
        users (devices with the model), origin_gigabytes (to all cells), cell_s (until a cell has it), devices_per_cell,
        devices_s (until its devices have it).
    """
    share = 1 / np.sum(np.arange(1, network.codebooks + 1) ** -network.zipf)
    users = network.devices * float(share)
    per_cell = users / network.cells
    return {
        "users": round(users), "origin_gigabytes": network.cells * network.model_bytes / 1e9,
        "cell_s": network.model_bytes * 8 / cell_mbit_per_s / 1e6, "devices_per_cell": per_cell,
        "devices_s": per_cell * device_bytes * 8 / radio_mbit_per_s / 1e6,
    }  # fmt: skip


def question_row(
    network: Network, stay: float, passes: float, pictures_per_s: float, request: int, answer: int
) -> dict:
    """Compute the load of the edge servers.

    Args:
        network: the network.
        stay: share of frames that never leave the device.
        passes: questions per frame that does.
        pictures_per_s: questions that a server answers per second.
        request: bytes of a question.
        answer: bytes of its answer.

    Returns:
        frames_per_cell_s, questions_per_cell_s, cells_per_server (that one server is enough for), servers, and
        cell_mbit_per_s, in both directions together.
    """
    frames = network.devices * network.active * network.frames_per_hour / 3600 / network.cells
    questions = frames * (1 - stay) * passes
    cells = pictures_per_s / questions if questions else math.inf
    return {
        "frames_per_cell_s": frames, "questions_per_cell_s": questions, "cells_per_server": cells,
        "servers": math.ceil(network.cells / cells) if questions else 0,
        "cell_mbit_per_s": questions * (request + answer) * 8 / 1e6,
    }  # fmt: skip


def collision_rows(counts: Sequence[int], bits: int = 32) -> list[dict]:
    """Compute how likely it is that two of a number of codebooks have one id, and that a new one meets a known one.

    Args:
        counts: numbers of codebooks.
        bits: bits of an id.
    """
    space = 2.0**bits
    return [{"codebooks": n, "any_two": -math.expm1(-n * (n - 1) / 2 / space), "a_new_one": n / space} for n in counts]
