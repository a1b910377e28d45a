"""Cells on disk: each is computed once, however often the study is stopped."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path

from tokcom_lab.cache import Table, key_of
from tokcom_lab.case_study.cells import Cell, Job, StudySettings


class CellStore:
    """Store of the cells of one study in an SQLite file.

    Args:
        path: the file, created if missing.
        settings: settings of the study; the file may also hold cells of other settings or models.

    Raises:
        TokcomError: the file cannot be used.
    """

    def __init__(self, path: Path, settings: StudySettings):
        self._fingerprint, self._table = settings.fingerprint(), Table(path, "cells")

    def close(self) -> None:
        self._table.close()

    def missing(self, jobs: Iterable[Job]) -> list[Job]:
        """Return jobs reduced to the schemes that have not been computed; complete jobs are left out."""
        known = self._table.keys()
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
        self._table.add({self._key(job, cell.scheme): (cell.figures, cell.picture) for cell in cells})

    def cells(self, jobs: Iterable[Job]) -> Iterator[tuple[Job, Cell]]:
        """Iterate over the computed cells of jobs, in the order of the jobs."""
        for job in jobs:
            for name in job.schemes:
                for _, figures, picture in self._table.find([self._key(job, name)]):
                    yield job, Cell(name, figures, picture)

    def _key(self, job: Job, scheme: str) -> str:
        return key_of(self._fingerprint, scheme, job.esn0_db, job.digest, job.label, job.seed)
