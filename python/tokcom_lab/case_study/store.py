"""Cells on disk: each is computed once, however often the study is stopped."""

import hashlib
import json
import sqlite3
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path

from tokcom.errors import TokcomError
from tokcom_lab.case_study.cells import Cell, Job, StudySettings

SCHEMA = """
CREATE TABLE IF NOT EXISTS cells (
    key TEXT PRIMARY KEY, scheme TEXT, link TEXT, esn0_db REAL, image TEXT, seed INTEGER, figures TEXT, picture BLOB)
"""
BUSY_SECONDS = 30


class CellStore:
    """Store of the cells of one study in an SQLite file.

    Args:
        path: the file, created if missing.
        settings: settings of the study; the file may also hold cells of other settings or models.

    Raises:
        TokcomError: the file cannot be used.
    """

    def __init__(self, path: Path, settings: StudySettings):
        self._link, self._fingerprint = settings.link, settings.fingerprint()
        self._path = path
        try:
            self._database = sqlite3.connect(path, timeout=BUSY_SECONDS)
            self._database.execute(SCHEMA)
        except sqlite3.Error as error:
            raise self._broken(error) from None

    def close(self) -> None:
        self._database.close()

    def missing(self, jobs: Iterable[Job]) -> list[Job]:
        """Return jobs reduced to the schemes that have not been computed; complete jobs are left out."""
        known = {key for (key,) in self._query("SELECT key FROM cells")}
        remaining = (
            replace(job, schemes=tuple(name for name in job.schemes if self._key(job, name) not in known))
            for job in jobs
        )
        return [job for job in remaining if job.schemes]

    def add(self, job: Job, cells: Sequence[Cell]) -> None:
        """Store the cells of a job: all of them or, if writing fails, none.

        Raises:
            TokcomError: the cells cannot be written.
        """
        rows = [
            (self._key(job, cell.scheme), cell.scheme, self._link, job.esn0_db, job.image, job.seed,
             json.dumps(cell.figures), cell.picture)
            for cell in cells
        ]  # fmt: skip
        try:
            with self._database:
                self._database.executemany("INSERT OR IGNORE INTO cells VALUES (?, ?, ?, ?, ?, ?, ?, ?)", rows)
        except sqlite3.Error as error:
            raise self._broken(error) from None

    def cells(self, jobs: Iterable[Job]) -> Iterator[tuple[Job, Cell]]:
        """Iterate over the computed cells of jobs, in the order of the jobs."""
        known = {
            key: (figures, picture) for key, figures, picture in self._query("SELECT key, figures, picture FROM cells")
        }
        for job in jobs:
            for name in job.schemes:
                if (row := known.get(self._key(job, name))) is not None:
                    yield job, Cell(name, json.loads(row[0]), row[1])

    def _key(self, job: Job, scheme: str) -> str:
        content = f"{self._fingerprint} {scheme} {job.esn0_db!r} {job.digest} {job.label} {job.seed}"
        return hashlib.sha256(content.encode()).hexdigest()

    def _query(self, statement: str) -> list[tuple]:
        try:
            return self._database.execute(statement).fetchall()
        except sqlite3.Error as error:
            raise self._broken(error) from None

    def _broken(self, error: sqlite3.Error) -> TokcomError:
        return TokcomError(f"{self._path}: the cells cannot be read or written: {error}")
