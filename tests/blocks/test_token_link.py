"""Token Transmitter and Token Receiver: tokens and bits go in and come out, over the samples that the library makes."""

import numpy as np
import pmt
import pytest
from gnuradio import blocks, gr, tokcom

from tokcom.errors import ParameterError
from tokcom.frame import BitFrame, TokenFrame
from tokcom.link.transmitter import TransmitConfig, Transmitter
from tokcom.models.codebooks import codebook

BOOK = codebook("caltech64")
RNG = np.random.default_rng(3)
LINE = TokenFrame(RNG.integers(0, BOOK.size, 60), BOOK.name, BOOK.size, (60,), "text", frame_id=5)
BITS = BitFrame.of_bytes(RNG.bytes(200), "random bytes", frame_id=6)
LINE_KEYS = {
    "modality": "text", "codebook": BOOK.name, "codebook_size": BOOK.size, "grid": (60,), "frame_id": 5,
}  # fmt: skip
BITS_KEYS = {"payload": "bits", "codebook": "random bytes", "frame_id": 6}


class Feeder(gr.basic_block):
    """Sends messages when it is told to."""

    def __init__(self):
        gr.basic_block.__init__(self, name="Feeder", in_sig=None, out_sig=None)
        self.message_port_register_out(pmt.intern("out"))

    def feed(self, *messages):
        for message in messages:
            self.message_port_pub(pmt.intern("out"), message)


@pytest.fixture
def over_the_air(collector):
    """Messages through transmitter, channel and receiver; what came out of its ports, and the samples sent."""

    def run(transmitter, receiver, messages, ports, snr_db=30.0):
        top, feeder, samples = gr.top_block(catch_exceptions=False), Feeder(), blocks.vector_sink_c()
        channel = tokcom.channel_model(snr_db=snr_db, reference_power=0.25**2)
        top.msg_connect(feeder, "out", transmitter, "tokens")
        top.connect(transmitter, channel, receiver)
        top.connect(transmitter, samples)
        # Reports before the first frame have no error rate.
        got = {port: collector(count, "per" if port == "figures" else None) for port, count in ports.items()}
        for port, each in got.items():
            top.msg_connect(transmitter if port == "bursts" else receiver, port, each, "in")
        top.start()
        feeder.feed(*messages)
        try:
            assert all(each.done.wait(120) for each in got.values())
        finally:
            top.stop()
            top.wait()
        return {port: each.messages for port, each in got.items()}, np.array(samples.data(), np.complex64)

    return run


def test_tokens_and_bits_cross_as_the_library_sends_them(over_the_air, pdu):
    transmitter = tokcom.token_transmitter(
        "qpsk-1/2", stream_id=9, tokens_per_packet=5, layout="contiguous", bits_per_packet=400, padding=1200
    )
    messages = [pdu(LINE.tokens, **LINE_KEYS), pdu(BITS.bits, **BITS_KEYS)]
    ports = {"recovered": 1, "lost": 1, "bits": 1, "bursts": 2, "cqi": 2, "symbols": 2}
    got, samples = over_the_air(transmitter, tokcom.token_receiver(mode="list"), messages, ports)
    library = Transmitter(TransmitConfig("qpsk-1/2", 5, stream_id=9, layout="contiguous", bits_per_packet=400))
    wanted = [np.pad(library.transmit(frame) * 0.25, (0, 1200)) for frame in (LINE, BITS)]
    assert np.allclose(samples, np.concatenate(wanted), atol=1e-6)
    for port in ("lost", "recovered"):
        meta, tokens = got[port][0]
        assert np.array_equal(tokens, LINE.tokens) and meta["stream_id"] == 9 and meta["codebook"] == BOOK.name
    meta, bits = got["bits"][0]
    assert np.array_equal(bits, BITS.bits) and meta["frame_id"] == 6 and meta["packets_lost"] == 0
    assert [meta["frame_id"] for meta, _ in got["bursts"]] == [5, 6]


def test_what_was_lost_is_made_whole_and_counted(over_the_air, pdu):
    transmitter = tokcom.token_transmitter("16qam-1/2", padding=1200)
    receiver, ports = tokcom.token_receiver(mode="list"), {"lost": 1, "recovered": 1, "figures": 1}
    got, _ = over_the_air(transmitter, receiver, [pdu(LINE.tokens, **LINE_KEYS)], ports, 4.6)
    (lost, left), (whole, tokens) = got["lost"][0], got["recovered"][0]
    assert lost["packets_lost"] == (left == -1).sum() / 4 > 0 and not (tokens == -1).any()
    assert (tokens == LINE.tokens).sum() > (left == LINE.tokens).sum() and len(whole["confidence"]) == 60
    assert receiver.token_recovery.frames_recovered == got["figures"][0][0]["frames"] == 1


def test_streams_are_told_apart(over_the_air, pdu):
    receiver = tokcom.token_receiver(mode="keep", streams="1")
    receiver.set_streams("4")
    transmitter = tokcom.token_transmitter(stream_id=4, padding=1200)
    got, _ = over_the_air(transmitter, receiver, [pdu(LINE.tokens, **LINE_KEYS)], {"recovered": 1})
    assert got["recovered"][0][0]["stream_id"] == 4


def test_setters_reach_the_blocks_inside():
    transmitter = tokcom.token_transmitter(continuous=True)
    transmitter.set_mcs("bpsk-1/2")
    transmitter.set_amplitude(0.1)
    transmitter.set_schedule(0.0, 0.5)
    with pytest.raises(ParameterError, match="8psk"):
        transmitter.set_mcs("8psk")
    with pytest.raises(ParameterError, match="sample_rate is 0"):
        tokcom.token_transmitter(sample_rate=0)
