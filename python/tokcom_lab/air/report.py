"""Measurement of the sections, resumable, with figures beside those of another receiver."""

import logging
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, wait
from dataclasses import asdict, dataclass, replace
from pathlib import Path

from tokcom.errors import ParameterError, TokcomError
from tokcom_lab.air.accepted_wrong import ACCEPTED_WRONG
from tokcom_lab.air.echo import ECHO
from tokcom_lab.air.faults import FAULTS
from tokcom_lab.air.fit import FIT
from tokcom_lab.air.found import FOUND
from tokcom_lab.air.interference import INTERFERENCE
from tokcom_lab.air.random_tokens import RANDOM_TOKENS
from tokcom_lab.air.section import Counts, Settings
from tokcom_lab.air.static import STATIC
from tokcom_lab.air.tracking import TRACKING
from tokcom_lab.cache import FOLDER, RESULTS, SELDOM, Table, code_of, key_of, model_content, precision_content
from tokcom_lab.workers import workers

SECTIONS = {
    section.name: section
    for section in (ACCEPTED_WRONG, TRACKING, FOUND, ECHO, INTERFERENCE, FAULTS, FIT, RANDOM_TOKENS, STATIC)
}
QUICK = Settings(packets=192, bursts=8, draws=20, noise_samples=10**6, esn0_db=(20.0,), photographs=8)
"""Settings of a run of about a minute."""

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class Piece:
    """Draws of a row that are measured together."""

    section: str
    row: int
    first: int
    last: int

    @property
    def draws(self) -> int:
        return self.last - self.first


def pieces(settings: Settings, names: Sequence[str]) -> list[Piece]:
    """List all pieces of sections, in the order of the report.

    Raises:
        ParameterError: there is no such section.
    """
    found = []
    for name in names:
        if name not in SECTIONS:
            raise ParameterError(f"section is {name!r}; it must be one of {', '.join(SECTIONS)}")
        section = SECTIONS[name]
        for number, row in enumerate(section.rows(settings)):
            draws = section.draws(settings, row)
            firsts = range(0, draws, section.piece)
            found += [Piece(name, number, first, min(first + section.piece, draws)) for first in firsts]
    return found


def measure(settings: Settings, piece: Piece) -> Counts:
    """Measure a piece; the counts do not depend on the process or on earlier measurements."""
    section = SECTIONS[piece.section]
    return section.count(settings, section.rows(settings)[piece.row], range(piece.first, piece.last))


class Store:
    """Store of pieces on disk, keyed by all that determines them, so that an interrupted run can be resumed.

    Args:
        settings: settings of the run.
        folder: folder of the cache; None to store nothing.
    """

    def __init__(self, settings: Settings, folder: str | Path | None = FOLDER):
        self._settings, self._table = settings, None
        self._content = [
            model_content(settings.model), precision_content(settings.device),
            code_of("tokcom", without=(*SELDOM, "tokenizers")), code_of("tokcom_lab.air"),
        ]  # fmt: skip
        self._known: dict[str, Counts] = {}
        if folder is not None:
            try:
                self._table = Table(Path(folder) / RESULTS, "air")
            except TokcomError as error:
                logger.warning("%s; an interrupted run will start over", error)

    def get(self, piece: Piece) -> Counts | None:
        """Return the counts of a piece; None if it has not been measured."""
        key = self._key(piece)
        if key not in self._known and self._table is not None:
            self._known |= {found: counts for found, counts, _ in self._table.find([key])}
        return self._known.get(key)

    def add(self, piece: Piece, counts: Counts) -> None:
        """Store the counts of a piece."""
        key = self._key(piece)
        self._known[key] = counts
        if self._table is not None:
            try:
                self._table.add({key: (counts, None)})
            except TokcomError as error:
                logger.warning("%s; an interrupted run will start over", error)
                self._table = None

    def _key(self, piece: Piece) -> str:
        """Make a key of all that determines a piece; the size of the run does so only if a row is measured in one
        piece."""
        section = SECTIONS[piece.section]
        row = section.rows(self._settings)[piece.row]
        sizes = {"packets": 0, "draws": 0, "esn0_db": (), "modes": (), "model": "", "device": ""}
        if section.draws(self._settings, row) > 1:
            sizes["bursts"] = 0
        if piece.section != "static":
            sizes["noise_samples"] = 0
        return key_of(
            self._content, replace(self._settings, **sizes), piece.section, row, piece.first, piece.last
        )  # fmt: skip


def run(
    settings: Settings, names: Sequence[str], store: Store, jobs: int = 1,
    progress: Callable[[str, int], None] = lambda section, done: None,
) -> dict[str, list[dict]]:  # fmt: skip
    """Measure sections.

    Args:
        settings: settings of the run.
        names: names of the sections.
        store: pieces in it are not measured again; new ones are stored immediately.
        jobs: number of processes.
        progress: called with the section and the number of draws done in it since the last call.

    Returns:
        The rows of each section: their parameters and their figures.
    """
    todo = pieces(settings, names)
    missing = [piece for piece in todo if store.get(piece) is None]
    for piece in todo:
        if store.get(piece) is not None:
            progress(piece.section, piece.draws)
    for piece, counts in _measured(settings, missing, jobs):
        store.add(piece, counts)
        progress(piece.section, piece.draws)
    return {name: _section(settings, name, [piece for piece in todo if piece.section == name], store) for name in names}


def _measured(settings: Settings, todo: Sequence[Piece], jobs: int) -> Iterator[tuple[Piece, Counts]]:
    if jobs == 1 or len(todo) < 2:
        for piece in todo:
            yield piece, measure(settings, piece)
        return
    with workers(jobs, _use_one_thread) as pool:
        waiting, rest = {}, iter(todo)
        while True:
            for piece in rest:
                waiting[pool.submit(measure, settings, piece)] = piece
                if len(waiting) >= 2 * jobs:
                    break
            if not waiting:
                return
            for future in wait(waiting, return_when=FIRST_COMPLETED).done:
                yield waiting.pop(future), future.result()


def _use_one_thread() -> None:
    import numba
    import torch

    numba.set_num_threads(1)
    torch.set_num_threads(1)


def _section(settings: Settings, name: str, done: Sequence[Piece], store: Store) -> list[dict]:
    section, rows = SECTIONS[name], []
    for number, row in enumerate(section.rows(settings)):
        counts = [store.get(piece) for piece in done if piece.row == number]
        total = counts[0] if len(counts) == 1 else {key: sum(each[key] for each in counts) for key in counts[0]}
        rows.append(row | section.figures(row, total))
    return rows


def beside(rows: dict[str, list[dict]], baseline: dict, settings: Settings) -> dict[str, list[dict]]:
    """Add to each row, as `baseline`, the figures of the same row in an earlier report; None if it has none."""
    joined = {}
    for name, own in rows.items():
        before = baseline.get(name, [])
        if isinstance(before, dict):
            before = [{"figure": figure} | row for figure, rows in before.items() for row in rows]
        known = SECTIONS[name].rows(settings)
        joined[name] = []
        for row, key in zip(own, known, strict=True):
            same = (each for each in before if all(each.get(part) == value for part, value in key.items()))
            other = next(same, None)
            figures = other and {part: value for part, value in other.items() if part not in key}
            joined[name].append(row | {"baseline": figures})
    return joined


def tables(name: str, rows: Sequence[dict]) -> list[tuple[str, list[dict]]]:
    """Split a section into tables, title and rows: rows of one table have the same columns, baseline included."""
    found: dict[tuple, list[dict]] = {}
    for row in rows:
        flat = {key: value for key, value in row.items() if key != "baseline"}
        before = row.get("baseline") or {}
        flat |= {f"{key} (baseline)": value for key, value in before.items() if key in flat}
        found.setdefault(tuple(flat), []).append(flat)
    return [(name, own) for own in found.values()]


def report(rows: dict[str, list[dict]], settings: Settings, command: str) -> dict:
    """Make the report: settings and command, then the sections, with static figures by kind."""
    told = asdict(settings) | {"data": settings.data and Path(settings.data).name}
    out: dict = {"command": command, "seed": settings.seed, "settings": told}
    for name, own in rows.items():
        if name != "static":
            out[name] = own
            continue
        out[name] = {}
        for row in own:
            figures = {part: value for part, value in row.items() if part != "figure"}
            out[name].setdefault(row["figure"], []).append(figures)
    if "accepted_wrong" in rows:
        out["pooled"] = pooled(rows["accepted_wrong"])
    return out


def pooled(rows: Sequence[dict]) -> list[dict]:
    """Pool packets accepted although wrong over all faults, and per fault over all Es/N0, by mode."""
    out = []
    for mode in dict.fromkeys(row["mode"] for row in rows):
        for fault in (None, *dict.fromkeys(row["fault"] for row in rows)):
            own = [row for row in rows if row["mode"] == mode and fault in (None, row["fault"])]
            sums = {name: sum(row[name] for row in own) for name in ("packets", "accepted", "wrong")}
            out.append({"fault": fault or "all", "mode": mode} | sums | {"share": sums["wrong"] / sums["packets"]})
    return out
