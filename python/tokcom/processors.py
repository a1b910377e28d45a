"""Processors that this process may use, and settings for sharing them."""

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager


def usable_processors() -> int:
    """Count the processors that this process may run on, at least 1; in a container, those assigned to it."""
    if hasattr(os, "sched_getaffinity"):  # not on macOS and Windows
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def wait_asleep() -> None:
    """Let PyTorch's threads sleep while they wait for each other, instead of spinning.

    The search for tokens is thousands of small operations, after each of which all threads synchronise. If a flowgraph
    or another program occupies one of the processors, spinning threads keep the last one from running: with one of two
    cores busy, searches took 11 to 30 times as long. PyTorch reads this setting when it is loaded; if it has been
    loaded before, or OMP_WAIT_POLICY is set, nothing changes.
    """
    if "torch" not in sys.modules:
        os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")


@contextmanager
def blas_on_one_processor() -> Iterator[None]:
    """Restrict the linear algebra (OpenBLAS) imported in this context to one processor.

    Its threads spin while they wait for each other. For matrices of a few hundred rows that gains little if all
    processors are free; on two that were busy, an estimate of a channel that moves took 80 times as long. Libraries
    imported before are not affected, and nothing changes if OPENBLAS_NUM_THREADS is set.
    """
    name = "OPENBLAS_NUM_THREADS"
    given = os.environ.get(name)
    os.environ.setdefault(name, "1")
    try:
        yield
    finally:
        if given is None:
            del os.environ[name]
