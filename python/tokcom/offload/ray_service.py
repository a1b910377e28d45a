"""Priors served by Ray Serve in several processes, on one machine or many, by the Open Inference Protocol.

Ray gives the work of a replica that has ended to the others, and starts it again.
"""

import asyncio
import json
import signal
import threading
from collections.abc import Callable, Mapping
from types import ModuleType
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from tokcom.context.prior import Prior
from tokcom.errors import MessageError, ParameterError, TransportError
from tokcom.offload.address import is_local
from tokcom.offload.open_inference import HEADER, MAX_BODY, answer, logits_of, metadata, read_infer

if TYPE_CHECKING:
    from starlette.requests import Request
    from starlette.responses import Response

APPLICATION = "tokcom"
ONGOING, MAX_WAITING = 4, 64
"""Requests that a replica holds, and that wait for any; Ray refuses others as busy."""
STORE_BYTES = 80 << 20
"""Memory of Ray's object store: requests and answers pass through it."""
Answered = tuple[int, bytes, dict[str, str]]
"""Status, body and headers of an HTTP answer."""


class Service:
    """A replica: it answers requests for some models, one at a time.

    Args:
        load: returns the prior of each model by the name that it is served by.
    """

    def __init__(self, load: Callable[[], Mapping[str, Prior]]):
        self._priors = dict(load())
        self._about = {name: metadata(name, prior) for name, prior in self._priors.items()}
        self._turn = asyncio.Lock()

    async def __call__(self, request: "Request") -> "Response":
        from starlette.responses import Response

        body = bytearray()
        async for part in request.stream():
            body += part
            if len(body) > MAX_BODY:
                return Response(_said(f"a request has at most {MAX_BODY} bytes"), 413)
        status, said, headers = await self.answered(
            request.method, request.url.path, bytes(body), request.headers.get(HEADER)
        )
        return Response(said, status, headers)

    async def answered(self, method: str, path: str, body: bytes, header: str | None) -> Answered:
        """Answer a request, of which `header` is the value of HEADER."""
        head, *rest = path.strip("/").split("/")
        if head != "v2":
            return _refused(404, f"no {path} here; models are at /v2/models/NAME")
        if method == "GET" and (not rest or rest in (["health", "live"], ["health", "ready"])):
            return _json({"name": APPLICATION, "version": "1", "extensions": ["binary_tensor_data"]})
        if rest[:1] != ["models"] or len(rest) < 2 or rest[1] not in self._priors:
            return _refused(404, f"no {path} here; there are models {', '.join(self._priors)}")
        name, rest = rest[1], rest[2:] if rest[2:3] != ["versions"] else rest[4:]
        if method == "GET" and rest in ([], ["ready"]):
            return _json(self._about[name])
        if method != "POST" or rest != ["infer"]:
            return _refused(404, f"no {path} here for {method}")
        prior = self._priors[name]
        try:
            tokens, conditions, binary = read_infer(body, header, prior)
        except MessageError as error:
            return _refused(400, str(error))
        async with self._turn:
            logits = await asyncio.to_thread(logits_of, prior, tokens, conditions)
        return 200, *answer(name, logits, binary)


def start(load: Callable[[], Mapping[str, Prior]], endpoint: str, replicas: int) -> None:
    """Start replicas, and serve at an address such as http://127.0.0.1:8000 until `stop`.

    With $RAY_ADDRESS, they run on that cluster; otherwise, Ray is started on this machine.

    Args:
        load: as for `Service`; every replica calls it.
        endpoint: the address.
        replicas: number of processes.

    Raises:
        TransportError: Ray is not installed or does not start, or the address is open to other machines.
        ParameterError: there are no replicas.
    """
    if replicas < 1:
        raise ParameterError(f"replicas is {replicas}; it must be at least 1")
    if not is_local(endpoint):
        raise TransportError(
            f"{endpoint} is open to other machines, and Ray asks nobody for a key: serve at 127.0.0.1, behind a proxy "
            "that does"
        )
    host, port = _host_and_port(endpoint)
    ray, serve = _ray()
    before = signal.getsignal(signal.SIGTERM)
    try:
        if not ray.is_initialized():
            ray.init(
                include_dashboard=False, object_store_memory=STORE_BYTES, log_to_driver=False, logging_level="error",
                configure_logging=False,
            )  # fmt: skip
        serve.start(http_options={"host": host, "port": port})
        deployed = serve.deployment(
            Service, name=APPLICATION, num_replicas=replicas, ray_actor_options={"num_cpus": 0},
            max_ongoing_requests=ONGOING, max_queued_requests=MAX_WAITING, health_check_period_s=1.0,
        )  # fmt: skip
        serve.run(deployed.bind(load), name=APPLICATION, route_prefix="/")
    except Exception as error:  # whatever Ray raises of a machine without room, or of replicas that do not start
        stop()
        raise TransportError(f"Ray does not serve: {str(error)[:500]}") from error
    except BaseException:
        stop()
        raise
    finally:
        if threading.current_thread() is threading.main_thread():
            signal.signal(signal.SIGTERM, before)  # Ray puts a handler of its own there


def stop() -> None:
    """End the replicas, and Ray if it was started here."""
    ray, serve = _ray()
    if ray.is_initialized():
        serve.shutdown()
    ray.shutdown()


def _ray() -> tuple[ModuleType, ModuleType]:
    try:
        import ray
        from ray import serve
    except ImportError as error:
        raise TransportError(f"replicas need Ray ({error}): pip install tokcom[replicas]") from None
    return ray, serve


def _host_and_port(endpoint: str) -> tuple[str, int]:
    parts = urlsplit(endpoint)
    if parts.scheme != "http" or not parts.port:
        raise TransportError(f"{endpoint!r} is no address of Ray's; write http://127.0.0.1:8000")
    return parts.hostname, parts.port


def _json(content: dict) -> Answered:
    return 200, json.dumps(content).encode(), {"Content-Type": "application/json"}


def _refused(status: int, why: str) -> Answered:
    return status, _said(why), {"Content-Type": "application/json"}


def _said(why: str) -> bytes:
    return json.dumps({"error": why}).encode()
