import os
import signal

import pytest
from distributed import LocalCluster

from tokcom.errors import TokcomError
from tokcom_lab.case_study import schedule
from tokcom_lab.case_study.cells import measure
from tokcom_lab.case_study.store import CellStore


def test_a_cluster_that_loses_a_worker_computes_the_same_cells(tmp_path, settings, jobs, steady):
    expected = [steady(measure(settings, job)) for job in jobs]
    store, killed = CellStore(tmp_path / "cells.sqlite", settings), []

    with LocalCluster(
        n_workers=2, threads_per_worker=1, processes=True, dashboard_address=None, silence_logs=50
    ) as cluster:

        def kill_one(done):
            if done and not killed:
                killed.append(next(iter(cluster.workers.values())).pid)
                os.kill(killed[0], signal.SIGKILL)

        schedule.run_jobs(settings, jobs, store, scheduler=cluster.scheduler_address, progress=kill_one)
    assert killed and store.missing(jobs) == []
    found = [steady(cell for own, cell in store.cells([job])) for job in jobs]
    assert found == expected


def test_processes_of_this_machine_compute_what_is_missing_alone(tmp_path, settings, jobs, steady, monkeypatch):
    store, done = CellStore(tmp_path / "cells.sqlite", settings), []
    store.add(jobs[0], measure(settings, jobs[0]))
    schedule.run_jobs(settings, jobs[:2], store, workers=1, progress=done.append)
    n = len(jobs[0].schemes)
    assert done == [n, n]
    assert steady(cell for _, cell in store.cells(jobs[1:2])) == steady(measure(settings, jobs[1]))
    monkeypatch.setattr(schedule, "_client", lambda *_: pytest.fail("nothing was missing"))
    schedule.run_jobs(settings, jobs[:2], store)


def test_a_scheduler_that_is_not_there_is_named(tmp_path, settings, jobs, monkeypatch):
    monkeypatch.setattr(schedule, "SECONDS_TO_CONNECT", 0.5)
    store = CellStore(tmp_path / "cells.sqlite", settings)
    with pytest.raises(TokcomError, match=r"the Dask scheduler tcp://127\.0\.0\.1:9 cannot be reached"):
        schedule.run_jobs(settings, jobs, store, scheduler="tcp://127.0.0.1:9")
