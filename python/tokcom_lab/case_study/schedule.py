"""Scheduling of a study's jobs over processes of this machine or of a Dask cluster."""

import logging
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from tokcom.errors import TokcomError
from tokcom.processors import usable_processors
from tokcom_lab.case_study.cells import Cell, Job, StudySettings, measure
from tokcom_lab.case_study.store import CellStore

if TYPE_CHECKING:
    from distributed import Client, Future
    from distributed.security import Security

SECONDS_TO_CONNECT = 20
TLS_FILES = {
    "tls_ca_file": "distributed.comm.tls.ca-file",
    "tls_client_cert": "distributed.comm.tls.client.cert",
    "tls_client_key": "distributed.comm.tls.client.key",
}


def run_jobs(
    settings: StudySettings, jobs: Sequence[Job], store: CellStore, *, scheduler: str | None = None,
    workers: int | None = None, progress: Callable[[int], None] = lambda done: None,
) -> None:  # fmt: skip
    """Compute the jobs that the store lacks; every finished job is stored immediately.

    A job whose process dies is given to another process.

    Args:
        settings: settings of the study.
        jobs: all jobs.
        store: store of the cells.
        scheduler: address of a Dask scheduler, whose workers have this package, the model and the weights installed;
            `tls://HOST:PORT` with the certificates of Dask's configuration (`distributed.comm.tls`); None for processes
            of this machine.
        workers: processes on this machine; None for one per processor.
        progress: called with the number of cells done since the last call, those found in the store first.

    Raises:
        TokcomError: the scheduler cannot be reached, or a job cannot be computed.
    """
    missing = store.missing(jobs)
    progress(sum(len(job.schemes) for job in jobs) - sum(len(job.schemes) for job in missing))
    if not missing:
        return
    from distributed import as_completed

    with _client(scheduler, min(workers or usable_processors(), len(missing))) as client:
        futures = client.map(partial(measure, settings), missing, pure=False)
        job_of = {future.key: job for future, job in zip(futures, missing, strict=True)}
        for future in as_completed(futures):
            job = job_of[future.key]
            cells = _result(future, job)
            store.add(job, cells)
            future.release()
            progress(len(cells))


def travels_in_clear(scheduler: str) -> bool:
    """True for an address from which code and cells cross a network unencrypted: not TLS, and not this machine."""
    parts = urlsplit(scheduler if "://" in scheduler else f"tcp://{scheduler}")
    host = parts.hostname or ""
    return parts.scheme != "tls" and not (host in ("localhost", "::1") or host.startswith("127."))


def _result(future: "Future", job: Job) -> list[Cell]:
    try:
        return future.result()
    except TokcomError:
        raise
    except ModuleNotFoundError as error:
        raise TokcomError(f"a worker of the cluster lacks {error.name}; install gr-tokcom there") from None
    except Exception as error:
        raise TokcomError(f"{job.image} at {job.esn0_db:g} dB could not be computed: {error}") from error


@contextmanager
def _client(scheduler: str | None, workers: int) -> Iterator["Client"]:
    import dask
    from distributed import Client, LocalCluster

    # Dask handles workers that come and go; what it cannot handle reaches the user as an error.
    logging.getLogger("distributed").setLevel(logging.CRITICAL)
    dask.config.set({"distributed.comm.timeouts.connect": SECONDS_TO_CONNECT})
    if scheduler is None:
        with (
            LocalCluster(
                n_workers=workers, threads_per_worker=1, processes=True, dashboard_address=None,
                silence_logs=logging.CRITICAL,
            ) as cluster,
            Client(cluster) as client,
        ):  # fmt: skip
            yield client
        return
    try:
        client = Client(scheduler, timeout=SECONDS_TO_CONNECT, security=_security(scheduler))
    except (OSError, TimeoutError, ValueError) as error:
        raise TokcomError(f"the Dask scheduler {scheduler} cannot be reached: {error}") from None
    with client:
        yield client


def _security(scheduler: str) -> "Security | None":
    if urlsplit(scheduler).scheme != "tls":
        return None
    from distributed.security import Security

    security = Security(require_encryption=True)
    absent = ", ".join(key for attribute, key in TLS_FILES.items() if not getattr(security, attribute))
    if absent:
        raise TokcomError(f"the Dask scheduler {scheduler} needs TLS, and Dask's configuration lacks {absent}")
    return security
