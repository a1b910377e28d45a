"""Servers in processes of their own, for measurements: `tokcom serve`, and a plain HTTP server of the same model."""

import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager

from tokcom.errors import TokcomError, TransportError
from tokcom.offload.connection import EdgeConnection

START_S = 120.0
"""Seconds for a server to load its model."""


def free_port() -> int:
    """Find a TCP port of this machine that nobody uses at present."""
    with closing(socket.socket()) as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


@contextmanager
def edge_server(model: str, *options: str) -> Iterator[tuple[str, subprocess.Popen]]:
    """Run `tokcom serve` of a model on the loopback; yield its address and its process.

    Raises:
        TokcomError: it does not start.
    """
    address = f"tcp://127.0.0.1:{free_port()}"
    command = ["-m", "tokcom.cli", "serve", "--models", model, "--address", address, "--device", "cpu", *options]
    with _running(command) as process:
        connection = EdgeConnection(address, deadline_s=1.0)
        try:
            _wait(process, lambda: _answers(connection))
        finally:
            connection.close()
        yield address, process


@contextmanager
def http_server(model: str) -> Iterator[tuple[str, int]]:
    """Run the plain HTTP server of `http_rival` on the loopback; yield host and port.

    Raises:
        TokcomError: it does not start.
    """
    port = free_port()
    with _running(["-m", "tokcom_lab.edge.http_rival", model, str(port)]) as process:
        _wait(process, lambda: _accepts(port))
        yield "127.0.0.1", port


@contextmanager
def _running(command: list[str]) -> Iterator[subprocess.Popen]:
    process = subprocess.Popen([sys.executable, *command], stderr=subprocess.DEVNULL, stdout=subprocess.DEVNULL)
    try:
        yield process
    finally:
        process.terminate()
        try:
            process.wait(10)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def _wait(process: subprocess.Popen, ready) -> None:
    until = time.monotonic() + START_S
    while not ready():
        if process.poll() is not None or time.monotonic() > until:
            raise TokcomError(f"a server for the measurement has not started: {' '.join(map(str, process.args))}")
        time.sleep(0.2)


def _answers(connection: EdgeConnection) -> bool:
    try:
        return bool(connection.models())
    except TransportError:
        return False


def _accepts(port: int) -> bool:
    with closing(socket.socket()) as probe:
        probe.settimeout(1)
        return probe.connect_ex(("127.0.0.1", port)) == 0
