import os
import signal

import dask
import pytest
from distributed import LocalCluster
from distributed.security import Security

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


@pytest.mark.parametrize(
    ("address", "clear"),
    [
        ("tls://10.0.0.7:8786", False), ("tcp://127.0.0.1:8786", False), ("tcp://localhost:8786", False),
        ("tcp://[::1]:8786", False), ("tcp://10.0.0.7:8786", True), ("cluster.example:8786", True),
    ],
)  # fmt: skip
def test_an_address_that_is_not_encrypted_is_told_from_the_others(address, clear):
    assert schedule.travels_in_clear(address) == clear


def test_a_cluster_over_tls_computes_the_same_cells(tmp_path, settings, jobs, steady):
    security = Security.temporary()
    files = {}
    for key, content in security.get_tls_config_for_role("client").items():
        if key in ("ca_file", "cert", "key"):
            files[key] = tmp_path / f"{key}.pem"
            files[key].write_text(content)
    known = {"ca-file": str(files["ca_file"]), "client.cert": str(files["cert"]), "client.key": str(files["key"])}
    store = CellStore(tmp_path / "cells.sqlite", settings)
    with (
        LocalCluster(
            n_workers=1, threads_per_worker=1, processes=False, dashboard_address=None, silence_logs=50,
            security=security, protocol="tls://", host="127.0.0.1",
        ) as cluster,
        dask.config.set({f"distributed.comm.tls.{key}": path for key, path in known.items()}),
    ):  # fmt: skip
        schedule.run_jobs(settings, jobs[:1], store, scheduler=cluster.scheduler_address)
    assert steady(cell for _, cell in store.cells(jobs[:1])) == steady(measure(settings, jobs[0]))


def test_tls_without_certificates_says_which_are_missing(tmp_path, settings, jobs):
    store = CellStore(tmp_path / "cells.sqlite", settings)
    with pytest.raises(
        TokcomError, match=r"lacks distributed\.comm\.tls\.ca-file, distributed\.comm\.tls\.client\.cert"
    ):
        schedule.run_jobs(settings, jobs[:1], store, scheduler="tls://127.0.0.1:9")
