"""Processes end with the program that started them: a pipe that they all hold ends with the last of them."""

import os
import signal
import subprocess
import sys

import pytest

from tokcom_lab.workers import workers

BEGIN = """
import os, signal, subprocess, sys
from tokcom.interruption import end_in_order
from tokcom_lab.workers import workers
signal.signal(signal.SIGINT, signal.default_int_handler)  # where tests run in the background, it is ignored
end_in_order()
"""
POOL = """
with workers(1) as pool:
    print(pool.submit(os.getpid).result(), flush=True)
    pool.submit(signal.pause).result()
"""
PROGRAM = """
subprocess.run([sys.executable, "-c", "import os, signal; print(os.getpid(), flush=True); signal.pause()"])
"""


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT], ids=["SIGTERM", "Ctrl-C"])
@pytest.mark.parametrize("work", [POOL, PROGRAM], ids=["pool", "program"])
def test_children_end_with_their_parent(work, number):
    command = [sys.executable, "-c", BEGIN + work]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True) as parent:
        try:
            assert int(parent.stdout.readline()) != parent.pid
            parent.send_signal(number)
            assert parent.communicate(timeout=120)[0] == ""
        finally:
            parent.kill()
    assert parent.returncode == (128 + signal.SIGTERM if number == signal.SIGTERM else -signal.SIGINT)


@pytest.mark.parametrize("start", ["spawn", None])
def test_an_error_ends_workers_whatever_they_do(start):
    with pytest.raises(ZeroDivisionError), workers(1, start=start) as pool:
        child = pool.submit(os.getpid).result()
        pool.submit(signal.pause)
        divmod(1, 0)
    with pytest.raises(ProcessLookupError):
        os.kill(child, 0)


def test_workers_are_prepared_and_return_results():
    with workers(1, sys.setrecursionlimit, 1234) as pool:
        assert pool.submit(sys.getrecursionlimit).result() == 1234
