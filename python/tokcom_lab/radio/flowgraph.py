"""Measurement of the whole loopback in real time: throughput, latency and load."""

import tempfile
import threading
import time
from pathlib import Path

import numpy as np
import pmt
from gnuradio import gr, tokcom

from tokcom import keys
from tokcom.errors import TokcomError
from tokcom.phy.numerology import ESN0_OVER_SNR_DB
from tokcom_lab.memory import resident_mb
from tokcom_lab.workers import workers

AMPLITUDE = 0.25
CFO_HZ = 2000.0
WARM_UP = 20
"""Frames before the measurement starts: by then kernels are compiled and every pool has its size."""
PATIENCE = 120.0
"""Timeout for them in seconds."""
MINUTE = 60.0


def loopback(sample_rate: float, seconds: float, esn0_db: float, window: int, visits: int, seed: int) -> dict:
    """Run the loopback in a separate process, its stream of bursts and silence paced to the sample rate.

    Parameters:
        sample_rate: sample rate in Hz.
        seconds: minimum duration of the measurement; longer if no picture has arrived by then.
        esn0_db: Es/N0 in dB of the channel, white noise with an offset of 2 kHz; 16-QAM 1/2, mode "context".
        window: pictures under way, at least 1; the next one starts when one has arrived.
        visits: search passes per picture; 0: the encoder's own tokens.
        seed: seed of layout and noise.

    Returns:
        sample_rate; visits; seconds, duration of the measurement; frames_per_second at image_sink; latency_ms from
        image_source to image_sink; cpu_cores in use; rss_mb_start, rss_mb_end and rss_mb_by_minute; drops in all
        queues; frames; msps, million samples per second.

    Raises:
        TokcomError: pictures did not arrive.
    """
    with workers(1) as pool:
        return pool.submit(_loopback, sample_rate, seconds, esn0_db, window, visits, seed).result()


def _loopback(sample_rate: float, seconds: float, esn0_db: float, window: int, visits: int, seed: int) -> dict:
    with tempfile.TemporaryDirectory() as folder:
        transmitter = tokcom.image_transmitter(
            repeat=True, interval=0, window=window, amplitude=AMPLITUDE, continuous=True, sample_rate=sample_rate,
            seed=seed % 1024, visits=visits,
        )  # fmt: skip
        channel = tokcom.channel_model(sample_rate, seed, AMPLITUDE**2, esn0_db - ESN0_OVER_SNR_DB, CFO_HZ)
        receiver, sink, clock = tokcom.image_receiver(sample_rate), tokcom.image_sink(folder), Clock(folder)
        top = gr.top_block(catch_exceptions=False)
        top.connect(transmitter, channel, receiver)
        for block, port in (
            (transmitter, "sent"),
            (transmitter, "tokenized"),
            (receiver, "lost"),
            (receiver, "recovered"),
        ):
            top.msg_connect(block, port, sink, port)
        top.msg_connect(transmitter, "sent", clock, "sent")
        top.msg_connect(sink, "delivered", clock, "delivered")
        top.msg_connect(sink, "delivered", transmitter, "delivered")
        top.start()
        try:
            if not clock.warm.wait(PATIENCE):
                raise TokcomError(f"{clock.frames} of the first {WARM_UP} pictures arrived within {PATIENCE} s")
            rss, samples = resident_mb(), receiver.token_receiver.burst_sync.nitems_read(0)
            clock.reset()
            wall, cpu = time.perf_counter(), time.process_time()
            memory = [rss]
            while (left := seconds - (time.perf_counter() - wall)) > 0:
                threading.Event().wait(min(left, MINUTE))
                memory.append(resident_mb())
            if not clock.arrived.wait(PATIENCE):
                raise TokcomError(f"no picture arrived within {seconds + PATIENCE:g} s")
            wall, cpu = time.perf_counter() - wall, time.process_time() - cpu
            latencies = clock.latencies()
            report = {
                "sample_rate": sample_rate,
                "visits": visits,
                "seconds": round(wall, 3),
                "frames_per_second": round(len(latencies) / wall, 2),
                "latency_ms": {f"p{q}": round(1000 * float(np.percentile(latencies, q)), 1) for q in (50, 99)},
                "cpu_cores": round(cpu / wall, 2),
                "rss_mb_start": round(rss, 1),
                "rss_mb_end": round(memory[-1], 1),
                "rss_mb_by_minute": [round(value, 1) for value in memory],
                "drops": _drops(transmitter, receiver, sink),
                "frames": len(latencies),
                "msps": round((receiver.token_receiver.burst_sync.nitems_read(0) - samples) / wall / 1e6, 3),
            }
        finally:
            top.stop()
            top.wait()
    return report


def _drops(transmitter: tokcom.image_transmitter, receiver: tokcom.image_receiver, sink: tokcom.image_sink) -> int:
    """Count frames that any queue has dropped, or that were given up."""
    tokens = receiver.token_receiver
    return (
        transmitter.image_source.frames_missing + transmitter.image_tokenizer.inputs_dropped
        + transmitter.image_detokenizer.inputs_dropped + transmitter.token_transmitter.burst_framer.bursts_dropped
        + tokens.burst_demodulator.bursts_dropped + tokens.token_recovery.frames_dropped
        + receiver.detokenize_lost.inputs_dropped + receiver.detokenize_recovered.inputs_dropped
        + sink.frames_incomplete
    )  # fmt: skip


class Clock(gr.basic_block):
    """Block that measures each picture's latency from image_source to image_sink, and deletes the sink's files."""

    def __init__(self, folder: str):
        gr.basic_block.__init__(self, name="Clock", in_sig=None, out_sig=None)
        self._folder, self._turn = Path(folder), threading.Lock()
        self._sent: dict[int, float] = {}
        self._latencies: list[float] = []
        self.warm, self.arrived, self.frames = threading.Event(), threading.Event(), 0
        for port, handler in (("sent", self._on_sent), ("delivered", self._on_delivered)):
            self.message_port_register_in(pmt.intern(port))
            self.set_msg_handler(pmt.intern(port), handler)

    def reset(self) -> None:
        """Discard all measurements so far."""
        with self._turn:
            self._latencies.clear()
            self.arrived.clear()

    def latencies(self) -> list[float]:
        """Latency in seconds of each picture since the last reset."""
        with self._turn:
            return list(self._latencies)

    def _on_sent(self, pdu: object) -> None:
        now = time.perf_counter()
        with self._turn:
            self._sent[_frame_id(pdu)] = now

    def _on_delivered(self, pdu: object) -> None:
        now, frame_id = time.perf_counter(), _frame_id(pdu)
        with self._turn:
            self._latencies.append(now - self._sent.pop(frame_id, now))
            self.arrived.set()
        self.frames += 1
        if self.frames == WARM_UP:
            self.warm.set()
        for path in self._folder.glob(f"{frame_id:04d}-*.png"):
            path.unlink()


def _frame_id(pdu: object) -> int:
    return pmt.to_long(pmt.dict_ref(pmt.car(pdu), pmt.intern(keys.FRAME_ID), pmt.PMT_NIL))
