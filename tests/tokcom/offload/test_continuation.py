import numpy as np
import pytest
import torch

from tokcom.context.language_model import LanguageModel
from tokcom.context.llama_network import LlamaConfig, LlamaNetwork
from tokcom.context.sampling import Sampling, continued
from tokcom.errors import ModelError, ParameterError, TransportError
from tokcom.offload import attempts
from tokcom.offload.connection import EdgeConnection
from tokcom.offload.continuation import DraftingPrior
from tokcom.offload.draft_messages import DRAFTS, VERDICT, DraftRequest, verdict_bytes
from tokcom.offload.remote_prior import RemotePrior
from tokcom.offload.server import EdgeServer
from tokcom.offload.sessions import Sessions
from tokcom.offload.wire import begin, opened
from tokcom.offload.work import EdgeModel

pytest.importorskip("zmq")

TEXT = np.array([3, 1, 4])


@pytest.fixture(autouse=True)
def restless(monkeypatch):
    """Let a server that has failed rest for as long as a test takes."""
    monkeypatch.setattr(attempts, "FIRST_REST_S", 20.0)


@pytest.fixture(scope="module")
def networks():
    """A tiny causal network, and one like it."""
    torch.manual_seed(1)
    config = LlamaConfig(30, 8, 1, 2, 1, 8, 64, 1e4, 1e-5, 0, (0,))
    large, small = LlamaNetwork(config), LlamaNetwork(config)
    for own, other in zip(large.parameters(), small.parameters(), strict=True):
        own.data = torch.randn_like(own)
        other.data = own.data + 0.05 * torch.randn_like(own)
    return [LanguageModel(each.eval().requires_grad_(False), "tiny@00000003", int8=False) for each in (large, small)]


class Within(EdgeConnection):
    """Connection to a server within this thread, which reads and writes the same messages."""

    def __init__(self, model):
        super().__init__("inproc://nobody", 60.0)
        self.model = model

    def ask(self, requests, readers):
        found = []
        for number, (request, read) in enumerate(zip(requests, readers, strict=True)):
            asked = DraftRequest.decode(opened(request(number))[2])
            self.model.require(asked)
            words = self.model.sessions.settle(self.model.prior, b"device", asked)
            kind, _, reader = opened(verdict_bytes(words, number))
            found.append(read(kind, reader))
        return found


def written(device, large, texts, words):
    """Write texts, every other one greedily; return how many are those of the large model alone."""
    same = 0
    for number in range(texts):
        text = np.random.default_rng(number).integers(1, 12, 3)
        sampling = Sampling(number % 2 * 1.0, number)
        found = device.continued(text, words, sampling)
        same += found.by_edge.all() and np.array_equal(found.tokens, continued(large, text, words, sampling))
    counters = device.counters
    assert counters.written == texts * words == counters.rounds + counters.accepted
    assert 0.3 < counters.accepted / counters.drafted < 1
    assert counters.draft_bits == 64 * counters.drafted
    assert counters.forgotten == 0
    return same


def test_a_thousand_texts_are_those_of_the_large_model_alone(chain):
    large = chain()
    assert written(DraftingPrior(Within(EdgeModel(large)), chain(shift=0.2)), large, 1000, 6) == 1000


def test_texts_are_those_of_the_large_network_alone(networks):
    large, small = networks
    with EdgeServer([EdgeModel(large)], "tcp://127.0.0.1:0") as server:
        assert written(DraftingPrior(server.endpoint, small, deadline_s=60.0), large, 30, 10) == 30


@pytest.mark.parametrize("drafts", [1, 4, 8])
def test_a_model_agrees_with_itself_in_as_few_rounds_as_there_can_be(chain, drafts):
    prior = chain()
    with EdgeServer([EdgeModel(chain())], "tcp://127.0.0.1:0") as server:
        device = DraftingPrior(server.endpoint, prior, drafts=drafts, deadline_s=60.0)
        found = device.continued(TEXT, 20, Sampling(1.0, 3))
    assert np.array_equal(found.tokens, continued(prior, TEXT, 20, Sampling(1.0, 3)))
    assert device.counters.rounds == -(-20 // (drafts + 1))


def test_a_text_without_words_yet_is_begun(chain):
    with EdgeServer([EdgeModel(chain())], "tcp://127.0.0.1:0") as server:
        device = DraftingPrior(server.endpoint, chain(shift=0.5), deadline_s=60.0)
        found = device.continued(np.zeros(0, int), 9, Sampling())
    assert np.array_equal(found.tokens, continued(chain(), np.zeros(0, int), 9, Sampling()))


def test_in_law_more_is_accepted_and_the_counts_agree(chain):
    accepted = {}
    with EdgeServer([EdgeModel(chain())], "tcp://127.0.0.1:0") as server:
        for rule in ("identical", "law"):
            device = DraftingPrior(server.endpoint, chain(shift=0.3), rule=rule, deadline_s=60.0)
            for seed in range(60):
                assert len(device.continued(TEXT, 10, Sampling(1.0, seed)).tokens) == 10
            accepted[rule] = device.counters.accepted / device.counters.drafted
    assert accepted["law"] > accepted["identical"] > 0.2


def test_a_server_that_forgets_is_told_again(chain):
    large = chain()
    model = EdgeModel(large, sessions=Sessions())
    with EdgeServer([model], "tcp://127.0.0.1:0") as server:
        device = DraftingPrior(server.endpoint, chain(shift=0.5), deadline_s=60.0)
        ask = device.connection.ask

        def asked(requests, readers):
            found = ask(requests, readers)
            model.sessions._kept.clear()
            return found

        device.connection.ask = asked
        found = device.continued(TEXT, 20, Sampling(1.0, 2))
    assert np.array_equal(found.tokens, continued(large, TEXT, 20, Sampling(1.0, 2)))
    assert found.by_edge.all()
    assert device.counters.forgotten == device.counters.rounds - 1 > 0


def test_sessions_are_bounded_and_forgotten_in_order(chain):
    prior, kept = chain(), Sessions(most=20)

    def asked(device, start, tokens):
        request = DraftRequest(
            1, 250, 5, start, np.array(tokens, np.int32), np.zeros(0, np.uint64), 0, Sampling()
        )  # fmt: skip
        return kept.settle(prior, device, request)

    assert len(asked(b"a", 0, [1] * 9)) == 1
    assert asked(b"a", 10, []) is not None
    assert asked(b"b", 0, [1] * 8) is not None
    assert (len(kept), kept.tokens) == (2, 20)
    asked(b"c", 0, [1] * 4)
    assert asked(b"a", 11, []) is None  # the one that rested longest
    assert asked(b"b", 9, []) is not None
    assert asked(b"b", 9, []) is None  # that many tokens are no longer what is known
    assert asked(b"b", 0, [1] * 3) is not None


def test_without_a_server_the_device_writes_alone(chain):
    small, said = chain(shift=0.5), []
    device = DraftingPrior("tcp://127.0.0.1:9", small, deadline_s=0.02, told=said.append)
    found = device.continued(TEXT, 11, Sampling(1.0, 4))
    assert np.array_equal(found.tokens, continued(small, TEXT, 11, Sampling(1.0, 4)))
    assert not found.by_edge.any()
    assert device.counters.here == 11
    assert len(said) == 1
    assert "cannot be reached" in said[0]


def test_a_server_that_ends_within_a_text_leaves_the_rest_to_the_device(chain):
    large, small = chain(), chain(shift=0.3)
    server = EdgeServer([EdgeModel(large)], "tcp://127.0.0.1:0")
    server.start()
    device = DraftingPrior(server.endpoint, small, deadline_s=10.0)
    ask, rounds = device.connection.ask, []

    def asked(requests, readers):
        rounds.append(1)
        if len(rounds) == 3:
            server.stop()
            device.connection.deadline_s = 0.05
        return ask(requests, readers)

    device.connection.ask = asked
    found = device.continued(TEXT, 40, Sampling(1.0, 4))
    settled = int(found.by_edge.sum())
    assert 2 <= settled < 40
    assert found.by_edge[:settled].all()
    assert np.array_equal(found.tokens[:settled], continued(large, TEXT, settled, Sampling(1.0, 4)))
    known = np.concatenate([TEXT, found.tokens[:settled]])
    assert np.array_equal(found.tokens[settled:], continued(small, known, 40 - settled, Sampling(1.0, 4)))


def lies():
    def number(message):
        return opened(message)[1]

    return {
        "another kind": lambda message: begin(DRAFTS, number(message)),
        "no content": lambda message: begin(VERDICT, number(message)),
        "too many words": lambda message: verdict_bytes([1] * 9, number(message)),
        "no word": lambda message: verdict_bytes([], number(message)),
        "a word beyond the codebook": lambda message: verdict_bytes([12], number(message)),
        "forgetting at once": lambda message: verdict_bytes(None, number(message)),
    }


@pytest.mark.parametrize("kind", lies())
def test_a_lying_server_leaves_the_text_to_the_device(chain, router, kind):
    small = chain(shift=0.5)
    device = DraftingPrior(router(lambda message: [lies()[kind](message)]), small, deadline_s=5.0)
    found = device.continued(TEXT, 10, Sampling(1.0, 4))
    assert np.array_equal(found.tokens, continued(small, TEXT, 10, Sampling(1.0, 4)))
    assert device.connection.counters.lies == 1


def test_a_server_refuses_texts_that_its_model_cannot_read(chain):
    with EdgeServer([EdgeModel(chain(longest=10))], "tcp://127.0.0.1:0") as server:
        device = DraftingPrior(server.endpoint, chain(shift=0.3), drafts=1, deadline_s=60.0)
        found = device.continued(TEXT, 12, Sampling())
        assert 0 < found.by_edge.sum() <= 7
        assert device.connection.counters.refused == 1


def test_a_model_that_continues_texts_is_no_prior_in_any_order(chain, counting_prior):
    model = EdgeModel(chain())
    with EdgeServer([model, EdgeModel(counting_prior())], "tcp://127.0.0.1:0") as server:
        assert [each.parts for each in RemotePrior(server.endpoint).connection.models()] == [
            ("continuation",), ("prior",)
        ]  # fmt: skip
        with pytest.raises(ModelError, match="has no prior of chain"):
            RemotePrior(server.endpoint, codebook="chain@00000002")
        device = DraftingPrior(server.endpoint, chain(codebook="counts@00000001"), deadline_s=60.0)
        assert not device.continued(TEXT, 3, Sampling()).by_edge.any()
        assert device.connection.counters.refused == 1


@pytest.mark.parametrize(
    ("settings", "said"),
    [({"drafts": 0}, "drafts is 0"), ({"drafts": 9}, "drafts is 9"), ({"rule": "x"}, "rule is 'x'")],
)  # fmt: skip
def test_settings_out_of_range_are_refused(chain, settings, said):
    with pytest.raises(ParameterError, match=said):
        DraftingPrior("tcp://127.0.0.1:9", chain(), **settings)


def test_in_law_a_temperature_is_needed(chain):
    with pytest.raises(ParameterError, match="temperature is 0"):
        DraftingPrior("tcp://127.0.0.1:9", chain(), rule="law").continued(TEXT, 3, Sampling())


def test_an_address_that_is_none_is_told(chain):
    with pytest.raises(TransportError):
        DraftingPrior("nowhere", chain())
