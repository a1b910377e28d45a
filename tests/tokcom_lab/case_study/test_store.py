import sqlite3
from dataclasses import replace

import pytest

from tokcom.errors import TokcomError
from tokcom_lab.case_study.cells import Cell
from tokcom_lab.case_study.store import CellStore


def cells_of(job):
    return [Cell(name, {"per": 0.25, "exact_recovery": None}, b"png") for name in job.schemes]


def plain(jobs):
    return [replace(job, picture=job.picture.tobytes()) for job in jobs]


def test_what_was_added_is_not_missing_any_more(tmp_path, settings, jobs):
    store = CellStore(tmp_path / "cells.sqlite", settings)
    assert plain(store.missing(jobs)) == plain(jobs) and list(store.cells(jobs)) == []
    store.add(jobs[0], cells_of(jobs[0])[:2])
    missing = store.missing(jobs)
    assert [job.schemes for job in missing] == [jobs[0].schemes[2:], *(job.schemes for job in jobs[1:])]
    store.add(missing[0], cells_of(missing[0]))
    store.close()
    again = CellStore(tmp_path / "cells.sqlite", settings)
    assert plain(again.missing(jobs)) == plain(jobs[1:])
    assert [cell for _, cell in again.cells(jobs)] == cells_of(jobs[0])


def test_cells_of_other_settings_do_not_count(tmp_path, settings, jobs):
    CellStore(tmp_path / "cells.sqlite", settings).add(jobs[0], cells_of(jobs[0]))
    others = CellStore(tmp_path / "cells.sqlite", replace(settings, attempts=3))
    assert plain(others.missing(jobs)) == plain(jobs)


def test_the_first_of_two_equal_cells_stays(tmp_path, settings, jobs):
    store = CellStore(tmp_path / "cells.sqlite", settings)
    store.add(jobs[0], cells_of(jobs[0]))
    store.add(jobs[0], [Cell(name, {"per": 1.0}) for name in jobs[0].schemes])
    assert {cell.figures["per"] for _, cell in store.cells(jobs)} == {0.25}


def test_a_file_that_is_no_database_is_named(tmp_path, settings):
    (tmp_path / "cells.sqlite").write_text("these are not cells, and never were; " * 40)
    with pytest.raises(TokcomError, match=r"cells\.sqlite: what is kept there cannot be read or written"):
        CellStore(tmp_path / "cells.sqlite", settings)


def test_a_disk_that_refuses_is_an_error(tmp_path, settings, jobs):
    store = CellStore(tmp_path / "cells.sqlite", settings)
    store._table._database.execute("PRAGMA query_only = 1")
    with pytest.raises(TokcomError, match="cannot be read or written"):
        store.add(jobs[0], cells_of(jobs[0]))
    assert sqlite3.connect(tmp_path / "cells.sqlite").execute("SELECT count(*) FROM cells").fetchone() == (0,)
