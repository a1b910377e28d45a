"""A flowgraph that ends at a network and one that begins there, over loopback."""

import asyncio
import threading
from concurrent.futures import ThreadPoolExecutor
from types import SimpleNamespace

import numpy as np
import pmt
import pytest
from gnuradio import gr, tokcom

from tokcom.errors import ParameterError, TransportError
from tokcom.models.codebooks import codebook

BOOK = codebook("caltech64")


def described(number):
    return {
        "frame_id": number, "modality": "image", "codebook": BOOK.name, "codebook_size": BOOK.size, "grid": (16, 16),
        "cmi": 3,
    }  # fmt: skip


def test_frames_pass_from_flowgraph_to_flowgraph(pdu, collector):
    source = tokcom.token_datagram_source(0, mode="none", repeats="none")
    out = collector(3)
    receiving = gr.top_block(catch_exceptions=False)
    receiving.msg_connect(source, "tokens", out, "in")
    receiving.kept = source, out
    receiving.start()
    sink = tokcom.token_datagram_sink(f"127.0.0.1:{source.port}")
    tokens = np.random.default_rng(0).integers(0, BOOK.size, (3, 256)).astype(np.int32)
    # A radio has lost a packet of the last one.
    positions = tokcom.token_packetizer()._transmitter.positions
    from tokcom.frame import TokenFrame

    tokens[2, positions(TokenFrame(tokens[2], BOOK.name, BOOK.size, (16, 16), frame_id=2), 2)[5]] = -1
    sending = gr.top_block(catch_exceptions=False)
    store = collector(3)
    sending.msg_connect(sink, "sent", store, "in")
    for number in range(3):
        sink.to_basic_block()._post(pmt.intern("tokens"), pdu(tokens[number], **described(number)))
    sending.start()
    assert store.done.wait(60) and out.done.wait(60)
    stopped = threading.Thread(target=lambda: (sending.stop(), sending.wait()))
    stopped.start()
    stopped.join(60)
    receiving.stop()
    receiving.wait()
    found = {meta["frame_id"]: (meta, data) for meta, data in out.messages}
    assert all(np.array_equal(found[number][1], tokens[number]) for number in range(3))
    meta = found[2][0]
    assert (meta["packets"], meta["packets_lost"], meta["cmi"], meta["grid"]) == (64, 1, 3, (16, 16))
    assert meta["codebook"] == BOOK.name and "cmi_name" in meta


@pytest.mark.parametrize(
    ("make", "error", "message"),
    [
        (lambda: tokcom.token_datagram_sink("nowhere"), TransportError, "HOST:PORT"),
        (lambda: tokcom.token_datagram_sink(drop="all"), ParameterError, "surest"),
        (lambda: tokcom.token_datagram_sink(rate=-1.0), ParameterError, "at least 0"),
        (lambda: tokcom.token_datagram_source(70000), TransportError, "65535"),
        (lambda: tokcom.token_datagram_source(repeats="some"), ParameterError, "context"),
        (lambda: tokcom.token_datagram_source(alpha=0.0), ParameterError, "alpha"),
    ],
)
def test_what_cannot_work_is_refused_before_the_start(make, error, message):
    with pytest.raises(error, match=message):
        make()


def test_a_start_that_fails_leaves_no_thread():
    first = tokcom.token_datagram_source(0, mode="none", repeats="none")
    first.start()
    second = tokcom.token_datagram_source(first.port, mode="none", repeats="none")
    before = set(threading.enumerate())
    with pytest.raises(TransportError, match="choose another port"):
        second.start()
    assert set(threading.enumerate()) <= before and second.stop() and first.stop()


def test_frames_that_wait_are_bounded_in_bytes_and_number(monkeypatch):
    block, slow = tokcom.token_datagram_source(0, mode="none", repeats="none"), threading.Event()
    published = []
    monkeypatch.setattr(block, "_publish", lambda received: (slow.wait(30), published.append(received.n_bytes)))
    most = block._settings.max_bytes

    async def deliver(*sizes):
        block._worker, block._waiting, block._waiting_bytes = ThreadPoolExecutor(1), 0, 0
        for size in sizes:
            block._deliver(SimpleNamespace(n_bytes=size))
        slow.set()
        while block._waiting:
            await asyncio.sleep(0)
        block._worker.shutdown()

    asyncio.run(deliver(most + 1, 1, 1))
    # A single frame is taken, whatever it holds.
    assert (published, block.frames_refused, block._waiting_bytes) == ([most + 1], 2, 0)
    published.clear()
    slow.clear()
    asyncio.run(deliver(most // 2, most // 2, 1, 0))
    assert published == [most // 2, most // 2, 0] and block.frames_refused == 3
    published.clear()
    asyncio.run(deliver(*[1] * 300))
    assert len(published) == 256 and block.frames_refused == 3 + 44
