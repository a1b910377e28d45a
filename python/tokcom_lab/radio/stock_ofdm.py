"""GNU Radio's own OFDM link (digital.ofdm_tx, ofdm_rx), for comparison."""

import numpy as np
import pmt
from gnuradio import blocks, digital, gr

from tokcom_lab.radio.rates import stream_rate

PACKET_BYTES = 64
LENGTH_TAG = "packet_length"


class HeaderCounter(gr.basic_block):
    """Block that counts headers that the receiver decoded."""

    def __init__(self):
        gr.basic_block.__init__(self, name="Header Counter", in_sig=None, out_sig=None)
        self.good = 0
        self.message_port_register_in(pmt.intern("in"))
        self.set_msg_handler(pmt.intern("in"), self._take)

    def _take(self, message: object) -> None:
        self.good += pmt.is_dict(message)


class CountingReceiver(digital.ofdm_rx):
    """Variant of ofdm_rx with a counter of valid headers, which ofdm_rx itself does not report."""

    def __init__(self):
        made = []
        parser = digital.ofdm_txrx.digital.packet_headerparser_b

        def keep(*arguments: object) -> object:
            made.append(parser(*arguments))
            return made[-1]

        digital.ofdm_txrx.digital.packet_headerparser_b = keep
        try:
            digital.ofdm_rx.__init__(self, packet_length_tag_key=LENGTH_TAG, bps_payload=1)
        finally:
            digital.ofdm_txrx.digital.packet_headerparser_b = parser
        self.counter = HeaderCounter()
        self.msg_connect(made[0], "header_data", self.counter, "in")


def transmitted(packets: int, seed: int) -> list[np.ndarray]:
    """Modulate packets of random bytes to samples of unit mean power, one array per packet."""
    rng = np.random.default_rng(seed)
    source = blocks.vector_source_b(rng.integers(0, 256, packets * PACKET_BYTES, dtype=np.uint8).tolist())
    tagger = blocks.stream_to_tagged_stream(gr.sizeof_char, 1, PACKET_BYTES, LENGTH_TAG)
    sender, sink = digital.ofdm_tx(packet_length_tag_key=LENGTH_TAG, bps_payload=1), blocks.vector_sink_c()
    top = gr.top_block(catch_exceptions=False)
    top.connect(source, tagger, sender, sink)
    top.run()
    samples = np.array(sink.data(), np.complex64).reshape(packets, -1)
    return list(samples / np.sqrt(np.mean(np.abs(samples) ** 2)))


def header_success(snr_db: float, cfo: float, packets: int, seed: int) -> float:
    """Measure the share of packets whose header ofdm_rx decodes, in noise and with a frequency offset in rad/sample."""
    rng = np.random.default_rng((seed, 1))
    parts = [np.pad(samples, (int(rng.integers(300, 500)), 0)) for samples in transmitted(packets, seed)]
    stream = np.concatenate([*parts, np.zeros(2000)])
    stream = stream * np.exp(1j * cfo * np.arange(len(stream)))
    noise = rng.standard_normal((len(stream), 2)) @ np.array([1, 1j]) * np.sqrt(10 ** (-snr_db / 10) / 2)
    top = gr.top_block(catch_exceptions=False)
    receiver = CountingReceiver()
    source = blocks.vector_source_c((stream + noise).astype(np.complex64).tolist())
    top.connect(source, receiver, blocks.null_sink(gr.sizeof_char))
    top.run()
    return receiver.counter.good / packets


def noise_rate(samples: int, seed: int) -> float:
    """Measure the rate at which ofdm_rx searches noise, in million samples per second."""
    return stream_rate(digital.ofdm_rx(packet_length_tag_key=LENGTH_TAG), samples, seed, blocks.null_sink(1))
