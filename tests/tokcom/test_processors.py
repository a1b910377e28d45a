import os
import subprocess
import sys

import pytest

from tokcom.processors import usable_processors


def test_they_are_those_that_this_process_may_use(monkeypatch):
    assert usable_processors() == len(os.sched_getaffinity(0))
    monkeypatch.setattr(os, "sched_getaffinity", lambda process: {3, 5})
    assert usable_processors() == 2


def test_where_the_system_does_not_say_they_are_all(monkeypatch):
    monkeypatch.delattr(os, "sched_getaffinity")
    assert usable_processors() == os.cpu_count()
    monkeypatch.setattr(os, "cpu_count", lambda: None)
    assert usable_processors() == 1


@pytest.mark.parametrize(
    ("imports", "given", "policy"),
    [
        ("tokcom, torch", {}, "PASSIVE"),
        ("tokcom, torch", {"OMP_WAIT_POLICY": "ACTIVE"}, "ACTIVE"),
        ("torch, tokcom", {}, None),
    ],
)
def test_threads_that_wait_sleep_unless_the_user_says_otherwise(imports, given, policy):
    """As PyTorch's OpenMP reports when it is loaded."""
    kept = {key: value for key, value in os.environ.items() if not key.startswith(("OMP_", "GOMP_"))}
    code = f"import os, {imports}; print(os.environ.get('OMP_WAIT_POLICY'))"
    done = subprocess.run(
        [sys.executable, "-c", code], env=kept | given | {"OMP_DISPLAY_ENV": "TRUE"}, capture_output=True, text=True,
        check=True,
    )  # fmt: skip
    assert done.stdout.strip() == str(policy)
    reported = [line for line in done.stderr.splitlines() if "OMP_WAIT_POLICY" in line]
    assert reported and (policy is None or all(policy in line for line in reported)), done.stderr


@pytest.mark.parametrize("given", [None, "2"])
def test_linear_algebra_runs_where_it_is_called_unless_the_user_says_otherwise(given):
    """A thread more for each processor more that OpenBLAS takes, from its import on."""
    kept = {key: value for key, value in os.environ.items() if not key.endswith("_NUM_THREADS")}
    threads = "len(os.listdir('/proc/self/task'))"
    code = (
        f"import os, numpy; before = {threads}; import tokcom.phy.fading; "
        f"print({threads} - before, os.environ.get('OPENBLAS_NUM_THREADS'))"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], env=kept | ({"OPENBLAS_NUM_THREADS": given} if given else {}),
        capture_output=True, text=True, check=True,
    )  # fmt: skip
    more, left = done.stdout.split()
    assert left == str(given)
    if given is None:
        assert int(more) == 0
