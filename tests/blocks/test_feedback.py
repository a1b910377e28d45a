"""The way back: what token_recovery says of a burst reaches semantic_mcs over a channel of its own."""

from itertools import pairwise

import numpy as np
import pmt
import pytest
from gnuradio import gr, tokcom

from tokcom.errors import ParameterError
from tokcom.packets.feedback import BANDS, Feedback

CARRIERS = np.linspace(4, 16, 52).astype(np.float32)
BURST = {
    "stream_id": 3, "frame_id": 41, "packets": 64, "packets_lost": 7, "packets_open": 1, "carrier_esn0_db": CARRIERS,
    "confidence": np.ones(256, np.float32),
}  # fmt: skip


def over_the_air(pdus, out, stream_id=3, snr_db=20.0):
    """Frames through encoder, transmitter, channel, receiver and decoder, until the end of the run."""
    top = gr.top_block(catch_exceptions=False)
    encoder, decoder = tokcom.feedback_encoder(), tokcom.feedback_decoder(stream_id)
    chain = (encoder, tokcom.packet_encoder(), tokcom.token_mapper(), tokcom.burst_framer(padding=1000))
    back = (tokcom.burst_sync("standard"), tokcom.burst_demodulator(), tokcom.packet_decoder())
    for (a, b), port in zip(pairwise(chain), ("packets", "bits", "symbols"), strict=True):
        top.msg_connect(a, port, b, port)
    channel = tokcom.channel_model(snr_db=snr_db, reference_power=0.25**2)
    top.connect(chain[-1], channel, back[0])
    top.kept = (*chain, channel, *back)  # the flowgraph alone does not keep Python's blocks alive
    top.msg_connect(back[0], "bursts", back[1], "bursts")
    top.msg_connect(back[1], "llrs", back[2], "llrs")
    top.msg_connect(back[2], "feedback", decoder, "tokens")
    top.msg_connect(decoder, "reports", out, "in")
    for each in pdus:
        encoder.to_basic_block()._post(pmt.intern("frames"), each)
    encoder.to_basic_block()._post(pmt.intern("system"), pmt.cons(pmt.intern("done"), pmt.from_long(1)))
    top.start()
    return top, decoder


def test_a_report_comes_back_over_the_air(pdu, collector):
    out = collector(2)
    frames = [pdu(np.zeros(4, np.int32), **(BURST | {"frame_id": number})) for number in (41, 42)]
    top, decoder = over_the_air(frames, out)
    assert out.done.wait(120)
    top.stop()
    top.wait()
    (first, content), (second, _) = out.messages
    assert content.size == 0 and set(first) == set(BURST) - {"confidence"} | {"seconds.feedback_decoder"}
    numbers = ("stream_id", "frame_id", "packets", "packets_lost", "packets_open")
    assert [first[key] for key in numbers] == [3, 41, 64, 7, 1]
    assert second["frame_id"] == 42 and decoder.reports_received == 2
    assert np.abs(first["carrier_esn0_db"] - CARRIERS.reshape(BANDS, 4).mean(axis=1)).max() <= 0.2501


def described(frame):
    return {
        "frame_id": 0, "modality": frame.modality, "codebook": frame.codebook, "codebook_size": 256,
        "grid": tuple(frame.grid),
    }  # fmt: skip


def test_semantic_mcs_takes_it_on_both_ports(pdu, send):
    frame = Feedback(3, 41, 64, 7, None, CARRIERS).to_frame()
    ((said, _),) = send(tokcom.feedback_decoder(-1), [pdu(frame.tokens, **described(frame))])
    block = tokcom.semantic_mcs("cqi", stream_id=3)
    message = pdu(np.zeros(1, np.uint8), **said)
    block._on_report(message)
    block._on_cqi(message)
    assert block.frames_refused == 0
    assert block._memory.now(0.0).carrier_esn0_db == pytest.approx(said["carrier_esn0_db"])


def test_reports_on_other_streams_and_lost_ones_are_passed_over(pdu, send):
    frame = Feedback(3, 41, 64, 7, None, CARRIERS).to_frame()
    meta, block = described(frame), tokcom.feedback_decoder(2)
    lost = np.full_like(frame.tokens, -1)
    assert send(block, [pdu(frame.tokens, **meta), pdu(lost, **meta)]) == []
    assert (block.reports_received, block.reports_lost, block.frames_refused) == (0, 1, 0)
    ((said, _),) = send(tokcom.feedback_decoder(3), [pdu(frame.tokens, **meta)])
    assert "packets_open" not in said


def test_one_report_for_several_bursts(pdu, send):
    frames = [pdu(np.zeros(1, np.uint8), **(BURST | {"frame_id": number})) for number in range(7)]
    out = send(tokcom.feedback_encoder(every=3), frames)
    assert [meta["frame_id"] for meta, _ in out] == [0, 1]


def test_frames_that_say_nothing_are_counted(pdu, send):
    block = tokcom.feedback_encoder()
    poor = {key: value for key, value in BURST.items() if key != "packets_lost"}
    assert send(block, [pdu(np.zeros(1, np.uint8), **poor)]) == [] and block.frames_refused == 1


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: tokcom.feedback_encoder(every=0), "every is 0"),
        (lambda: tokcom.feedback_encoder(mcs="8psk"), "'8psk'"),
        (lambda: tokcom.feedback_decoder(64), "stream_id is 64"),
        (lambda: tokcom.feedback_decoder(-2), "stream_id is -2"),
    ],
)
def test_bad_parameters_stop_the_flowgraph_before_it_starts(make, message):
    with pytest.raises(ParameterError, match=message):
        make()
