"""A device's connection to a server of the Open Inference Protocol (KServe V2), such as Triton or Ray Serve."""

import json
import math
import time
from collections.abc import Callable
from http.client import HTTPConnection, HTTPException, HTTPSConnection
from types import ModuleType

import numpy as np

from tokcom.errors import TransportError
from tokcom.offload.address import EdgeAddress
from tokcom.offload.attempts import Failure, ServerConnection
from tokcom.offload.messages import LARGEST
from tokcom.offload.open_inference import HEADER, LABEL, LOGITS, TOKENS
from tokcom.offload.wire import MAX_MESSAGE

GONE = (500, 502, 503, 504)
"""Status of answers when what serves a request has ended; another replica may answer."""
PAUSE_S = 0.05
"""Seconds before a request is made again."""


class InferenceConnection(ServerConnection):
    """Connection to one model of a server; usable from several threads, one request at a time.

    A request whose replica has gone is made again until the deadline.

    Args:
        address: address of the model, such as http://HOST:8000/v2/models/NAME.
        deadline_s: seconds from a request to its answer, 0.001 to 600; None for the address's.
        told: called with a sentence when the server fails, and when it answers again.

    Raises:
        TransportError: the address is invalid, or tritonclient is missing.
        ParameterError: the deadline is out of its range.
    """

    def __init__(
        self, address: str | EdgeAddress, deadline_s: float | None = None,
        told: Callable[[str], None] = lambda said: None,
    ):  # fmt: skip
        self.address = EdgeAddress.of(address) if isinstance(address, str) else address
        super().__init__(self.address.endpoint, self.address.deadline_s if deadline_s is None else deadline_s, told)
        self._triton, parts = _triton_client(), self.address.parts
        self._kind = HTTPSConnection if parts.scheme == "https" else HTTPConnection
        self._host, self._path = parts.netloc, parts.path
        self._http: HTTPConnection | None = None
        self._several: bool | None = None

    def logits(self, tokens: np.ndarray, labels: np.ndarray, words: int) -> np.ndarray:
        """Ask for logits.

        Args:
            tokens: int (frames, places), `words` where unknown.
            labels: int (frames,).
            words: words of the codebook.

        Returns:
            float32 (frames, places, words).

        Raises:
            TransportError: the server rests, or has failed just now.
        """
        return self.attempt(1, lambda until: [self._logits(tokens, labels, words, until)])[0]

    def close(self) -> None:
        """Close the connection."""
        with self._turn:
            self._drop()

    def _heard(self) -> bool:
        return True  # the next request tells

    def _logits(self, tokens: np.ndarray, labels: np.ndarray, words: int, until: float) -> np.ndarray:
        if self._several is None:
            self._several = self._takes_several(tokens.shape[1], words, until)
        step = max(1, LARGEST // (4 * tokens.shape[1] * words)) if self._several else 1
        return np.concatenate([
            self._part(tokens[start : start + step], labels[start : start + step], words, until)
            for start in range(0, len(tokens), step)
        ])  # fmt: skip

    def _takes_several(self, places: int, words: int, until: float) -> bool:
        """Read what the server says of the model: whether a request may hold several frames."""
        body, _ = self._asked("GET", "", None, {}, until)
        try:
            found = json.loads(body)
            shapes = {each["name"]: list(each["shape"]) for each in [*found["inputs"], *found["outputs"]]}
            if shapes[TOKENS][1:] != [places] or shapes[LOGITS][1:] != [places, words]:
                raise ValueError(f"its model takes tokens {shapes[TOKENS]} and gives logits {shapes[LOGITS]}")
            return shapes[TOKENS][0] == -1
        except (KeyError, TypeError, ValueError, RecursionError) as error:
            raise Failure("lies", f"does not serve the model of {places} tokens of {words} words: {error}") from None

    def _part(self, tokens: np.ndarray, labels: np.ndarray, words: int, until: float) -> np.ndarray:
        triton = self._triton
        inputs = []
        for name, values in ((TOKENS, tokens), (LABEL, labels)):
            inputs.append(triton.InferInput(name, list(values.shape), "INT64"))
            inputs[-1].set_data_from_numpy(np.ascontiguousarray(values, np.int64))
        outputs = [triton.InferRequestedOutput(LOGITS, binary_data=True)]
        body, length = triton.InferenceServerClient.generate_request_body(inputs, outputs=outputs)
        headers = {"Content-Type": "application/octet-stream"} | ({} if length is None else {HEADER: str(length)})
        answer, told = self._asked("POST", "/infer", body, headers, until)
        try:
            header_length = None if told is None else int(told)
            found = triton.InferenceServerClient.parse_response_body(answer, header_length=header_length)
            logits = np.asarray(found.as_numpy(LOGITS), np.float32)
        except Exception as error:  # whatever the library raises of a malformed answer
            raise Failure("lies", f"gives an invalid answer: {error!r}"[:300]) from None
        if logits.shape != (*tokens.shape, words) or not np.isfinite(logits).all():
            raise Failure("lies", f"gives {logits.shape} logits, not {(*tokens.shape, words)}, or some are not finite")
        return logits

    def _asked(
        self, method: str, path: str, body: bytes | None, headers: dict[str, str], until: float
    ) -> tuple[bytes, str | None]:  # fmt: skip
        """Make a request, again if its replica has gone; return the answer and its HEADER."""
        while True:
            try:
                status, answer, told = self._once(method, path, body, headers, until)
            except ConnectionRefusedError:
                status, answer, told = 503, b"cannot be reached", None
            except TimeoutError:
                self._drop()
                raise Failure("late", f"does not answer within {self.deadline_s:g} s") from None
            except (OSError, HTTPException) as error:
                status, answer, told = 503, str(error).encode(), None
            if status == 200:
                return answer, told
            self._drop()
            if status not in GONE:
                raise Failure("refused", f"refuses ({status}): {answer[:200].decode(errors='replace')}")
            if time.monotonic() + PAUSE_S >= until:
                raise Failure("unreachable", f"has nobody to answer: {answer[:200].decode(errors='replace')}")
            self.counters.repeated += 1
            time.sleep(PAUSE_S)

    def _once(
        self, method: str, path: str, body: bytes | None, headers: dict[str, str], until: float
    ) -> tuple[int, bytes, str | None]:  # fmt: skip
        """Make a request; return status, body and HEADER of the answer. Raises OSError or HTTPException."""
        if self._http is None:
            self._http = self._kind(self._host, timeout=_left(until))
            self._http.connect()
        http, sock = self._http, self._http.sock
        sock.settimeout(_left(until))
        http.request(method, self._path + path, body, headers)
        self.counters.bytes_sent += len(body or b"")
        sock.settimeout(_left(until))
        response, parts, size = http.getresponse(), [], 0
        while part := response.read1(1 << 16):
            size += len(part)
            if size > MAX_MESSAGE:
                raise Failure("lies", f"sends more than {MAX_MESSAGE} bytes")
            parts.append(part)
            sock.settimeout(_left(until))  # a server that sends a byte at a time is late, too
        response.close()
        self.counters.bytes_received += size
        return response.status, b"".join(parts), response.headers.get(HEADER)

    def _drop(self) -> None:
        if self._http is not None:
            self._http.close()
        self._http = None


def _left(until: float) -> float:
    """Return the seconds until a time; raises TimeoutError if it has passed."""
    left = until - time.monotonic()
    if not math.isfinite(left) or left <= 0:
        raise TimeoutError
    return left


def _triton_client() -> ModuleType:
    try:
        import tritonclient.http as client
    except ImportError as error:
        raise TransportError(
            f"servers of the Open Inference Protocol need the Python package tritonclient ({error}): pip install "
            "tokcom[inference]"
        ) from None
    return client
