import json

import numpy as np
import pytest

from tokcom.context.acceptance import Acceptance
from tokcom.context.lookup import LookupPrior
from tokcom.context.sampling import Sampling, continued
from tokcom.errors import ModelError, TransportError
from tokcom.frame import TokenFrame
from tokcom.link.known_noise import SymbolLink
from tokcom.link.receiver import Receiver
from tokcom.link.transmitter import TransmitConfig, Transmitter
from tokcom.models.by_codebook import load_recoveries
from tokcom.models.card import SMALL_CONTEXT
from tokcom.models.codebooks import codebook
from tokcom.models.edge import load_edge_models, load_policy
from tokcom.models.installed import model_card
from tokcom.models.recovery import load_recovery
from tokcom.models.zoo import load_context
from tokcom.offload.continuation import DraftingPrior
from tokcom.offload.escalation import EscalationPolicy
from tokcom.offload.server import EdgeServer

pytest.importorskip("zmq")
ANY_PORT = "tcp://127.0.0.1:0"


@pytest.fixture
def device_model(tiny_model):
    """The tiny model, with a smaller context beside its own."""
    import torch

    from tokcom.context.maskgit_network import MaskGitConfig, MaskGitNetwork
    from tokcom_lab.training.export import Run, export_part

    torch.manual_seed(1)
    small = MaskGitNetwork(MaskGitConfig(32, 4, 4, 3, 8, 1, 2, 3, 2))
    export_part(
        tiny_model,
        SMALL_CONTEXT,
        "maskgit",
        small,
        {},
        Run("none", "none", 0, 0, 0.0),
        model_card(str(tiny_model)).classes,
    )
    return str(tiny_model)


def arrival(model, esn0_db=-3.0):
    book = codebook(model)
    tokens = np.random.default_rng(3).integers(0, 32, 16)
    frame = TokenFrame(tokens, book.name, 32, (4, 4), "image", 1)
    link = SymbolLink(Transmitter(TransmitConfig("qpsk-1/2"), [book]), Receiver([book]))
    (got,) = link.receive(link.transmit(frame).in_noise(esn0_db, np.random.default_rng(5)))
    assert not got.packets_ok.all()
    return got


def same(one, other):
    return np.array_equal(one.frame.tokens, other.frame.tokens) and np.array_equal(one.confidence, other.confidence)


@pytest.mark.parametrize("mode", ["context", "mask", "list"])
def test_frames_are_recovered_at_the_edge_as_they_would_be_here(tiny_model, mode):
    model = str(tiny_model)
    got = arrival(model)
    with EdgeServer(load_edge_models(model, "cpu"), ANY_PORT) as server:
        there = load_recovery(model, mode, "cpu", server=f"{server.endpoint}?deadline=60")
        here = load_recovery(model, mode, "cpu")
        assert same(there.recover(got.frame, got.received), here.recover(got.frame, got.received))
        assert (server.counters.answered > 0) == (mode != "list")


def test_without_a_policy_a_dead_server_leaves_all_to_the_small_context(device_model):
    got, said = arrival(device_model), []
    there = load_recovery(
        device_model, "mask", "cpu", server="tcp://127.0.0.1:9?deadline=0.05", told=said.append
    )  # fmt: skip
    small = load_recovery(device_model, "mask", "cpu")
    small._prior = load_context(device_model, "cpu", SMALL_CONTEXT)
    assert same(there.recover(got.frame, got.received), small.recover(got.frame, got.received))
    assert len(said) == 1


def with_policy(model, least):
    from pathlib import Path

    from tokcom_lab.training.export import export_escalation

    curve = Acceptance((-1.0, 1.0), (-1.0, 1.0))
    export_escalation(Path(model), curve, EscalationPolicy((0.0, 1.0), (0.0, 1.0), least), "none")


def test_with_a_policy_the_device_asks_where_it_pays(device_model):
    got = arrival(device_model)
    with EdgeServer(load_edge_models(device_model, "cpu"), ANY_PORT) as server:
        address = f"{server.endpoint}?deadline=60"
        with_policy(device_model, 1e-3)
        asking = load_recoveries(device_model, "context", "cpu", server=address)
        expected = load_recovery(device_model, "context", "cpu").recover(got.frame, got.received)
        assert same(asking.recover(got.frame, got.received), expected)
        answered = server.counters.answered
        assert answered > 0
        with_policy(device_model, 1e3)
        alone = load_recovery(device_model, "context", "cpu", server=address)
        alone.recover(got.frame, got.received)
        assert (alone.counters.frames, alone.counters.escalated, server.counters.answered) == (1, 0, answered)


def test_a_policy_of_other_weights_is_refused(device_model):
    from pathlib import Path

    assert load_policy(device_model) is None
    with_policy(device_model, 1.0)
    assert load_policy(device_model) == EscalationPolicy((0.0, 1.0), (0.0, 1.0), 1.0)
    path = Path(device_model) / "card.json"
    card = json.loads(path.read_text(encoding="utf-8"))
    card[SMALL_CONTEXT]["escalation"]["context"] = "0" * 64
    path.write_text(json.dumps(card), encoding="utf-8")
    with pytest.raises(ModelError, match="escalation was learnt for another context"):
        load_policy(device_model)


def test_a_small_context_belongs_to_its_tokenizer(device_model):
    from pathlib import Path

    path = Path(device_model) / "card.json"
    card = json.loads(path.read_text(encoding="utf-8"))
    card[SMALL_CONTEXT]["tokenizer"] = "0" * 64
    path.write_text(json.dumps(card), encoding="utf-8")
    with pytest.raises(ModelError, match="another tokenizer"):
        load_context(device_model, "cpu", SMALL_CONTEXT)


def test_an_address_that_is_none_is_refused(tiny_model):
    with pytest.raises(TransportError, match="not the address"):
        load_recovery(str(tiny_model), server="somewhere")


def test_a_served_model_of_text_settles_drafts(tiny_text_model):
    model, text = str(tiny_text_model), np.array([30, 40, 50])
    prior = load_context(model, "cpu", exact=True)
    small = LookupPrior(prior.codebook, np.full(prior.codebook_size, 1.0))
    with EdgeServer(load_edge_models(model, "cpu"), ANY_PORT) as server:
        device = DraftingPrior(server.endpoint, small, deadline_s=60.0)
        found = device.continued(text, 12, Sampling(1.0, 2))
    assert found.by_edge.all()
    assert np.array_equal(found.tokens, continued(prior, text, 12, Sampling(1.0, 2)))
