import gc
import warnings

import numpy as np
import pytest

from tokcom.errors import KeyFileError, ModelError, ParameterError, TransportError
from tokcom.offload import attempts
from tokcom.offload.address import EdgeAddress
from tokcom.offload.messages import PREDICT, prediction_bytes
from tokcom.offload.remote_prior import RemotePrior
from tokcom.offload.server import EdgeServer
from tokcom.offload.wire import begin, opened
from tokcom.offload.work import EdgeModel

pytest.importorskip("zmq")


def asked_twice(remote, local, question):
    """Ask twice, and require the local prior's answers."""
    for seed in (1, 2):
        found = remote.log_probabilities(*question(2, seed))
        assert np.array_equal(found, local.log_probabilities(*question(2, seed)))
    assert remote.answered_here == 4


@pytest.fixture(autouse=True)
def restless(monkeypatch):
    """Let a server that has failed rest for as long as a test takes."""
    monkeypatch.setattr(attempts, "FIRST_REST_S", 20.0)


def test_a_dead_server_leaves_the_answer_to_the_device(counting_prior, question):
    local, said = counting_prior(), []
    remote = RemotePrior("tcp://127.0.0.1:9", local, deadline_s=0.02, told=said.append)
    asked_twice(remote, local, question)
    counters = remote.connection.counters
    assert (counters.unreachable, counters.spared, counters.answered) == (1, 1, 0)
    assert len(said) == 1
    assert "cannot be reached" in said[0]


def test_a_server_killed_between_questions_loses_none(counting_prior, question):
    local = counting_prior()
    server = EdgeServer([EdgeModel(counting_prior())], "tcp://127.0.0.1:0")
    server.start()
    remote = RemotePrior(server.endpoint, local, deadline_s=10.0)
    remote.predict(*question())
    assert remote.answered_here == 0
    server.stop()
    remote.connection.deadline_s = 0.05
    asked_twice(remote, local, question)


def test_a_slow_server_leaves_the_answer_to_the_device(counting_prior, question, router):
    local, said = counting_prior(), []
    remote = RemotePrior(router(lambda message: []), local, deadline_s=0.2, told=said.append)
    asked_twice(remote, local, question)
    counters = remote.connection.counters
    assert (counters.late, counters.spared) == (1, 1)
    assert "does not answer within 0.2 s" in said[0]


def lies(prior):
    """Answers that no honest server gives."""

    def number(message):
        return opened(message)[1]

    def answer(message, shift):
        from tokcom.offload.messages import PredictRequest

        asked = PredictRequest.decode(opened(message)[2])
        found = prior.predict(asked.tokens, asked.wanted, asked.conditions)
        found.log_probability[:] += shift
        return prediction_bytes(found, number(message))

    return {
        "no message": lambda message: [b"lies"],
        "empty": lambda message: [b""],
        "another kind": lambda message: [begin(PREDICT, number(message))],
        "no content": lambda message: [begin(PREDICT + 1, number(message))],
        "no probabilities": lambda message: [answer(message, 1.0)],
        "not a number": lambda message: [answer(message, np.nan)],
        "a flood": lambda message: [begin(PREDICT + 1, 1)] * 300,
    }


@pytest.mark.parametrize("kind", lies(None))
def test_a_lying_server_leaves_the_answer_to_the_device(counting_prior, question, router, kind):
    local = counting_prior()
    remote = RemotePrior(router(lies(counting_prior())[kind]), local, deadline_s=5.0)
    asked_twice(remote, local, question)
    assert (remote.connection.counters.lies, remote.connection.counters.spared) == (1, 1)


def test_an_answer_to_another_question_is_passed_over(counting_prior, question, router):
    prior = counting_prior()

    def answers(message):
        from tokcom.offload.messages import PredictRequest

        asked = PredictRequest.decode(opened(message)[2])
        found = prior.predict(asked.tokens, asked.wanted, asked.conditions)
        return [prediction_bytes(found, 12345), prediction_bytes(found, opened(message)[1])]

    remote = RemotePrior(router(answers), counting_prior(), deadline_s=10.0)
    assert np.array_equal(remote.log_probabilities(*question()), prior.log_probabilities(*question()))
    assert remote.connection.counters.answered == 1


def test_without_a_prior_here_a_dead_server_is_an_error():
    with pytest.raises(TransportError, match="cannot be reached"):
        RemotePrior("tcp://127.0.0.1:9", deadline_s=0.02)


def test_a_server_that_answers_heartbeats_is_asked_again_after_its_rest(counting_prior, question, monkeypatch):
    monkeypatch.setattr(attempts, "FIRST_REST_S", 0.0)
    said = []
    server = EdgeServer([EdgeModel(counting_prior())], "tcp://127.0.0.1:0")
    remote = RemotePrior(server.endpoint, counting_prior(), deadline_s=0.05, told=said.append)
    remote.predict(*question())
    assert remote.answered_here > 0
    with server:
        remote.connection.deadline_s = 10.0
        for _ in range(100_000):
            remote.predict(*question())
            if remote.connection.counters.answered:
                break
        assert remote.connection.counters.answered == 1
    assert said[-1].endswith("answers again")


@pytest.mark.parametrize(
    "text", ["", "127.0.0.1:5", "http://a:5", "tcp://a", "tcp://a:5?x=1", "tcp://a:5?own=f", "x?&"]
)
def test_absurd_addresses_are_refused(text):
    with pytest.raises(TransportError, match=r"write|takes both"):
        EdgeAddress.of(text)


def test_a_missing_key_file_is_named(tmp_path):
    with pytest.raises(KeyFileError, match="nowhere"):
        EdgeAddress.of(f"tcp://127.0.0.1:5?own={tmp_path / 'nowhere'}&server=tokcom-public-1:{'00' * 32}")


def test_settings_are_checked(counting_prior):
    with pytest.raises(ParameterError, match="form"):
        RemotePrior("tcp://127.0.0.1:9", counting_prior(), form="wavy")
    with pytest.raises(ParameterError, match="deadline_s"):
        RemotePrior("tcp://127.0.0.1:9", counting_prior(), deadline_s=0)
    with pytest.raises(ModelError, match="is of codebook"):
        RemotePrior("tcp://127.0.0.1:9", counting_prior(), codebook="another@00000003")


def test_a_forgotten_prior_leaves_no_socket_behind(counting_prior):
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        remote = RemotePrior("tcp://127.0.0.1:9", counting_prior(), deadline_s=0.02)
        socket = remote.connection._socket
        del remote
        gc.collect()
        assert socket.closed
        del socket
        gc.collect()
    assert not [each for each in caught if issubclass(each.category, ResourceWarning)]
