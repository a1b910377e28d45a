"""The transmitter and the receiver in one block each, and the chains of blocks that they stand for."""

import os
import threading
import time

import numpy as np
import pytest
from gnuradio import blocks, gr, tokcom

from tokcom.errors import ParameterError
from tokcom.link.transmitter import TransmitConfig, Transmitter
from tokcom.models.zoo import load_classifier, load_tokenizer
from tokcom.tokenizers.pictures import load_picture, square


@pytest.fixture
def link(collector, photographs):
    """Sends photographs through transmitter, channel and receiver until as many as expected are recovered."""

    def run(transmitter, receiver, expected, snr_db=100.0):
        top, samples = gr.top_block(catch_exceptions=False), blocks.vector_sink_c()
        got = {port: collector(expected) for port in ("tokenized", "sent", "bursts", "lost", "recovered")}
        figures = collector(1, "per")  # reports before the first picture have none
        channel = tokcom.channel_model(1e6, 1, 0.0625, snr_db, 2e3)
        top.connect(transmitter, channel, receiver)
        top.connect(transmitter, samples)
        for port in ("tokenized", "sent", "bursts"):
            top.msg_connect(transmitter, port, got[port], "in")
        for port in ("lost", "recovered"):
            top.msg_connect(receiver, port, got[port], "in")
        top.msg_connect(receiver, "figures", figures, "in")
        top.msg_connect(receiver, "recovered", transmitter, "delivered")
        top.start()
        try:
            assert all(entry.done.wait(120) for entry in (*got.values(), figures))
        finally:
            top.stop()
            top.wait()
        return {port: entry.messages for port, entry in got.items()}, np.array(samples.data(), np.complex64), figures

    return run


def test_the_samples_are_those_of_the_library(link, photographs):
    transmitter = tokcom.image_transmitter(
        [str(path) for path in photographs[:2]], repeat=False, interval=0, window=1, mcs="qpsk-3/4", seed=7,
        padding=300, visits=2,
    )  # fmt: skip
    got, samples, _ = link(transmitter, tokcom.image_receiver(), 2)
    tokenizer, classifier = load_tokenizer("caltech64", 2), load_classifier("caltech64")
    wanted = []
    for number, path in enumerate(photographs[:2]):
        picture = load_picture(path)
        small = square(picture, 64)
        frame = tokenizer.tokenize(small, cmi=classifier.label(small), frame_id=number)
        wanted += [Transmitter(TransmitConfig("qpsk-3/4")).transmit(frame, 7 + number) * 0.25, np.zeros(300)]
        sent = got["sent"][number][1].reshape(picture.shape)
        assert np.array_equal(sent, picture)
        assert np.array_equal(got["recovered"][number][0]["tokens"], frame.tokens)
        assert np.array_equal(got["recovered"][number][1], got["tokenized"][number][1])
    assert np.allclose(samples, np.concatenate(wanted), atol=1e-6)
    assert [meta["dropped.framer"] for meta, _ in got["bursts"]] == [0, 0]


def test_losses_are_shown_and_made_good(link, photographs):
    transmitter = tokcom.image_transmitter([str(photographs[1])], repeat=True, interval=0, window=2, visits=0)
    got, _, figures = link(transmitter, tokcom.image_receiver(1e6), 3, snr_db=4.1)
    for (lost, _), (whole, _) in zip(got["lost"], got["recovered"], strict=False):
        assert (lost["tokens"] == -1).sum() == 4 * whole["packets_lost"] > 0
        assert (whole["tokens"] >= 0).all() and len(whole["confidence"]) == 256
    figures = figures.messages[0][0]
    assert 0.05 < figures["per"] < 0.8 and figures["cfo_hz"] == pytest.approx(2000, abs=50) and "ter" not in figures
    assert figures["dropped"] == {"demodulator": 0, "recovery": 0}


def test_a_receiver_is_made_where_the_system_has_no_affinity(monkeypatch):
    monkeypatch.delattr(os, "sched_getaffinity")
    assert not tokcom.token_receiver().burst_sync.processor_affinity()


def test_setters_reach_the_blocks_inside():
    transmitter = tokcom.image_transmitter()
    transmitter.set_mcs("bpsk-1/2")
    transmitter.set_amplitude(0.1)
    with pytest.raises(ParameterError, match="8psk"):
        transmitter.set_mcs("8psk")
    with pytest.raises(ParameterError, match="amplitude"):
        transmitter.set_amplitude(0)


class Counter(gr.sync_block):
    """Counts samples; `done` is set once there were so many, with and without a signal."""

    def __init__(self, expected):
        gr.sync_block.__init__(self, name="Counter", in_sig=[np.complex64], out_sig=None)
        self.done, self.count, self.loud, self._expected = threading.Event(), 0, 0, expected

    def work(self, input_items, output_items):
        self.count += len(input_items[0])
        self.loud += int((input_items[0] != 0).sum())
        if self.count >= self._expected and self.loud:
            self.done.set()
        return len(input_items[0])


def test_silence_between_bursts_is_sent_at_the_sample_rate(photographs):
    transmitter = tokcom.image_transmitter(
        [str(photographs[0])], interval=0.1, continuous=True, sample_rate=1e6, visits=0
    )
    top, counter = gr.top_block(catch_exceptions=False), Counter(300_000)
    top.connect(transmitter, counter)
    started = time.monotonic()
    top.start()
    try:
        assert counter.done.wait(120)
        # The count first: however long anything takes, no more samples pass than their time allows.
        count, taken = counter.count, time.monotonic() - started
    finally:
        top.stop()
        top.wait()
    assert counter.loud < counter.count / 2 and taken > 0.9 * count / 1e6


@pytest.mark.parametrize(
    "bad", [{"interval": 0}, {"interval": -1}, {"mcs": "8psk"}, {"amplitude": 0}, {"stream_id": 64}, {"sample_rate": 0},
            {"seed": -1}, {"profile": "loud"}, {"images": "none-such"}],
)  # fmt: skip
def test_wrong_parameters_of_the_transmitter_are_told(bad):
    name, value = next(iter(bad.items()))
    with pytest.raises(ValueError, match=f"{name}|{value}"):
        tokcom.image_transmitter(**bad)


@pytest.mark.parametrize("bad", [{"sample_rate": 0}, {"profile": "loud"}, {"mode": "guess"}, {"queue_size": 0}])
def test_wrong_parameters_of_the_receiver_are_told(bad):
    name, value = next(iter(bad.items()))
    with pytest.raises(ValueError, match=f"{name}|{value}"):
        tokcom.image_receiver(**bad)
