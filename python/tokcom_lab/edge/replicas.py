"""Replicas of a model behind Ray Serve, of which one is killed under load."""

import threading
import time
from collections.abc import Callable
from functools import partial

import numpy as np

from tokcom.context.condition import NOTHING
from tokcom.frame import LOST
from tokcom.models.edge import load_priors
from tokcom.models.installed import model_card
from tokcom.models.zoo import load_context
from tokcom.offload import ray_service
from tokcom.offload.inference_prior import InferencePrior
from tokcom_lab.edge.load import questions
from tokcom_lab.edge.processes import free_port

REPLICA = "SERVE_REPLICA"
"""Beginning of the names of Ray's actors that are replicas."""


def replicas_row(
    model: str, local: str, replicas: int, clients: int, requests: int, deadline_s: float, seed: int = 0,
    progress: Callable[[int], None] = lambda done: None,
) -> dict:  # fmt: skip
    """Ask replicas about pictures without pause, and kill one of them after a third of the questions.

    Args:
        model: name or folder of the model.
        local: part of the model that answers on the device.
        replicas: number of processes.
        clients: number of devices that ask, one picture per question.
        requests: number of questions of all devices.
        deadline_s: deadline of each question.
        seed: seed of the pictures' tokens.
        progress: called with the number of questions answered since the last call.

    Returns:
        replicas, clients, questions, answered, by_edge, by_device, wrong (answers of the edge that are not the model's
        own), repeated (requests made again as their replica had gone), after_kill (answers of the edge after the kill),
        slowest_ms and deadline_ms.
    """
    prior, small = load_context(model, "cpu"), load_context(model, "cpu", local)
    asked = questions(prior, seed)
    expected = [prior.log_probabilities(each[None], (each == LOST)[None], [NOTHING]) for each in asked]
    name, address = model_card(model).name, f"http://127.0.0.1:{free_port()}"
    folders = {name: str(model_card(model).folder.resolve())}
    ray_service.start(partial(load_priors, folders, "cpu"), address, replicas)
    try:
        remotes = [
            InferencePrior(f"{address}/v2/models/{name}", small, deadline_s=deadline_s) for _ in range(clients)
        ]  # fmt: skip
        turn, delays, wrong, killed, late = threading.Lock(), [], [], threading.Event(), [0]

        def ask(client: int) -> None:
            remote = remotes[client]
            for number in range(client, requests, clients):
                place = number % len(asked)
                tokens, here = asked[place], remote.answered_here
                start = time.perf_counter()
                found = remote.log_probabilities(tokens[None], (tokens == LOST)[None], [NOTHING])
                taken, by_edge = time.perf_counter() - start, remote.answered_here == here
                with turn:
                    delays.append(taken)
                    if by_edge:
                        late[0] += killed.is_set()
                        wrong.append(not np.allclose(found, expected[place], atol=1e-3))
                    if len(delays) == requests // 3:
                        kill_one()
                        killed.set()
                progress(1)

        threads = [threading.Thread(target=ask, args=(client,)) for client in range(clients)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        for remote in remotes:
            remote.connection.close()
    finally:
        ray_service.stop()
    return {
        "replicas": replicas, "clients": clients, "questions": requests, "answered": len(delays),
        "by_edge": len(wrong), "by_device": sum(each.answered_here for each in remotes), "wrong": int(sum(wrong)),
        "repeated": sum(each.connection.counters.repeated for each in remotes), "after_kill": int(late[0]),
        "slowest_ms": 1000 * max(delays), "deadline_ms": 1000 * deadline_s,
    }  # fmt: skip


def kill_one() -> None:
    """Kill one of Ray's replicas, as a crash would."""
    import ray

    names = [each for each in ray.util.list_named_actors(all_namespaces=True) if each["name"].startswith(REPLICA)]
    ray.kill(ray.get_actor(**names[0]), no_restart=True)
