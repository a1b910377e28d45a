"""The blocks in a row do what link.Transmitter and link.Receiver do, bit for bit."""

import itertools
import math
import threading

import numpy as np
import pmt
import pytest
from gnuradio import analog, blocks, gr, pdu, tokcom

from tokcom.channel.awgn import awgn, noise_variance
from tokcom.context.recovery import Recovery, RecoverySettings
from tokcom.link import Burst, LinkConfig, Receiver, Transmitter
from tokcom.models.zoo import DEFAULT_MODEL, load_context, load_tokenizer
from tokcom.tokenizers.pictures import load_picture

SEED = 3
ESN0_DB = 5.5


class Collector(gr.basic_block):
    """Keeps messages; `done` is set once as many as expected are here."""

    def __init__(self, expected):
        gr.basic_block.__init__(self, name="Collector", in_sig=None, out_sig=None)
        self.messages, self.done, self._expected = [], threading.Event(), expected
        self.message_port_register_in(pmt.intern("in"))
        self.set_msg_handler(pmt.intern("in"), self._take)

    def _take(self, message):
        self.messages.append((pmt.to_python(pmt.car(message)), np.asarray(pmt.to_python(pmt.cdr(message)))))
        if len(self.messages) == self._expected:
            self.done.set()


class Chain(gr.top_block):
    """Source to recovery, with the noise of one long vector instead of a generator's."""

    def __init__(self, pictures, code, noise):
        gr.top_block.__init__(self, catch_exceptions=False)
        self.source = tokcom.image_source([str(path) for path in pictures], window=0)
        self.tokenizer = tokcom.image_tokenizer(cmi="7")
        self.packetizer = tokcom.token_packetizer(seed=SEED)
        self.encoder, self.mapper = tokcom.packet_encoder(code), tokcom.token_mapper()
        self.to_stream = pdu.pdu_to_tagged_stream(gr.types.complex_t, "packet_len")
        self.noise, self.add = blocks.vector_source_c(noise.tolist()), blocks.add_cc()
        self.to_pdu = pdu.tagged_stream_to_pdu(gr.types.complex_t, "packet_len")
        self.demapper, self.decoder = tokcom.token_demapper(ESN0_DB), tokcom.packet_decoder()
        self.recovery = tokcom.token_recovery(temperature=1.0, choice_temperature=1.0, guidance=0.5, seed=SEED)
        self.sent, self.received, self.recovered = (Collector(len(pictures)) for _ in range(3))
        row = (self.tokenizer, self.packetizer, self.encoder, self.mapper)
        self.msg_connect(self.source, "pictures", self.tokenizer, "pictures")
        for block, after in itertools.pairwise(row):
            self.msg_connect(block, block.OUTPUT, after, after.INPUT)
        self.msg_connect(self.mapper, "symbols", self.to_stream, "pdus")
        self.connect(self.to_stream, (self.add, 0))
        self.connect(self.noise, (self.add, 1))
        self.connect(self.add, self.to_pdu)
        self.msg_connect(self.to_pdu, "pdus", self.demapper, "symbols")
        self.msg_connect(self.demapper, "llrs", self.decoder, "llrs")
        self.msg_connect(self.decoder, "tokens", self.recovery, "tokens")
        self.msg_connect(self.tokenizer, "tokens", self.sent, "in")
        self.msg_connect(self.decoder, "tokens", self.received, "in")
        self.msg_connect(self.recovery, "tokens_recovered", self.recovered, "in")


@pytest.mark.parametrize("code", ["k7", "k3"])
def test_flowgraph_and_library_agree_bit_for_bit(code, photographs):
    config = LinkConfig(code)
    tokenizer, transmitter = load_tokenizer(DEFAULT_MODEL), Transmitter(config)
    settings = RecoverySettings(temperature=1.0, choice_temperature=1.0, guidance=0.5, seed=SEED)
    receiver = Receiver(config, Recovery(load_context(DEFAULT_MODEL), settings))
    frames = [tokenizer.tokenize(load_picture(path), cmi=7, frame_id=i) for i, path in enumerate(photographs)]
    bursts = [transmitter.transmit(frame, SEED + frame.frame_id) for frame in frames]
    rng = np.random.default_rng(SEED)
    noise = [awgn(np.zeros_like(burst.symbols), ESN0_DB, rng) for burst in bursts]
    receptions = [
        receiver.receive(Burst(burst.symbols + added, burst.frame, burst.layout_seed), noise_variance(ESN0_DB))
        for burst, added in zip(bursts, noise, strict=True)
    ]

    top = Chain(photographs, code, np.concatenate([added.ravel() for added in noise]))
    top.start()
    assert top.recovered.done.wait(120)
    top.stop()
    top.wait()

    assert any(reception.frame.lost.any() for reception in receptions), "nothing was lost: the test shows nothing"
    for collector, expected in (
        (top.sent, [frame.tokens for frame in frames]),
        (top.received, [reception.frame.tokens for reception in receptions]),
        (top.recovered, [reception.recovered.tokens for reception in receptions]),
    ):
        got = {meta["frame_id"]: tokens for meta, tokens in collector.messages}
        assert all(np.array_equal(got[i], tokens) for i, tokens in enumerate(expected))
    metas = {meta["frame_id"]: meta for meta, _ in top.recovered.messages}
    for i, (path, reception) in enumerate(zip(photographs, receptions, strict=True)):
        assert metas[i]["name"] == path.stem, "metadata is forwarded to the end"
        assert metas[i]["packets_lost"] == (~reception.packets_ok).sum()
        assert metas[i]["esn0_db"] == ESN0_DB and metas[i]["layout_seed"] == SEED + i


def test_the_stock_noise_source_has_the_power_that_the_demapper_is_told():
    top = gr.top_block(catch_exceptions=False)
    source = analog.noise_source_c(analog.GR_GAUSSIAN, math.sqrt(noise_variance(ESN0_DB)), 1)
    head, sink = blocks.head(gr.sizeof_gr_complex, 200_000), blocks.vector_sink_c()
    top.connect(source, head, sink)
    top.run()
    assert abs(np.mean(np.abs(sink.data()) ** 2) / noise_variance(ESN0_DB) - 1) < 5 / math.sqrt(200_000)
