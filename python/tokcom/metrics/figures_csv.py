"""A link's running figures as a CSV file."""

import csv
from datetime import datetime
from pathlib import Path

from tokcom.errors import MonitorError
from tokcom.mcs import mcs_table
from tokcom.metrics.link_figures import CHANNEL, COUNTS, LATEST, NOT_SENT, RATES

LONGEST_HEAD = 4096
STAGES = ("tokenizer", "framer", "demodulator", "recovery", "detokenizer")
"""Stages with columns for queue and drops."""


def columns() -> list[str]:
    """Return the names of the columns in order."""
    by_mcs = [f"mcs.{name}" for name in (*(row.name for row in mcs_table()), NOT_SENT)]
    counters = [f"{kind}.{stage}" for kind in ("queued", "dropped") for stage in STAGES]
    return ["time", "stream", *COUNTS, "frames_per_second", *RATES, *CHANNEL, *LATEST, *by_mcs, *counters]


class FiguresFile:
    """CSV file to which rows are appended; rows of earlier runs are kept.

    Args:
        path: the file; its folder is created if missing.

    Raises:
        MonitorError: the file cannot be written, or is another kind of file.
    """

    def __init__(self, path: str | Path):
        self.path = Path(path)
        try:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            with self.path.open("a+", newline="", encoding="utf-8") as file:
                file.seek(0)
                # Read no more than the longest possible head: the first line of another file may never end.
                head = next(csv.reader([file.readline(LONGEST_HEAD)]), [])
                if not head:
                    csv.writer(file).writerow(columns())
        except (OSError, UnicodeDecodeError, csv.Error) as error:
            raise MonitorError(f"{path}: figures cannot be written here: {_why(error)}") from None
        if head not in ([], columns()):
            raise MonitorError(f"{path}: the columns of this file are not a link's figures; name another file")

    def write(self, figures: dict, time: datetime) -> None:
        """Append one row per stream of figures as `LinkFigures.figures` returns them; unknown ones are left empty.

        Before the first frame, a single row of no stream is appended.

        Raises:
            MonitorError: the file cannot be written.
        """
        streams = [{"stream": number} | own for number, own in figures["streams"].items()]
        when = time.isoformat(timespec="milliseconds")
        rows = [{"time": when} | _flat(figures | own) for own in streams or [{}]]
        try:
            with self.path.open("a", newline="", encoding="utf-8") as file:
                csv.DictWriter(file, columns(), extrasaction="ignore").writerows(rows)
        except OSError as error:
            raise MonitorError(f"{self.path}: figures cannot be written here: {_why(error)}") from None


def _flat(figures: dict) -> dict:
    """Figures by column."""
    flat = {}
    for key, value in figures.items():
        if isinstance(value, dict):
            flat |= {f"{key}.{name}": entry for name, entry in value.items()}
        else:
            flat[key] = round(value, 6) if isinstance(value, float) else value
    return flat


def _why(error: Exception) -> str:
    return getattr(error, "strerror", None) or str(error)
