"""Speed of the blocks, in separate flowgraphs on a given number of processors."""

import os
import threading
import time
from collections.abc import Callable

import numpy as np
import pmt
from gnuradio import blocks, gr, tokcom
from gnuradio.tokcom._frame_keys import frame_keys
from gnuradio.tokcom._pdu import make_pdu

from tokcom.frame import TokenFrame
from tokcom.link.transmitter import Transmitter
from tokcom_lab.workers import workers

PATIENCE = 600


def on_processors(count: int, measure: Callable[..., float], *arguments: object) -> float:
    """Run a measurement in a process restricted to `count` processors."""
    with workers(1, _keep_to, count) as pool:
        return pool.submit(measure, *arguments).result()


def _keep_to(count: int) -> None:
    if hasattr(os, "sched_setaffinity"):  # not on macOS and Windows
        os.sched_setaffinity(0, sorted(os.sched_getaffinity(0))[:count])


def sync_rate(samples: int, seed: int) -> float:
    """Measure the rate at which burst_sync searches noise, in million samples per second."""
    return stream_rate(tokcom.burst_sync(), samples, seed)


def receiver_rate(bursts: int, seed: int, together: bool = True) -> float:
    """Measure the rate, in million samples per second, at which burst_sync, burst_demodulator and packet_decoder
    receive back-to-back bursts of 64 packets; with `together`, on one core, as in the examples."""
    rng = np.random.default_rng(seed)
    sent = [Transmitter().transmit(frame, frame.frame_id) for frame in _frames(min(bursts, 100), seed)]
    stream = np.concatenate(sent)
    stream = stream + (rng.standard_normal((len(stream), 2)) @ np.array([0.1, 0.1j]))
    rounds = bursts // len(sent)
    source = blocks.vector_source_c(stream.astype(np.complex64).tolist(), True)
    # Messages under way when the stream ends would be lost: it waits at an empty pipe instead.
    pipe, other_end = os.pipe()
    waiting = blocks.file_descriptor_source(gr.sizeof_gr_complex, pipe)
    then = blocks.stream_mux(gr.sizeof_gr_complex, [rounds * len(stream), 1 << 30])
    sync, demodulator, decoder = tokcom.burst_sync(), tokcom.burst_demodulator(bursts + 1), tokcom.packet_decoder("")
    if together and hasattr(os, "sched_getaffinity"):
        for block in (sync, demodulator, decoder):
            block.set_processor_affinity([min(os.sched_getaffinity(0))])
    awaiting = Awaiting(rounds * len(sent))
    top = gr.top_block(catch_exceptions=False)
    top.connect(source, (then, 0))
    top.connect(waiting, (then, 1))
    top.connect(then, sync)
    top.msg_connect(sync, "bursts", demodulator, "bursts")
    top.msg_connect(demodulator, "llrs", decoder, "llrs")
    top.msg_connect(decoder, "tokens", awaiting, "in")
    return rounds * len(stream) / _seconds(top, awaiting, lambda: os.close(other_end)) / 1e6


def transmitter_rate(bursts: int, seed: int) -> float:
    """Measure the rate, in million samples per second, at which token_packetizer, packet_encoder, token_mapper and
    burst_framer make bursts of 64 packets from tokens."""
    packetizer, encoder, mapper = tokcom.token_packetizer(), tokcom.packet_encoder(), tokcom.token_mapper()
    framer, awaiting = tokcom.burst_framer(padding=0, queue_size=bursts), Awaiting(bursts)
    top = gr.top_block(catch_exceptions=False)
    top.msg_connect(packetizer, "packets", encoder, "packets")
    top.msg_connect(encoder, "bits", mapper, "bits")
    top.msg_connect(mapper, "symbols", framer, "symbols")
    top.msg_connect(framer, "sent", awaiting, "in")
    top.connect(framer, blocks.null_sink(gr.sizeof_gr_complex))
    length = len(Transmitter().transmit(next(iter(_frames(1, seed))), 0))
    for frame in _frames(bursts, seed):
        pdu = make_pdu(pmt.make_dict(), frame_keys(frame), frame.tokens)
        packetizer.to_basic_block()._post(pmt.intern("tokens"), pdu)
    return bursts * length / _seconds(top, awaiting) / 1e6


def _frames(count: int, seed: int) -> list[TokenFrame]:
    rng = np.random.default_rng(seed)
    return [TokenFrame(rng.integers(0, 1024, 256), "random", 1024, (16, 16), frame_id=i) for i in range(count)]


def _seconds(top: gr.top_block, awaiting: "Awaiting", release: Callable[[], None] = lambda: None) -> float:
    started = time.perf_counter()
    top.start()
    arrived = awaiting.done.wait(PATIENCE)
    taken = time.perf_counter() - started
    release()
    top.stop()
    top.wait()
    if not arrived:
        raise TimeoutError(f"{awaiting.count} messages arrived within {PATIENCE} s")
    return taken


def stream_rate(receiver: object, samples: int, seed: int, sink: object | None = None) -> float:
    """Measure the rate at which a receiving block processes noise, in million samples per second."""
    rng = np.random.default_rng(seed)
    noise = (rng.standard_normal((1 << 20, 2)) @ np.array([0.1, 0.1j])).astype(np.complex64)
    top = gr.top_block(catch_exceptions=False)
    source, head = blocks.vector_source_c(noise.tolist(), True), blocks.head(gr.sizeof_gr_complex, samples)
    top.connect(source, head, receiver)
    if sink is not None:
        top.connect(receiver, sink)
    started = time.perf_counter()
    top.run()
    return samples / (time.perf_counter() - started) / 1e6


class Awaiting(gr.basic_block):
    """Block that counts messages and sets `done` once the expected number has arrived."""

    def __init__(self, expected: int):
        gr.basic_block.__init__(self, name="Awaiting", in_sig=None, out_sig=None)
        self.done, self.count, self._expected = threading.Event(), 0, expected
        self.message_port_register_in(pmt.intern("in"))
        self.set_msg_handler(pmt.intern("in"), self._take)

    def _take(self, message: object) -> None:
        self.count += 1
        if self.count == self._expected:
            self.done.set()
