"""Frames of every kind from packetizer to decoder: bits, and tokens in other shapes and layouts."""

from itertools import pairwise

import numpy as np
import pmt
import pytest
from gnuradio import gr, tokcom

from tokcom.frame import BitFrame, TokenFrame
from tokcom.link.transmitter import TransmitConfig, Transmitter
from tokcom.packets.codebook import codebook_id

DONE = pmt.cons(pmt.intern("done"), pmt.from_long(1))
RNG = np.random.default_rng(5)
BYTES = RNG.bytes(1000)
SIZES = (1024, 64, 5)
TOKENS = RNG.integers(0, np.repeat(SIZES, 32)).astype(np.int32)
BITS_PDU = {"payload": "bits", "codebook": "random bytes", "frame_id": 7}
TOKENS_PDU = {
    "modality": "video", "codebook": "films", "codebook_size": 1024, "grid": (3, 4, 8), "quantizers": 3, "cmi": 5,
    "frame_id": (1 << 20) + 8, "sizes": SIZES, "description": np.array([1, 7, 250], np.uint8),
}  # fmt: skip


def over_the_air(packetizer, pdus, ports, snr_db=20.0, adapt=None):
    """PDUs through transmitter, channel and receiver, until as many as the collectors expect are out."""
    top = gr.top_block(catch_exceptions=False)
    chain = [packetizer, tokcom.packet_encoder(), tokcom.token_mapper(), tokcom.burst_framer(padding=1000)]
    names = ["packets", "bits", "symbols"]
    if adapt is not None:
        chain.insert(1, adapt)
        names.insert(0, "packets")
    back = (tokcom.burst_sync("standard"), tokcom.burst_demodulator(), tokcom.packet_decoder())
    for (a, b), name in zip(pairwise(chain), names, strict=True):
        top.msg_connect(a, name, b, name)
    channel = tokcom.channel_model(snr_db=snr_db, reference_power=0.25**2)
    top.connect(chain[-1], channel, back[0])
    top.msg_connect(back[0], "bursts", back[1], "bursts")
    top.msg_connect(back[1], "llrs", back[2], "llrs")
    for port, collector in ports.items():
        top.msg_connect(back[2], port, collector, "in")
    for each in pdus:
        packetizer.to_basic_block()._post(pmt.intern("tokens"), each)
    packetizer.to_basic_block()._post(pmt.intern("system"), DONE)
    top.start()
    for collector in ports.values():
        assert collector.done.wait(120)
    top.stop()
    top.wait()
    return back[2]


@pytest.mark.parametrize("adapt", [None, "cqi"])
def test_bits_and_tokens_come_out_of_ports_of_their_own(pdu, collector, adapt):
    bits = BitFrame.of_bytes(BYTES, "random bytes").bits
    tokens_out, bits_out = collector(1), collector(1)
    decoder = over_the_air(
        tokcom.token_packetizer(4, layout="importance"), [pdu(bits, **BITS_PDU), pdu(TOKENS, **TOKENS_PDU)],
        {"bits": bits_out, "tokens": tokens_out}, adapt=adapt and tokcom.semantic_mcs(adapt),
    )  # fmt: skip
    ((meta, got),) = bits_out.messages
    assert np.array_equal(got, bits) and meta["payload"] == "bits" and meta["packets_lost"] == 0
    assert BitFrame(got.astype(np.int32), meta["codebook"]).to_bytes() == BYTES
    assert meta["codebook"] == f"unknown-{codebook_id('random bytes'):08x}" and "llrs" not in meta
    ((meta, got),) = tokens_out.messages
    assert np.array_equal(got, TOKENS) and "payload" not in meta and meta["layout"] == "importance"
    assert (meta["grid"], meta["quantizers"], meta["sizes"]) == ((3, 4, 8), 3, SIZES)
    assert (meta["cmi"], meta["frame_id"], meta["description"].tolist()) == (5, 8, [1, 7, 250])
    assert decoder.packets_seen == 24 + 32 and decoder.frames_unknown.total() == 2


@pytest.mark.parametrize(
    ("frame", "meta"),
    [
        (BitFrame.of_bytes(BYTES, "random bytes", 7), BITS_PDU),
        (
            TokenFrame(TOKENS, "films", 1024, (3, 4, 8), "video", 5, 8, 3, SIZES, 0, b"\1\7\xfa"),
            TOKENS_PDU | {"frame_id": 8},
        ),
    ],
    ids=["bits", "tokens"],
)
def test_the_packetizer_lays_out_as_the_library_does(pdu, send, frame, meta):
    for layout in ("spread", "contiguous", "importance"):
        block = tokcom.token_packetizer(4, 3, layout, 300)
        ((out, packets),) = send(block, [pdu(frame.tokens, **meta)])
        config = TransmitConfig(tokens_per_packet=4, layout=layout, bits_per_packet=300)
        wanted = Transmitter(config).packetize(frame, 3 + frame.frame_id)
        assert np.array_equal(packets.reshape(wanted.shape), wanted)
        bits = "payload" in meta
        assert out.get("layout", "spread") == ("contiguous" if bits else layout)
        assert out["layout_seed"] == (11 if layout == "spread" and not bits else 0)
        assert out["tokens_per_packet"] == (300 if bits else 4)


@pytest.mark.parametrize("wrong", [{"payload": "words"}, {"payload": 3}, {"codebook": None}])
def test_bits_that_are_none_are_refused(pdu, send, wrong):
    meta = {key: value for key, value in (BITS_PDU | wrong).items() if value is not None}
    block = tokcom.token_packetizer()
    assert send(block, [pdu(np.array([0, 1, 1], np.int32), **meta), pdu(np.array([0, 2], np.int32), **BITS_PDU)]) == []
    assert block.frames_refused == 2
