import threading

import numpy as np
import pytest

from tokcom.context.condition import Condition
from tokcom.context.prior import Prior
from tokcom.frame import LOST
from tokcom.offload.messages import PING
from tokcom.offload.wire import opened


class CountingPrior(Prior):
    """Prior without a network, which prefers words near the sum of the known tokens, the label and the place."""

    def __init__(self, codebook="counts@00000001", size=32, grid=(4, 4), sharpness=1.0):
        self.codebook, self.codebook_size, self.grid, self.sharpness = codebook, size, grid, sharpness
        self.num_classes, self.n_bytes, self.asked = 5, 100, 0

    def log_probabilities(self, tokens, wanted, conditions):
        self.asked += len(tokens)
        rows = []
        for line, asked, condition in zip(tokens, wanted, conditions, strict=True):
            middle = int(line[line != LOST].sum() + (condition.label or 0))
            for place in np.flatnonzero(asked):
                distance = np.abs(np.arange(self.codebook_size) - (middle + place) % self.codebook_size)
                logits = -self.sharpness * distance / 4
                rows.append(logits - np.log(np.exp(logits).sum()))
        return np.array(rows, np.float32)


@pytest.fixture(scope="session")
def counting_prior():
    return CountingPrior


@pytest.fixture
def question():
    def make(frames=3, seed=0, size=32, places=16):
        """Tokens, those wanted, and conditions."""
        rng = np.random.default_rng(seed)
        tokens = rng.integers(0, size, (frames, places)).astype(np.int32)
        wanted = rng.random((frames, places)) < 0.4
        wanted[:, 0] = True
        tokens[wanted] = LOST
        return tokens, wanted, [Condition(label=int(each)) for each in rng.integers(0, 5, frames)]

    return make


@pytest.fixture
def router():
    """Start a server of one's own making, a function from a request's bytes to the answers' bytes; it hears no
    heartbeats."""
    zmq = pytest.importorskip("zmq")
    ended, threads = threading.Event(), []

    def start(answers):
        socket = zmq.Context.instance().socket(zmq.ROUTER)
        socket.linger = 0
        port = socket.bind_to_random_port("tcp://127.0.0.1")

        def serve():
            while not ended.is_set():
                if socket.poll(20):
                    device, message = socket.recv_multipart()
                    for each in answers(message) if opened(message)[0] != PING else ():
                        socket.send_multipart([device, each])
            socket.close()

        threads.append(threading.Thread(target=serve))
        threads[-1].start()
        return f"tcp://127.0.0.1:{port}"

    yield start
    ended.set()
    for thread in threads:
        thread.join()
