"""Addresses of edge servers, and the keys of their connections (CURVE, the elliptic curve security of ZeroMQ)."""

import re
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import SplitResult, parse_qs, urlsplit

from tokcom.errors import KeyFileError, TransportError
from tokcom.security.agreement import PUBLIC_WORDS, PrivateKey, load_private_key, public_of

EXAMPLE = (
    "tcp://127.0.0.1:5570, tcp://HOST:PORT?own=PRIVATE_KEY_FILE&server=PUBLIC_KEY&deadline=0.25&asks=2, or "
    "http://HOST:PORT/v2/models/NAME"
)
HTTP = ("http", "https")
"""Schemes of servers of the Open Inference Protocol."""
_MODEL_PATH = re.compile(r"/v2/models/[A-Za-z0-9._@-]+(/versions/[A-Za-z0-9._-]+)?")
_KEYS = {"own", "server"}
_LIMITS = {"deadline": (0.001, 600.0), "asks": (0.0, 1e6)}
DEADLINE_S = 0.25
"""Seconds from a question to its answer, unless an address tells."""


@dataclass(frozen=True)
class EdgeAddress:
    """Address of an edge server, and what a device needs to talk to it.

    Attributes:
        endpoint: ZeroMQ endpoint, such as tcp://127.0.0.1:5570; or a model of a server of the Open Inference Protocol,
            such as http://127.0.0.1:8000/v2/models/caltech64.
        own: the device's private key; None for a connection without encryption.
        server: the server's public key, 32 bytes, with `own`.
        deadline_s: seconds from a question to its answer.
        asks_per_s: largest mean number of frames per second about which the server is asked: the power that a device
            may spend on it, divided by the energy of one; None for no limit.
    """

    endpoint: str
    own: PrivateKey | None = None
    server: bytes | None = None
    deadline_s: float = DEADLINE_S
    asks_per_s: float | None = None

    @property
    def parts(self) -> SplitResult:
        """Scheme, host, port and path of the endpoint."""
        return urlsplit(self.endpoint)

    @property
    def is_http(self) -> bool:
        """Whether it is of a server of the Open Inference Protocol."""
        return self.parts.scheme in HTTP

    @classmethod
    def of(cls, text: str) -> "EdgeAddress":
        """Read an address: an endpoint, and after "?" what else there is to say of it.

        `own`, a file that `tokcom keys new --private` wrote, and `server`, the server's public key or a file that holds
        it, encrypt the connection; `deadline` is in seconds; `asks` is in frames per second.

        Raises:
            TransportError: it is no address.
            KeyFileError: a key cannot be read.
        """
        endpoint, _, query = text.partition("?")
        try:
            parts = urlsplit(endpoint)
            if parts.scheme in HTTP:
                valid = bool(parts.hostname and parts.port != 0 and _MODEL_PATH.fullmatch(parts.path))
            else:
                valid = parts.scheme in ("tcp", "ipc", "inproc") and (parts.scheme != "tcp" or parts.port)
            asked = parse_qs(query, strict_parsing=True, max_num_fields=4) if query else {}
        except ValueError:
            valid, asked = False, {}
        if not valid or not set(asked) <= _KEYS | set(_LIMITS):
            raise TransportError(f"{text!r} is not the address of an edge server; write {EXAMPLE}")
        given = {name: values[0] for name, values in asked.items()}
        numbers = {name: _number(text, name, given[name]) for name in _LIMITS if name in given}
        if _KEYS & set(given) and parts.scheme in HTTP:
            raise TransportError(f"{text!r}: own= and server= go with tcp://; over HTTP, use https://")
        if _KEYS & set(given) and not set(given) >= _KEYS:
            raise TransportError(f"{text!r}: an encrypted connection takes both own= and server=; write {EXAMPLE}")
        keys = (load_private_key(given["own"]), public_key(given["server"])) if "own" in given else (None, None)
        return cls(endpoint, *keys, numbers.get("deadline", DEADLINE_S), numbers.get("asks"))


def _number(text: str, name: str, value: str) -> float:
    low, high = _LIMITS[name]
    try:
        number = float(value)
    except ValueError:
        number = float("nan")
    if not low <= number <= high:
        raise TransportError(f"{text!r}: {name} is {value!r}; it must be {low:g} to {high:g}")
    return number


def public_key(text: str) -> bytes:
    """Read a public key, given as text or as a file that holds it.

    Raises:
        KeyFileError: it is neither.
    """
    if not text.startswith(PUBLIC_WORDS):
        try:
            text = Path(text).read_text(encoding="ascii")[:200]
        except (OSError, UnicodeDecodeError):
            raise KeyFileError(f"{text} is neither a public key nor a file that holds one") from None
    return public_of(text)


def is_local(endpoint: str) -> bool:
    """Whether only programs on this machine reach an endpoint."""
    parts = urlsplit(endpoint)
    return parts.scheme in ("ipc", "inproc") or parts.hostname in ("127.0.0.1", "localhost", "::1")


def zmq_module() -> object:
    """Import pyzmq.

    Raises:
        TransportError: it is not installed.
    """
    try:
        import zmq
    except ImportError:
        raise TransportError("edge servers need the Python package pyzmq: pip install pyzmq") from None
    return zmq


def use_keys(socket: object, own: PrivateKey, server: bytes | None = None) -> None:
    """Encrypt a socket's connections; the keys are those of X25519, as in files of `tokcom keys`.

    Args:
        socket: ZeroMQ socket that is not yet bound or connected.
        own: private key of this end.
        server: the server's public key; None if this end is the server.
    """
    from zmq.utils import z85

    socket.curve_secretkey, socket.curve_publickey = z85.encode(own.secret), z85.encode(own.public)
    if server is None:
        socket.curve_server = True
    else:
        socket.curve_serverkey = z85.encode(server)
