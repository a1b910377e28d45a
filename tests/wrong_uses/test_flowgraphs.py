"""What users do wrong in flowgraphs: a block refuses it when it is made, or logs it, counts it and goes on."""

import errno
from pathlib import Path

import numpy as np
import pmt
import pytest
from gnuradio import analog, blocks, gr, tokcom
from PIL import Image

from tokcom.errors import TokcomError

DONE = pmt.cons(pmt.intern("done"), pmt.from_long(1))

MADE = [
    ("a folder without pictures", "image_source", {"path": "empty"}, "empty: no pictures"),
    ("a picture that is not there", "image_source", {"path": "none.png"}, "none.png: no such picture or folder"),
    ("a negative interval", "image_source", {"interval": -1}, "interval is -1; it must be at least 0"),
    ("a tokenizer without its model", "image_tokenizer", {"model": "giant"}, "no model 'giant'; installed: caltech64"),
    ("a class that the model does not know", "image_tokenizer", {"cmi": "unicorn"}, "'unicorn'"),
    ("packets without tokens", "token_packetizer", {"tokens_per_packet": 0}, "tokens_per_packet is 0"),
    ("an MCS that does not exist", "packet_encoder", {"mcs": "8psk-1/2"}, "mcs is '8psk-1/2'; it must be"),
    ("no amplitude", "burst_framer", {"amplitude": 0}, "amplitude is 0; it must be above 0"),
    ("a stream beyond the header's field", "burst_framer", {"stream_id": 64}, "stream_id is 64"),
    ("a queue for nothing", "burst_framer", {"queue_size": 0}, "queue_size is 0; it must be at least 1"),
    ("a profile that does not exist", "burst_sync", {"profile": "loud"}, "profile is 'loud'; it must be one of"),
    ("a channel without a sample rate", "channel_model", {"sample_rate": 0}, "sample_rate is 0"),
    ("an SNR that is no number", "channel_model", {"snr_db": float("nan")}, "snr_db is nan"),
    ("a mode that does not exist", "token_recovery", {"mode": "guess"}, "mode is 'guess'; it must be one of"),
    ("pictures below a file", "image_sink", {"folder": "file/below"}, "file/below: pictures cannot be saved here"),
    ("pictures where nobody may write", "image_sink", {"folder": "/proc/out"}, "/proc/out: pictures cannot be saved"),
    ("a recording in the place of another", "sigmf_recorder", {"file": "lonely"}, "lonely"),
    ("a recording of no length", "sigmf_recorder", {"file": "new", "max_seconds": -1}, "max_seconds is -1"),
]  # fmt: skip


@pytest.mark.parametrize(("block", "settings", "message"), [row[1:] for row in MADE], ids=[row[0] for row in MADE])
def test_a_block_that_cannot_be_made_so(block, settings, message, nothing_left):
    with pytest.raises(TokcomError) as refused:
        getattr(tokcom, block)(**settings)
    assert message in str(refused.value) and "\n" not in str(refused.value)


FLOATS = pmt.cons(pmt.make_dict(), pmt.init_f32vector(4, [0.0] * 4))
BYTES = pmt.cons(pmt.make_dict(), pmt.init_u8vector(4, [0] * 4))
TOKENS = pmt.cons(pmt.make_dict(), pmt.init_s32vector(4, [0] * 4))
SAMPLES = pmt.cons(pmt.make_dict(), pmt.init_c32vector(4, [0j] * 4))

WIRED = [
    (
        "pictures from a block of floats",
        "image_tokenizer",
        FLOATS,
        "does not hold uint8 values; check what is connected",
    ),
    ("pictures without their size", "image_tokenizer", BYTES, "lacks the key 'height'; is the block before this one"),
    ("tokens from a block of bytes", "token_packetizer", BYTES, "does not hold int32 values; check what is connected"),
    ("tokens that nobody described", "token_packetizer", TOKENS, "lacks the key 'codebook'"),
    ("packets that are none", "packet_encoder", TOKENS, "lacks the key 'packets'"),
    ("bits that nobody coded", "token_mapper", BYTES, "lacks the key 'codebook_size'"),
    ("samples that Burst Sync did not cut", "burst_demodulator", SAMPLES, "lacks the key 'profile'"),
    ("LLRs that nobody demodulated", "packet_decoder", FLOATS, "lacks the key"),
    ("a message that is no PDU", "image_detokenizer", pmt.intern("hello"), "the message is not a PDU"),
]


@pytest.mark.parametrize(("block", "message", "said"), [row[1:] for row in WIRED], ids=[row[0] for row in WIRED])
def test_a_message_port_wired_to_the_wrong_block(block, message, said, nothing_left, capfd):
    instance = getattr(tokcom, block)()
    instance.to_basic_block()._post(pmt.intern(instance.INPUT), message)
    instance.to_basic_block()._post(pmt.intern("system"), DONE)
    top, store = gr.top_block(catch_exceptions=False), blocks.message_debug()
    top.msg_connect(instance, instance.OUTPUT, store, "store")
    top.start()
    top.wait()
    told = "".join(capfd.readouterr())
    assert instance.frames_refused == 1 and store.num_messages() == 0
    assert said in told and told.count("refused") == 1 and "Traceback" not in told


def test_samples_of_the_wrong_type():
    top = gr.top_block()
    with pytest.raises(ValueError, match="itemsize mismatch"):
        top.connect(analog.sig_source_f(1e3, analog.GR_COS_WAVE, 1, 1, 0), tokcom.burst_sync())


def test_a_port_that_does_not_exist():
    top = gr.top_block()
    with pytest.raises(RuntimeError, match="Port does not exist"):
        top.msg_connect(tokcom.token_packetizer(), "tokens", tokcom.packet_encoder(), "packets")
        top.start()


def test_pictures_onto_a_full_disk(place, monkeypatch, capfd):
    """It fills while the flowgraph runs: that is told, the flowgraph goes on, no half picture stays."""
    sink = tokcom.image_sink("out", compare=False)

    def full(self, path, *args, **kwargs):
        raise OSError(errno.ENOSPC, "No space left on device", str(path))

    monkeypatch.setattr(Image.Image, "save", full)
    meta = pmt.to_pmt({"frame_id": 1, "height": 2, "width": 2, "name": "owl"})
    sink.to_basic_block()._post(pmt.intern("recovered"), pmt.cons(meta, pmt.init_u8vector(12, [0] * 12)))
    sink.to_basic_block()._post(pmt.intern("system"), DONE)
    top, store = gr.top_block(catch_exceptions=False), blocks.message_debug()
    top.msg_connect(sink, "delivered", store, "store")
    top.start()
    top.wait()
    told = "".join(capfd.readouterr())
    assert sink.write_errors == 1 == sink.frames_delivered == store.num_messages() and sink.frames_refused == 0
    assert "picture not saved (1 so far): " in told and "No space left on device" in told and "Traceback" not in told
    assert list(Path("out").iterdir()) == []


def test_a_recording_onto_a_full_disk(place, capfd):
    """The recording ends and says so; the flowgraph runs on to its end."""
    for ending in ("data", "meta"):
        (place / f"full.sigmf-{ending}").symlink_to("/dev/full")
    recorder = tokcom.sigmf_recorder("full", overwrite=True)
    top = gr.top_block(catch_exceptions=False)
    source = blocks.vector_source_c(np.ones(400_000, np.complex64), False)
    top.connect(source, recorder)
    top.start()
    top.wait()
    told = "".join(capfd.readouterr())
    assert recorder.write_errors == 1 and "not recording: " in told and "Traceback" not in told
