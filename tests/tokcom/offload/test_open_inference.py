"""The Open Inference Protocol: what a replica answers, and what a device makes of it."""

import asyncio
import json
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from importlib.util import find_spec

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tokcom.context.condition import NOTHING, Condition
from tokcom.errors import MessageError, ModelError, ParameterError, TransportError
from tokcom.frame import LOST
from tokcom.offload import attempts
from tokcom.offload.address import EdgeAddress
from tokcom.offload.inference_prior import InferencePrior, remote_prior
from tokcom.offload.open_inference import HEADER, answer, logits_of, metadata, read_infer
from tokcom.offload.ray_service import Service, start
from tokcom.offload.remote_prior import RemotePrior

needs_client = pytest.mark.skipif(
    find_spec("tritonclient") is None,
    reason="the packages of requirements/inference.txt are not installed",
)


@pytest.fixture(autouse=True)
def restless(monkeypatch):
    """Let a server that has failed rest for as long as a test takes."""
    monkeypatch.setattr(attempts, "FIRST_REST_S", 20.0)


def asked(prior, tokens, labels, **changes):
    """Body of a request in JSON alone."""
    inputs = [
        {"name": "tokens", "datatype": "INT64", "shape": list(np.shape(tokens)), "data": np.ravel(tokens).tolist()},
        {"name": "label", "datatype": "INT64", "shape": [len(labels)], "data": list(labels)},
    ]
    inputs[0] |= changes
    return json.dumps({"inputs": inputs}).encode()


def served(service, method, path, body=b"", header=None):
    return asyncio.run(service.answered(method, path, body, header))


def test_a_replica_tells_its_models(counting_prior):
    service = Service(lambda: {"counts": counting_prior()})
    for path in ("/v2", "/v2/health/ready", "/v2/health/live", "/v2/models/counts/ready"):
        assert served(service, "GET", path)[0] == 200
    about = json.loads(served(service, "GET", "/v2/models/counts")[1])
    assert [each["shape"] for each in about["inputs"]] == [[-1, 16], [-1]]
    assert about["outputs"][0]["shape"] == [-1, 16, 32]
    assert json.loads(served(service, "GET", "/v2/models/counts/versions/1")[1]) == about


@pytest.mark.parametrize(
    ("method", "path"),
    [("GET", "/"), ("GET", "/v1"), ("GET", "/v2/models"), ("GET", "/v2/models/other"), ("POST", "/v2/models/counts"),
     ("GET", "/v2/models/counts/infer"), ("POST", "/v2/models/counts/infer/more"), ("GET", "/v2/../../etc/passwd")],
)  # fmt: skip
def test_other_paths_are_told_to_be_missing(counting_prior, method, path):
    status, body, _ = served(Service(lambda: {"counts": counting_prior()}), method, path, b"{}")
    assert status == 404
    assert "error" in json.loads(body)


def test_logits_are_those_of_the_prior(counting_prior, question):
    prior = counting_prior()
    tokens, wanted, conditions = question(3)
    labels = [each.label for each in conditions]
    body = asked(prior, np.where(wanted, 32, tokens), labels)
    status, found, headers = served(Service(lambda: {"counts": prior}), "POST", "/v2/models/counts/infer", body)
    output = json.loads(found)["outputs"][0]
    logits = np.reshape(output["data"], output["shape"])
    assert (status, headers["Content-Type"]) == (200, "application/json")
    assert np.allclose(logits[wanted], prior.log_probabilities(tokens, wanted, conditions), atol=1e-5)


@pytest.mark.parametrize(
    "changes",
    [
        {"shape": [1, 15]}, {"shape": [-1, 16]}, {"shape": [1 << 40, 1 << 40]}, {"data": [33] * 16},
        {"data": [-1] * 16},
        {"data": ["x"] * 16}, {"data": None}, {"datatype": "FP32"}, {"name": "words"}, {"name": "label"},
        {"parameters": {"binary_data_size": 128}}, {"parameters": {"binary_data_size": -8}}, {"parameters": 7},
        {"data": [1e300] * 16},
    ],
)  # fmt: skip
def test_requests_out_of_schema_are_refused(counting_prior, changes):
    prior = counting_prior()
    body = asked(prior, np.full((1, 16), 32), [5], **changes)
    with pytest.raises(MessageError):
        read_infer(body, None, prior)
    assert served(Service(lambda: {"counts": prior}), "POST", "/v2/models/counts/infer", body)[0] == 400


@given(data=st.data())
def test_spoilt_requests_raise_nothing_else(counting_prior, data):
    prior = counting_prior()
    body = bytearray(asked(prior, np.full((1, 16), 32), [5]))
    for _ in range(data.draw(st.integers(0, 4))):
        body[data.draw(st.integers(0, len(body) - 1))] = data.draw(st.integers(0, 255))
    header = data.draw(st.none() | st.text(max_size=5) | st.integers(-5, 400).map(str))
    try:
        tokens, conditions, _ = read_infer(bytes(body) + data.draw(st.binary(max_size=9)), header, prior)
    except MessageError:
        return
    assert tokens.shape == (len(conditions), 16)


def test_priors_without_a_grid_and_causal_ones_are_not_served(counting_prior, chain):
    for prior in (counting_prior(grid=None), chain()):
        with pytest.raises(ModelError, match="needs a prior of a grid"):
            metadata("name", prior)


@pytest.fixture
def http():
    """Serve answers over HTTP: a function from method, path, body and HEADER to status, body and headers."""
    servers = []

    def start(answers):
        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_POST(self):
                body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
                status, said, headers = answers(self.command, self.path, body, self.headers.get(HEADER))
                self.send_response(status)
                for name, value in {"Content-Length": str(len(said)), **headers}.items():
                    self.send_header(name, value)
                self.end_headers()
                self.wfile.write(said)

            do_GET = do_POST

            def log_message(self, *_):
                return

        server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        server.daemon_threads = True
        threading.Thread(target=server.serve_forever, daemon=True).start()
        servers.append(server)
        return f"http://127.0.0.1:{server.server_port}/v2/models/counts"

    yield start
    for server in servers:
        server.shutdown()
        server.server_close()


def honest(prior):
    service = Service(lambda: {"counts": prior})
    return lambda *request: served(service, *request)


@needs_client
@pytest.mark.parametrize("top", [None, 5])
def test_a_device_gets_what_the_prior_says(counting_prior, question, http, top):
    prior = counting_prior()
    remote = InferencePrior(http(honest(prior)), counting_prior(), deadline_s=10.0)
    for frames in (1, 3):
        tokens, wanted, conditions = question(frames)
        conditions[0] = NOTHING
        found = remote.predict(tokens, wanted, conditions, top)
        expected = prior.predict(tokens, wanted, conditions, top)
        assert np.allclose(found.log_probability, expected.log_probability, atol=1e-4)
        assert (found.words is None) == (top is None)
    assert remote.answered_here == 0
    counters = remote.connection.counters
    assert (counters.answered, counters.repeated) == (2, 0)


@needs_client
def test_a_model_of_one_frame_per_request_is_asked_frame_by_frame(counting_prior, question, http):
    prior, posts = counting_prior(), []
    inner = honest(prior)

    def answers(method, path, body, header):
        status, said, headers = inner(method, path, body, header)
        if method == "POST":
            posts.append(read_infer(body, header, prior)[0].shape)
        elif not path.endswith("ready"):
            said = said.replace(b'"shape": [-1,', b'"shape": [1,')
        return status, said, headers

    remote = InferencePrior(http(answers), counting_prior(), deadline_s=10.0)
    tokens, wanted, conditions = question(3)
    found = remote.log_probabilities(tokens, wanted, conditions)
    assert posts == [(1, 16)] * 3
    assert np.allclose(found, prior.log_probabilities(tokens, wanted, conditions), atol=1e-4)


def lies(prior):
    def change(kind):
        def answers(method, path, body, header):
            status, said, headers = honest(prior)(method, path, body, header)
            if method == "GET":
                return status, said, headers
            if kind == "no json":
                return 200, b"oops", headers
            if kind == "another size":
                return 200, *answer("counts", np.zeros((1, 16, 31), np.float32), True)
            if kind == "not a number":
                return 200, *answer("counts", np.full((3, 16, 32), np.nan, np.float32), True)
            return 200, said, headers | {HEADER: "-5"}

        return answers

    return {kind: change(kind) for kind in ("no json", "another size", "not a number", "a wrong header")}


@needs_client
@pytest.mark.parametrize("kind", lies(None))
def test_a_lying_server_leaves_the_answer_to_the_device(counting_prior, question, http, kind):
    local = counting_prior(sharpness=2.0)
    remote = InferencePrior(http(lies(counting_prior())[kind]), local, deadline_s=10.0)
    assert np.array_equal(remote.log_probabilities(*question()), local.log_probabilities(*question()))
    assert remote.connection.counters.lies == 1


@needs_client
def test_a_server_of_another_model_is_told_to_lie(counting_prior, question, http):
    remote = InferencePrior(http(honest(counting_prior(size=31))), counting_prior(), deadline_s=10.0)
    remote.log_probabilities(*question())
    assert remote.connection.counters.lies == 1
    assert "does not serve the model of 16 tokens of 32 words" in remote.connection.resting


@needs_client
def test_a_request_whose_replica_has_gone_is_made_again(counting_prior, question, http):
    prior, calls = counting_prior(), []
    inner = honest(prior)

    def answers(*request):
        calls.append(1)
        return inner(*request) if len(calls) not in (2, 3) else (500, b"the replica has died", {})

    remote = InferencePrior(http(answers), counting_prior(sharpness=2.0), deadline_s=30.0)
    assert np.allclose(remote.log_probabilities(*question()), prior.log_probabilities(*question()), atol=1e-4)
    assert (remote.connection.counters.repeated, remote.answered_here) == (2, 0)


@needs_client
def test_a_server_that_is_not_there_or_slow_costs_one_deadline(counting_prior, question, http):
    ended = threading.Event()

    def hung(*request):
        ended.wait(20)
        return 200, b"", {}

    for address, kind in ((http(hung), "late"), ("http://127.0.0.1:9/v2/models/counts", "unreachable")):
        local = counting_prior()
        remote = InferencePrior(address, local, deadline_s=0.2)
        assert np.array_equal(remote.log_probabilities(*question()), local.log_probabilities(*question()))
        remote.log_probabilities(*question())
        counters = remote.connection.counters
        assert (getattr(counters, kind), counters.spared) == (1, 1)
    ended.set()


@needs_client
def test_a_refusal_is_not_asked_again(counting_prior, question, http):
    remote = InferencePrior(http(honest(counting_prior())) + "s", counting_prior(), deadline_s=10.0)
    remote.log_probabilities(*question())
    assert (remote.connection.counters.refused, remote.connection.counters.repeated) == (1, 0)


@needs_client
def test_the_address_decides_the_kind_of_prior(counting_prior):
    assert type(remote_prior("tcp://127.0.0.1:9", like=counting_prior())) is RemotePrior
    found = remote_prior("http://127.0.0.1:9/v2/models/counts?deadline=2", like=counting_prior())
    assert type(found) is InferencePrior
    assert found.connection.deadline_s == 2
    with pytest.raises(ModelError, match="give a prior on the device"):
        InferencePrior("http://127.0.0.1:9/v2/models/counts")
    with pytest.raises(TransportError, match="is of a model over HTTP"):
        RemotePrior("http://127.0.0.1:9/v2/models/counts", counting_prior())


@pytest.mark.parametrize(
    "text",
    ["http://127.0.0.1:9", "http://127.0.0.1:9/", "http:///v2/models/a", "http://h/v2/models/", "http://h/v2/models/a/b",
     "http://h:99999/v2/models/a", "http://h/v2/models/a?own=x&server=y", "http://h/v2/models/a?colour=red"],
)  # fmt: skip
def test_addresses_of_no_model_are_refused(text):
    with pytest.raises(TransportError):
        EdgeAddress.of(text)


def test_replicas_are_served_to_this_machine_alone():
    with pytest.raises(TransportError, match="asks nobody for a key"):
        start(dict, "http://0.0.0.0:8000", 2)
    with pytest.raises(ParameterError, match="replicas is 0"):
        start(dict, "http://127.0.0.1:8000", 0)


def test_known_tokens_have_no_logits(counting_prior):
    prior = counting_prior()
    tokens = np.arange(16, dtype=np.int32)[None].copy()
    tokens[0, 3] = LOST
    found = logits_of(prior, tokens, [Condition(label=1)])
    assert not found[0, np.arange(16) != 3].any()
    assert np.exp(found[0, 3]).sum() == pytest.approx(1, abs=1e-5)
    assert not logits_of(prior, np.zeros((1, 16), np.int32), [NOTHING]).any()
