"""Latency and throughput of an edge server under load, beside a plain HTTP server of the same model; and a server that
is killed while devices ask it."""

import threading
import time
from collections.abc import Callable, Sequence

import numpy as np

from tokcom.context.condition import NOTHING
from tokcom.context.prior import Prior
from tokcom.frame import LOST
from tokcom.models.zoo import load_context
from tokcom.offload.remote_prior import RemotePrior
from tokcom_lab.edge.http_rival import HttpPrior
from tokcom_lab.edge.processes import edge_server, http_server

LOST_SHARE = 0.3
"""Share of a frame's tokens that a question asks for."""
PATIENCE_S = 300.0
"""Deadline under load, long enough that no request is given up: latencies of all are wanted."""

Ask = Callable[[np.ndarray], np.ndarray]
"""Asks about the LOST tokens, int32 (n,), of one frame."""


def load_rows(
    model: str, clients: Sequence[int], requests: int, seed: int = 0,
    progress: Callable[[int], None] = lambda done: None,
) -> list[dict]:  # fmt: skip
    """Measure both servers with numbers of clients that ask without pause, one picture per question.

    Args:
        model: name or folder of the model.
        clients: numbers of clients.
        requests: questions in total per number of clients.
        seed: seed of the pictures' tokens.
        progress: called with the number of questions answered since the last call.

    Returns:
        Rows of server, clients, p50_ms, p99_ms, pictures_per_s, wrong (answers that differ from the model's own).
    """
    prior = load_context(model, "cpu")
    asked = questions(prior, seed)
    expected = [prior.log_probabilities(each[None], (each == LOST)[None], [NOTHING]) for each in asked]
    rows = []
    with edge_server(model, "--queue", "4096") as (address, _), http_server(model) as (host, port):

        def edge() -> tuple[Ask, Callable[[], None]]:
            remote = RemotePrior(address, like=prior, deadline_s=PATIENCE_S)
            return lambda tokens: remote.log_probabilities(
                tokens[None], (tokens == LOST)[None], [NOTHING]
            ), remote.connection.close

        def http() -> tuple[Ask, Callable[[], None]]:
            client = HttpPrior(host, port, prior.codebook_size)
            return client.ask, client.close

        for count in clients:
            for name, make in (("tokcom serve", edge), ("plain HTTP", http)):
                rows.append({"server": name, "clients": count} | _measured(
                    make, count, requests, asked, expected, progress
                ))  # fmt: skip
    return rows


def killed_row(
    model: str, local: str, deadline_s: float, requests: int, seed: int = 0,
    progress: Callable[[int], None] = lambda done: None,
) -> dict:  # fmt: skip
    """Kill a server in the middle of a device's questions.

    Args:
        model: name or folder of the model.
        local: part of the model that answers on the device.
        deadline_s: deadline of each question.
        requests: number of questions.
        seed: seed of the pictures' tokens.
        progress: called with the number of questions answered since the last call.

    Returns:
        deadline_ms, questions, answered, by_edge, by_device, slowest_ms after the kill and slowest_beyond_deadline_ms,
        local_ms (median time of the device's own prior in the same run).
    """
    prior = load_context(model, "cpu", local)
    asked = questions(prior, seed)
    # What a process computes first takes longer.
    own = [_timed(lambda q=q: prior.log_probabilities(q[None], (q == LOST)[None], [NOTHING])) for q in asked[:20]]
    with edge_server(model) as (address, process):
        remote = RemotePrior(address, prior, deadline_s=deadline_s)
        delays, answered = [], 0
        for number in range(requests):
            tokens = asked[number % len(asked)]
            if number == requests // 2:
                process.kill()
                process.wait()
                by_edge = answered - remote.answered_here
            start = time.perf_counter()
            found = remote.log_probabilities(tokens[None], (tokens == LOST)[None], [NOTHING])
            delays.append(time.perf_counter() - start)
            answered += len(found) == (tokens == LOST).sum()
            progress(1)
        remote.connection.close()
    slowest = 1000 * max(delays[requests // 2 :])
    return {
        "deadline_ms": 1000 * deadline_s, "questions": requests, "answered": int(answered), "by_edge": int(by_edge),
        "by_device": int(remote.answered_here), "slowest_ms": slowest,
        "slowest_beyond_deadline_ms": slowest - 1000 * deadline_s, "local_ms": 1000 * float(np.median(own[1:])),
    }  # fmt: skip


def questions(prior: Prior, seed: int, count: int = 16) -> list[np.ndarray]:
    """Draw random tokens of frames, of which a share is LOST."""
    rng, places = np.random.default_rng(seed), int(np.prod(prior.grid))
    made = []
    for _ in range(count):
        tokens = rng.integers(0, prior.codebook_size, places).astype(np.int32)
        tokens[rng.permutation(places)[: round(LOST_SHARE * places)]] = LOST
        made.append(tokens)
    return made


def _measured(
    make: Callable[[], tuple[Ask, Callable[[], None]]], clients: int, requests: int, asked: list[np.ndarray],
    expected: list[np.ndarray], progress: Callable[[int], None],
) -> dict:  # fmt: skip
    delays, wrong, ready = [], [], threading.Barrier(clients + 1)

    def client(first: int) -> None:
        ask, close = make()
        ask(asked[0])  # connections stand
        ready.wait()
        for number in range(first, requests, clients):
            place = number % len(asked)
            start = time.perf_counter()
            found = ask(asked[place])
            delays.append(time.perf_counter() - start)
            # Threads of another number may add in another order.
            wrong.append(not np.allclose(found, expected[place], atol=1e-3))
            progress(1)
        close()

    threads = [threading.Thread(target=client, args=(first,)) for first in range(clients)]
    for thread in threads:
        thread.start()
    ready.wait()
    start = time.perf_counter()
    for thread in threads:
        thread.join()
    seconds = time.perf_counter() - start
    p50, p99 = np.percentile(delays, [50, 99]) * 1000
    return {
        "p50_ms": float(p50), "p99_ms": float(p99), "pictures_per_s": len(delays) / seconds, "answered": len(delays),
        "wrong": int(np.sum(wrong)),
    }  # fmt: skip


def _timed(work: Callable[[], object]) -> float:
    start = time.perf_counter()
    work()
    return time.perf_counter() - start
