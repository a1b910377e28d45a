import threading
import time

import numpy as np
import pmt
import pytest
from gnuradio import blocks, gr, tokcom

from tokcom.channel.awgn import awgn, noise_variance
from tokcom.errors import ParameterError
from tokcom.frame import LOST
from tokcom.link.packets import MixedPackets
from tokcom.models.codebooks import codebook
from tokcom.models.zoo import load_tokenizer
from tokcom.packets.codebook import codebook_id
from tokcom.packets.identity import PacketIdentity
from tokcom.packets.layout import pack, packet_layout
from tokcom.tokenizers.pictures import load_picture

CODEBOOK = codebook("caltech64").name

FRAME = {"modality": "image", "codebook": CODEBOOK, "codebook_size": 1024, "grid": (16, 16)}


@pytest.fixture
def frames(pdu):
    """Makes PDUs of frames with a third of their tokens lost."""

    def make(count):
        rng = np.random.default_rng(0)
        tokens = [
            np.where(rng.random(256) < 0.3, LOST, rng.integers(0, 1024, 256)).astype(np.int32) for _ in range(count)
        ]
        return [pdu(t, frame_id=i, **FRAME) for i, t in enumerate(tokens)]

    return make


class Gated:
    """A recovery that waits, at its first frame, until it is let go."""

    def __init__(self, block):
        self.entered, self.release = threading.Event(), threading.Event()
        self._recover = block._recoveries.recover_all
        block._recoveries.recover_all = self

    def __call__(self, frames, cancelled):
        self.entered.set()
        while not self.release.wait(0.01):
            if cancelled():
                break
        return self._recover(frames, cancelled)


def running(block):
    """A started strict flowgraph around a recovery block, and the store of what it sends."""
    top, store = gr.top_block(catch_exceptions=False), blocks.message_debug()
    top.msg_connect(block, "tokens_recovered", store, "store")
    top.start()
    return top, store


def until(condition):
    deadline = time.monotonic() + 120
    pause = threading.Event()
    while not condition():
        assert time.monotonic() < deadline, "waited for two minutes"
        pause.wait(0.005)


def test_lost_tokens_are_filled_in_and_known_ones_stay(frames):
    block = tokcom.token_recovery(steps=3)
    top, store = running(block)
    sent = frames(2)
    for message in sent:
        block.to_basic_block()._post(pmt.intern("tokens"), message)
    until(lambda: store.num_messages() == 2)
    top.stop()
    top.wait()
    assert block.frames_recovered == 2 and block.frames_dropped == 0
    for i, message in enumerate(sent):
        before = np.array(pmt.s32vector_elements(pmt.cdr(message)))
        after = np.array(pmt.s32vector_elements(pmt.cdr(store.get_message(i))))
        assert np.array_equal(before[before != LOST], after[before != LOST]) and (after != LOST).all()
        meta = pmt.to_python(pmt.car(store.get_message(i)))
        assert "seconds.recovery" in meta and "packets_open" not in meta, "nothing is known of their packets"


@pytest.mark.parametrize(("drop", "survivors"), [("oldest", [0, 4, 5]), ("newest", [0, 1, 2])])
def test_a_full_queue_drops_by_its_policy_and_counts(drop, survivors, frames):
    block = tokcom.token_recovery(steps=1, queue_size=2, drop=drop)
    gate = Gated(block)
    top, store = running(block)
    first, *rest = frames(6)
    block.to_basic_block()._post(pmt.intern("tokens"), first)
    assert gate.entered.wait(120)
    for message in rest:
        block.to_basic_block()._post(pmt.intern("tokens"), message)
    until(lambda: block.frames_dropped == 3)
    assert block.queue_length == 2
    gate.release.set()
    until(lambda: store.num_messages() == 3)
    top.stop()
    top.wait()
    ids = [pmt.to_python(pmt.car(store.get_message(i)))["frame_id"] for i in range(3)]
    assert ids == survivors


def test_nothing_is_lost_when_the_run_ends(frames, send):
    """The end is announced while nearly all frames still wait."""
    block = tokcom.token_recovery(steps=2, queue_size=64)
    out = send(block, frames(12))
    assert [meta["frame_id"] for meta, _ in out] == list(range(12))
    assert block.frames_recovered == 12 and block.frames_dropped == 0


def test_a_busy_flowgraph_stops_without_finishing_its_frames(frames):
    """The frame in work goes on for ever unless it is told to end; those that wait are dropped and counted."""
    block = tokcom.token_recovery(steps=1, queue_size=64)
    Gated(block)
    top, _ = running(block)
    for message in frames(40):
        block.to_basic_block()._post(pmt.intern("tokens"), message)
    until(lambda: block.queue_length == 39)
    top.stop()
    top.wait()
    assert block.frames_recovered == 0 and block.frames_dropped == 40


def test_frames_of_unknown_codebooks_go_on_as_they_came_and_are_counted(frames, pdu, send):
    block = tokcom.token_recovery(steps=1)
    tokens = np.r_[np.zeros(200, np.int32), np.full(56, LOST, np.int32)]
    strangers = [pdu(tokens, frame_id=n, **FRAME | {"codebook": f"other-{n}"}, llrs=np.ones(9)) for n in (0, 1, 1)]
    out = send(block, [*strangers, *frames(1)])
    for meta, passed in out[:3]:
        assert np.array_equal(passed, tokens) and "llrs" not in meta and "mode" not in meta
    assert (out[3][1] != LOST).all() and block.frames_recovered == 1 and block.frames_refused == 0
    assert block.frames_unknown == {"other-0": 1, "other-1": 2}


def test_frames_that_wait_are_decoded_together_and_come_out_as_alone(frames, send, pdu):
    """As on a GPU, here on a processor; one that is broken is refused alone."""
    alone = send(tokcom.token_recovery(steps=2), frames(5))
    block = tokcom.token_recovery(steps=2)
    block.at_once, batches, recover = 4, [], block._recoveries.recover_all
    block._recoveries.recover_all = lambda left, cancelled: batches.append(len(left)) or recover(left, cancelled)
    broken = pdu(np.full(256, 5000, np.int32), frame_id=9, **FRAME)
    message = frames(5)
    for each in (*message[:3], broken, *message[3:]):
        block._on_pdu(each)
    together = send(block, [])
    assert [meta["frame_id"] for meta, _ in together] == list(range(5)) and batches == [3, 2]
    for (meta, tokens), (expected_meta, expected) in zip(together, alone, strict=True):
        assert np.array_equal(tokens, expected) and np.array_equal(meta["confidence"], expected_meta["confidence"])
    assert block.frames_refused == 1 and block.frames_recovered == 5


@pytest.fixture
def noisy(pdu, photographs):
    """A photograph's tokens and their LLRs at 4 dB, where three packets in four fail."""
    tokens = load_tokenizer("caltech64", 4).tokenize(load_picture(photographs[1])).tokens
    packets = pack(tokens, packet_layout(256, 4, 4))
    coded = MixedPackets(1024, 4, np.full(64, 6))
    identity = PacketIdentity(9, 4, codebook_id(CODEBOOK))
    symbols = awgn(coded.map(coded.encode(packets, identity)), 4.0, np.random.default_rng(0))
    variance = np.full(len(symbols), noise_variance(4.0))
    llrs, misfit = coded.demap(symbols, variance), coded.misfit(symbols, variance)
    header = {
        "frame_id": 4, "stream_id": 9, "codebook_id": codebook_id(CODEBOOK), "layout_seed": 4, "grid": (16, 16),
        "tokens_per_packet": 4, "token_bits": 10, "packets": 64, "mcs": np.full(64, 6, np.uint8), "cmi": 7,
        "misfit": misfit.ravel(),
    }  # fmt: skip
    return tokens, pdu(llrs, **header)


@pytest.mark.parametrize("mode", ["keep", "mask", "list", "context"])
def test_every_mode_works_behind_the_packet_decoder(mode, noisy, send, pdu):
    tokens, llrs = noisy
    ((meta, received),) = send(tokcom.packet_decoder(), [llrs])
    assert meta["packets_lost"] > 32 and (received == LOST).sum() == 4 * meta["packets_lost"]
    assert len(meta["llrs"]) == 64 * 124
    block = tokcom.token_recovery(mode=mode)
    ((meta, recovered),) = send(block, [pdu(received, **meta)])
    assert not (recovered == LOST).any() and meta["mode"] == mode and "llrs" not in meta and "misfit" not in meta
    assert len(meta["confidence"]) == 256 and meta["cmi"] == 7
    if mode in ("list", "context"):
        assert (recovered == tokens).mean() > 0.9 and meta["packets_open"] < meta["packets_lost"] / 2
    else:
        assert meta["packets_open"] == meta["packets_lost"]


def test_what_does_not_fit_stays_open(noisy, send, pdu):
    """A misfit as of symbols far from all code words: nothing is declared good beyond the CRC."""
    _, llrs = noisy
    ((meta, received),) = send(tokcom.packet_decoder(), [llrs])
    far = np.tile(np.float32([400, 40]), 64)
    block = tokcom.token_recovery(mode="list")
    refused = [pdu(received, **meta | {"misfit": wrong}) for wrong in (far[1:], 3.0)]
    ((meta, _),) = send(block, [*refused, pdu(received, **meta | {"misfit": far})])
    assert meta["packets_open"] == meta["packets_lost"] and block.frames_refused == 2


def test_the_label_can_be_kept_from_the_model(noisy, send, pdu):
    _, llrs = noisy
    ((meta, received),) = send(tokcom.packet_decoder(), [llrs])
    seen = []
    for use_cmi in (True, False):
        block = tokcom.token_recovery(mode="mask", use_cmi=use_cmi)
        recover = block._recoveries.recover_all
        block._recoveries.recover_all = lambda left, stop, recover=recover: (
            seen.append(left[0].frame.cmi) or recover(left, stop)
        )
        send(block, [pdu(received, **meta)])
    assert seen == [7, None]


@pytest.mark.parametrize(
    ("bad", "message"),
    [({"mode": "guess"}, "mode is 'guess'"), ({"rounds": 0}, "rounds is 0"), ({"list_size": 0}, "list_size is 0"),
     ({"max_seconds": -1.0}, "seconds is -1")],
)  # fmt: skip
def test_bad_parameters_are_named(bad, message):
    with pytest.raises(ParameterError, match=message):
        tokcom.token_recovery(**bad)


@pytest.mark.parametrize("alive", [True, False])
def test_with_an_edge_server_or_a_dead_one_every_frame_comes(frames, send, alive):
    pytest.importorskip("zmq")
    from tokcom.models.edge import load_edge_models
    from tokcom.offload.server import EdgeServer

    with EdgeServer(load_edge_models("caltech64", "cpu"), "tcp://127.0.0.1:0") as server:
        if not alive:
            server.stop()
        block = tokcom.token_recovery(
            mode="mask", steps=2, server=f"{server.endpoint}?deadline={60 if alive else 0.05}"
        )
        out = send(block, frames(2))
        assert len(out) == 2 and all((tokens != LOST).all() for _, tokens in out)
        assert (server.counters.answered > 0) == alive
    if alive:
        here = send(tokcom.token_recovery(mode="mask", steps=2), frames(2))
        assert all(np.array_equal(one[1], other[1]) for one, other in zip(out, here, strict=True))
