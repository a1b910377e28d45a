"""A plain HTTP server of a model's context, one thread per connection: the rival of `tokcom serve` in measurements.

A request is the tokens of one frame, int32; the answer is the log-probabilities of its LOST ones, float32.
"""

import sys
from http.client import HTTPConnection
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import numpy as np

from tokcom.context.condition import NOTHING
from tokcom.context.prior import Prior
from tokcom.frame import LOST


def serve(prior: Prior, port: int) -> None:
    """Serve a prior on the loopback until the process ends."""

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"
        disable_nagle_algorithm = True

        def do_POST(self) -> None:
            tokens = np.frombuffer(self.rfile.read(int(self.headers["Content-Length"])), "<i4")[None]
            found = prior.log_probabilities(tokens, tokens == LOST, [NOTHING]).tobytes()
            self.send_response(200)
            self.send_header("Content-Length", str(len(found)))
            self.end_headers()
            self.wfile.write(found)

        def log_message(self, *_: object) -> None:
            return

    class Server(ThreadingHTTPServer):
        daemon_threads, request_queue_size = True, 128

    Server(("127.0.0.1", port), Handler).serve_forever()


class HttpPrior:
    """A client of the server, on one connection.

    Args:
        host, port: of the server.
        codebook_size: number of words.
    """

    def __init__(self, host: str, port: int, codebook_size: int):
        self._connection, self._size = HTTPConnection(host, port, timeout=600), codebook_size

    def ask(self, tokens: np.ndarray) -> np.ndarray:
        """Ask about one frame, int32 (n,); return float32 (lost tokens, codebook_size)."""
        self._connection.request("POST", "/", tokens.astype("<i4").tobytes())
        return np.frombuffer(self._connection.getresponse().read(), "<f4").reshape(-1, self._size)

    def close(self) -> None:
        """Close the connection."""
        self._connection.close()


if __name__ == "__main__":
    import torch

    from tokcom.models.zoo import load_context

    torch.set_num_threads(1)
    serve(load_context(sys.argv[1], "cpu"), int(sys.argv[2]))
