import threading

import numpy as np
import pytest

from tokcom.errors import ModelError, ParameterError, TransportError
from tokcom.offload.messages import DECODE, PREDICT, TOKENS, PixelsRequest, PredictRequest, TokensRequest, read_tokens
from tokcom.offload.remote_prior import RemotePrior
from tokcom.offload.server import EdgeServer, ServerSettings
from tokcom.offload.wire import MAGIC, begin, opened
from tokcom.offload.work import EdgeModel, Job, JobQueue
from tokcom.packets.codebook import codebook_id
from tokcom.security.agreement import PrivateKey, public_text, save_private_key
from tokcom.tokenizers.picture_tokenizer import PictureTokenizer

zmq = pytest.importorskip("zmq")
ANY_PORT = "tcp://127.0.0.1:0"
PATIENT = {"deadline_s": 20.0}
"""Deadlines that a busy machine does not miss."""


class Corners(PictureTokenizer):
    """A picture is the brightness of its four corners."""

    codebook, codebook_size, image_size, grid, n_bytes = "corners@00000002", 256, 8, (2, 2), 0

    def encode(self, pictures):
        self.require_pictures(pictures)
        return pictures[:, ::7, ::7, 0].astype(np.int32)

    def decode(self, tokens):
        return np.kron(tokens, np.ones((4, 4)))[..., None].repeat(3, -1).astype(np.uint8)


def dealer(endpoint):
    socket = zmq.Context.instance().socket(zmq.DEALER)
    socket.linger = 0
    socket.connect(endpoint)
    return socket


@pytest.mark.parametrize("top", [None, 6])
@pytest.mark.parametrize("frames", [1, 3, 20])
def test_a_remote_prior_says_what_the_prior_says(counting_prior, question, top, frames):
    prior = counting_prior()
    with EdgeServer([EdgeModel(prior)], ANY_PORT) as server:
        remote = RemotePrior(server.endpoint, **PATIENT)
        asked = question(frames)
        found, expected = (each.predict(*asked, top) for each in (remote, prior))
        assert np.array_equal(found.log_probability, expected.log_probability)
        assert top is None or np.array_equal(found.words, expected.words)
        assert (remote.codebook, remote.codebook_size, remote.grid, remote.num_classes, remote.takes) == (
            prior.codebook, prior.codebook_size, prior.grid, prior.num_classes, prior.takes
        )  # fmt: skip
        assert remote.answered_here == 0
        remote.connection.close()


def test_questions_of_several_devices_are_answered_each_to_its_own(counting_prior, question):
    prior, wrong = counting_prior(), []
    with EdgeServer([EdgeModel(prior)], ANY_PORT, ServerSettings(wait_s=0.02)) as server:

        def ask(device):
            remote = RemotePrior(server.endpoint, counting_prior(), **PATIENT)
            for number in range(10):
                asked = question(1 + number % 3, 100 * device + number)
                if not np.array_equal(remote.log_probabilities(*asked), prior.log_probabilities(*asked)):
                    wrong.append((device, number))
            wrong.extend([device] * remote.answered_here)
            remote.connection.close()

        threads = [threading.Thread(target=ask, args=(device,)) for device in range(8)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert server.counters.batches < server.counters.requests
    assert not wrong
    assert server.counters.answered == 80


def test_pictures_are_tokenized_and_decoded(question):
    model = EdgeModel(tokenizer=Corners())
    pictures = np.random.default_rng(0).integers(0, 256, (3, 8, 8, 3)).astype(np.uint8)
    number = codebook_id(model.codebook)
    with EdgeServer([model], ANY_PORT) as server:
        socket = dealer(server.endpoint)
        socket.send(PixelsRequest(number, 20_000, pictures).encode(1))
        kind, _, reader = opened(socket.recv())
        assert kind == TOKENS
        tokens = read_tokens(reader)
        assert np.array_equal(tokens, Corners().encode(pictures))
        socket.send(TokensRequest(number, 20_000, tokens).encode(2))
        assert socket.recv().endswith(Corners().decode(tokens).tobytes())
        socket.close()


@pytest.mark.parametrize(
    ("message", "reason"),
    [
        (b"hello", "invalid"),
        (MAGIC, "invalid"),
        (begin(99, 3), "invalid"),
        (begin(PREDICT, 3) + b"\xff" * 40, "invalid"),
        (begin(DECODE, 3), "invalid"),
        (PixelsRequest(codebook_id("counts@00000001"), 9, np.zeros((1, 2, 2, 3), np.uint8)).encode(3), "invalid"),
        (PixelsRequest(77, 9, np.zeros((1, 2, 2, 3), np.uint8)).encode(3), "unknown"),
    ],
)
def test_what_cannot_be_done_is_refused_with_a_reason(counting_prior, message, reason):
    from tokcom.offload.messages import REFUSED, read_refusal

    with EdgeServer([EdgeModel(counting_prior())], ANY_PORT) as server:
        socket = dealer(server.endpoint)
        socket.send(message)
        kind, _, reader = opened(socket.recv())
        assert (kind, read_refusal(reader)[0]) == (REFUSED, reason)
        socket.close()


@pytest.mark.parametrize(("places", "word", "label"), [(15, 0, 0), (16, 40, 0), (16, 0, 5)])
def test_a_question_that_does_not_fit_the_prior_is_refused(counting_prior, places, word, label):
    from tokcom.context.condition import Condition
    from tokcom.offload.messages import read_refusal

    tokens = np.full((1, places), word, np.int32)
    asked = PredictRequest(
        codebook_id("counts@00000001"), 1000, tokens, np.ones_like(tokens, bool), (Condition(label=label),)
    )
    with EdgeServer([EdgeModel(counting_prior())], ANY_PORT) as server:
        socket = dealer(server.endpoint)
        socket.send(asked.encode(1))
        assert read_refusal(opened(socket.recv())[2])[0] == "invalid"
        socket.close()


class Failing:
    """A prior that fails in a way that nobody thought of."""

    def __init__(self, like):
        self.__dict__.update(like.__dict__)
        self.order, self.takes = like.order, like.takes

    def predict(self, *asked):
        raise ZeroDivisionError("oh")


def test_a_failing_model_does_not_end_the_server(counting_prior, question):
    with EdgeServer([EdgeModel(Failing(counting_prior()))], ANY_PORT) as server:
        remote = RemotePrior(server.endpoint, counting_prior(), **PATIENT)
        remote.predict(*question(1))
        assert (remote.answered_here, remote.connection.counters.refused) == (1, 1)
        assert "ZeroDivisionError" in remote.connection.resting
        other = RemotePrior(server.endpoint, **PATIENT)
        assert other.codebook == "counts@00000001"


def test_the_queue_is_bounded_as_a_whole_and_per_device(question):
    tokens, wanted, conditions = question(1)
    asked = PredictRequest(1, 10, tokens, wanted, tuple(conditions))
    queue = JobQueue(limit=5, per_device=2)
    taken = [queue.put(Job((device, 0), asked, 0.0)) for device in (b"a", b"a", b"a", b"b", b"c", b"d", b"e")]
    assert taken == [True, True, False, True, True, True, False]
    queue.close()
    assert [len(queue.take()), queue.take()] == [5, None]


def test_a_batch_holds_jobs_of_one_kind_up_to_its_size(question):
    queue = JobQueue(limit=64, per_device=64, batch=4, wait_s=0.0)
    for frames, codebook in ((1, 1), (2, 1), (1, 2), (3, 1), (1, 1), (9, 2)):
        tokens, wanted, conditions = question(frames)
        asked = PredictRequest(codebook, 10, tokens, wanted, tuple(conditions))
        queue.put(Job((b"a", frames), asked, 0.0))
    queue.close()
    sizes = []
    while (jobs := queue.take()) is not None:
        assert len({job.kind for job in jobs}) == 1
        sizes.append([job.frames for job in jobs])
    assert sizes == [[1, 2, 1], [1], [3], [9]]


def test_stop_answers_what_waits_and_refuses_the_rest(counting_prior, question):
    prior, entered, go_on = counting_prior(), threading.Event(), threading.Event()

    class Slow:
        def __getattr__(self, name):
            return getattr(prior, name)

        def predict(self, *asked):
            entered.set()
            go_on.wait()
            return prior.predict(*asked)

    tokens, wanted, conditions = question(1)
    asked = PredictRequest(codebook_id(prior.codebook), 60_000, tokens, wanted, tuple(conditions))
    server = EdgeServer([EdgeModel(Slow())], ANY_PORT, ServerSettings(batch=1))
    server.start()
    socket = dealer(server.endpoint)
    socket.send(asked.encode(1))
    entered.wait()
    socket.send(asked.encode(2))
    while not len(server._queue):
        pass
    stopping = threading.Thread(target=server.stop, args=(20,))
    stopping.start()
    while not server._stopping:
        pass
    socket.send(asked.encode(3))
    refused = socket.recv()
    go_on.set()
    answers = [socket.recv(), socket.recv()]
    stopping.join()
    assert opened(refused)[1] == 3
    assert [opened(each)[:2] for each in answers] == [(PREDICT + 1, 1), (PREDICT + 1, 2)]
    socket.close()


def test_only_devices_with_a_trusted_key_are_served(counting_prior, question, tmp_path):
    server_key, device_key, stranger = PrivateKey(bytes(range(32))), PrivateKey(b"d" * 32), PrivateKey(b"s" * 32)
    save_private_key(device_key, tmp_path / "device")
    save_private_key(stranger, tmp_path / "stranger")
    model = EdgeModel(counting_prior())
    with EdgeServer([model], ANY_PORT, own=server_key, trusted=[device_key.public]) as server:
        said = public_text(server_key.public)
        address = f"{server.endpoint}?own={tmp_path / 'device'}&server={said}"
        remote = RemotePrior(address, **PATIENT)
        assert np.array_equal(remote.log_probabilities(*question()), counting_prior().log_probabilities(*question()))
        for address in (f"{server.endpoint}?own={tmp_path / 'stranger'}&server={said}", server.endpoint):
            with pytest.raises(TransportError, match=r"cannot be reached|does not answer"):
                RemotePrior(address, deadline_s=0.3)
        assert server.refused_devices >= 1


def test_a_server_without_a_key_is_for_this_machine_alone(counting_prior):
    with pytest.raises(TransportError, match="open to other machines"):
        EdgeServer([EdgeModel(counting_prior())], "tcp://0.0.0.0:0")


def test_two_models_of_one_codebook_cannot_be_served(counting_prior):
    with pytest.raises(ParameterError, match="two models"):
        EdgeServer([EdgeModel(counting_prior()), EdgeModel(counting_prior())], ANY_PORT)


def test_the_codebook_must_be_named_where_there_are_several(counting_prior):
    models = [EdgeModel(counting_prior()), EdgeModel(counting_prior("other@00000009"))]
    with EdgeServer(models, ANY_PORT) as server:
        assert RemotePrior(server.endpoint, codebook="other@00000009", **PATIENT).codebook == "other@00000009"
        with pytest.raises(ModelError, match="name one codebook"):
            RemotePrior(server.endpoint, **PATIENT)
        with pytest.raises(ModelError, match="no prior of"):
            RemotePrior(server.endpoint, codebook="third@0000000a", **PATIENT)


def test_garbage_does_not_stop_a_server(counting_prior, question):
    rng = np.random.default_rng(0)
    tokens, wanted, conditions = question(1)
    good = PredictRequest(codebook_id("counts@00000001"), 5000, tokens, wanted, tuple(conditions)).encode(1)
    with EdgeServer([EdgeModel(counting_prior())], ANY_PORT) as server:
        socket = dealer(server.endpoint)
        for _ in range(300):
            spoilt = np.frombuffer(good, np.uint8).copy()
            places = rng.integers(0, len(spoilt), 3)
            spoilt[places] = rng.integers(0, 256, 3)
            socket.send(spoilt[: rng.integers(1, len(spoilt) + 1)].tobytes())
            socket.recv()
        socket.send_multipart([b"two", b"parts"])
        remote = RemotePrior(server.endpoint, **PATIENT)
        assert np.array_equal(remote.log_probabilities(*question()), counting_prior().log_probabilities(*question()))
        socket.close()


def test_an_error_that_nobody_thought_of_is_refused_and_the_server_goes_on(counting_prior, question, monkeypatch):
    def broken(self, request):
        raise ZeroDivisionError("oh")

    with EdgeServer([EdgeModel(counting_prior())], ANY_PORT) as server:
        remote = RemotePrior(server.endpoint, counting_prior(), **PATIENT)
        with monkeypatch.context() as patch:
            patch.setattr(EdgeModel, "require", broken)
            remote.predict(*question(1))
        assert "ZeroDivisionError" in remote.connection.resting
        other = RemotePrior(server.endpoint, **PATIENT)
        other.predict(*question(1))
        assert other.connection.counters.lies == other.connection.counters.refused == 0
