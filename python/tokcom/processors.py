"""The processors that this process may use, and how it shares them."""

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager


def usable_processors() -> int:
    """Processors that this process may run on, at least 1: of a container, those it was given."""
    if hasattr(os, "sched_getaffinity"):  # not on macOS and Windows
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def wait_asleep() -> None:
    """Let PyTorch's threads sleep while they wait for each other, instead of spinning.

    The search for tokens is thousands of small operations, and after each of them all threads meet. Where a flowgraph
    or another program has one of the processors, those that spin keep the last one from running: beside one busy core
    of two, searches took 11 to 30 times as long. PyTorch reads this setting when it is loaded; where that was before,
    or OMP_WAIT_POLICY is set, nothing changes.
    """
    if "torch" not in sys.modules:
        os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")


@contextmanager
def blas_on_one_processor() -> Iterator[None]:
    """Let the linear algebra (OpenBLAS) that is imported meanwhile run on one processor.

    Its threads spin while they wait for each other. For matrices of a few hundred rows that gains little where all
    processors are free; on two that were busy, an estimate of a channel that moves took 80 times as long. What was
    imported before stays as it is, and so does everything where OPENBLAS_NUM_THREADS is set.
    """
    name = "OPENBLAS_NUM_THREADS"
    given = os.environ.get(name)
    os.environ.setdefault(name, "1")
    try:
        yield
    finally:
        if given is None:
            del os.environ[name]
