"""Each message block: what it adds to a frame, and what it does with a bad one."""

import numpy as np
import pmt
import pytest
from gnuradio import tokcom

from tokcom.errors import ModelError, ParameterError
from tokcom.frame import LOST
from tokcom.link import LinkConfig, Transmitter
from tokcom.packets.layout import packet_layout, unpack

FRAME = {"frame_id": 4, "modality": "image", "codebook": "caltech64", "codebook_size": 1024, "grid": (16, 16)}
TOKENS = np.random.default_rng(0).integers(0, 1024, 256).astype(np.int32)
PACKETS = {"packets": 64, "tokens_per_packet": 4, "layout_seed": 4}
CODED = Transmitter(LinkConfig()).encode(TOKENS.reshape(64, 4), 1024)
SYMBOLS = Transmitter(LinkConfig()).map(CODED)
LLRS = (CODED * 8.0 - 4).astype(np.float32)
PICTURE = np.random.default_rng(1).integers(0, 256, (30, 40, 3)).astype(np.uint8)

GOOD = {
    "image_tokenizer": (PICTURE, {"frame_id": 4, "height": 30, "width": 40}),
    "token_packetizer": (TOKENS, FRAME),
    "packet_encoder": (TOKENS, FRAME | PACKETS),
    "token_mapper": (CODED, FRAME | PACKETS | {"code": "k7"}),
    "token_demapper": (SYMBOLS, FRAME | PACKETS | {"code": "k7", "modulation": "16qam"}),
    "packet_decoder": (LLRS, FRAME | PACKETS | {"code": "k7"}),
    "image_detokenizer": (TOKENS, FRAME),
}
NEEDED = {
    "image_tokenizer": ["frame_id", "height", "width"],
    "token_packetizer": ["frame_id", "codebook", "codebook_size", "grid", "modality"],
    "packet_encoder": ["packets", "codebook_size"],
    "token_mapper": ["packets", "code"],
    "token_demapper": ["packets", "code", "modulation", "tokens_per_packet", "codebook_size"],
    "packet_decoder": ["packets", "code", "tokens_per_packet", "codebook_size", "layout_seed", "grid", "frame_id"],
    "image_detokenizer": ["frame_id", "codebook", "codebook_size", "grid", "modality"],
}
every = pytest.mark.parametrize("name", GOOD)


@every
def test_metadata_is_forwarded_and_time_is_kept(name, pdu, send):
    data, meta = GOOD[name]
    ((out, _),) = send(getattr(tokcom, name)(), [pdu(data, **meta, mine="kept")])
    assert out["mine"] == "kept"
    # image_detokenizer replaces nothing; the tokenizer and others only add.
    assert all(out[key] == value for key, value in meta.items() if key not in ("height", "width"))
    assert sum(key.startswith("seconds.") for key in out) == 1


@every
def test_a_bad_frame_is_counted_and_the_next_one_passes(name, pdu, send):
    data, meta = GOOD[name]
    without = [pdu(data, **{key: value for key, value in meta.items() if key != gone}) for gone in NEEDED[name]]
    mistyped = [pdu(data, **meta | {gone: "nonsense"}) for gone in NEEDED[name] if not isinstance(meta[gone], str)]
    strange = [
        pmt.intern("no PDU"),
        pmt.cons(pmt.PMT_NIL, pmt.PMT_NIL),
        pmt.cons(pmt.make_dict(), pmt.init_f64vector(2, [1.0, 2.0])),
        pdu(data.ravel()[:-1], **meta),
        pdu(data.ravel()[:0], **meta),
    ]
    block = getattr(tokcom, name)()
    bad = [*without, *mistyped, *strange]
    if name == "packet_encoder":
        bad = [message for message in bad if message is not strange[3]] + [pdu(TOKENS[:-1], **meta)]
    out = send(block, [*bad, pdu(data, **meta)])
    assert len(out) == 1 and block.frames_refused == len(bad)


@pytest.mark.parametrize("bad", [1024, -2])
@pytest.mark.parametrize("name", ["token_packetizer", "packet_encoder", "image_detokenizer"])
def test_tokens_outside_the_codebook_are_refused(name, bad, pdu, send):
    data, meta = GOOD[name]
    tokens = data.copy()
    tokens[5] = bad
    block = getattr(tokcom, name)()
    assert send(block, [pdu(tokens, **meta)]) == [] and block.frames_refused == 1


def test_words_that_the_codebook_lacks_are_refused_though_their_bits_would_fit(pdu, send):
    block = tokcom.packet_encoder()
    assert send(block, [pdu(np.full(256, 1000, np.int32), **FRAME | PACKETS | {"codebook_size": 1000})]) == []
    assert block.frames_refused == 1


def test_tokenizer_sends_the_label(pdu, send):
    data, meta = GOOD["image_tokenizer"]
    for cmi, expected in (("none", None), ("sunflower", "sunflower"), ("0", "BACKGROUND_Google")):
        ((out, tokens),) = send(tokcom.image_tokenizer(cmi=cmi), [pdu(data, **meta)])
        assert out.get("cmi_name") == expected and tokens.shape == (256,)
    ((out, _),) = send(tokcom.image_tokenizer(cmi="auto"), [pdu(data, **meta)])
    assert isinstance(out["cmi"], int)


def test_layouts_change_from_frame_to_frame(pdu, send):
    out = send(tokcom.token_packetizer(4, seed=65535), [pdu(TOKENS, **FRAME | {"frame_id": i}) for i in (0, 1)])
    assert [meta["layout_seed"] for meta, _ in out] == [65535, 0]
    for meta, packets in out:
        layout = packet_layout(256, 4, meta["layout_seed"])
        assert np.array_equal(unpack(packets.reshape(64, 4), layout), TOKENS)


def test_transmit_chain_makes_the_symbols_of_the_library(pdu, send):
    ((meta, bits),) = send(tokcom.packet_encoder("k7"), [pdu(TOKENS, **FRAME | PACKETS)])
    assert meta["code"] == "k7" and np.array_equal(bits, CODED.ravel())
    ((meta, symbols),) = send(tokcom.token_mapper("16qam"), [pdu(CODED, **FRAME | PACKETS | {"code": "k7"})])
    assert meta["modulation"] == "16qam" and np.array_equal(symbols.astype(np.complex64), SYMBOLS.ravel())


def test_decoder_counts_lost_packets(pdu, send):
    llrs = LLRS.copy()
    llrs[3] = np.random.default_rng(0).normal(size=llrs.shape[1])
    block = tokcom.packet_decoder()
    _data, meta = GOOD["packet_decoder"]
    ((out, tokens),) = send(block, [pdu(llrs, **meta)])
    assert out["packets_lost"] == block.packets_lost == 1 and block.packets_seen == 64
    assert (tokens == LOST).sum() == 4


def test_demapper_follows_the_channel(pdu, send):
    block = tokcom.token_demapper(3.0)
    block.set_esn0_db(13.0)
    data, meta = GOOD["token_demapper"]
    ((out, llrs),) = send(block, [pdu(data, **meta)])
    ((_, weaker),) = send(tokcom.token_demapper(3.0), [pdu(data, **meta)])
    assert out["esn0_db"] == 13.0 and np.allclose(llrs, 10 * weaker, rtol=1e-4)
    with pytest.raises(ParameterError, match="nan"):
        block.set_esn0_db(float("nan"))


@pytest.mark.parametrize(
    ("name", "arguments", "error", "message"),
    [
        ("image_tokenizer", {"model": "none"}, ModelError, "no model 'none'"),
        ("image_tokenizer", {"cmi": "unicorn"}, ParameterError, "class 'unicorn' is unknown"),
        ("token_packetizer", {"tokens_per_packet": 0}, ParameterError, "tokens_per_packet is 0"),
        ("token_packetizer", {"seed": 65536}, ParameterError, "seed is 65536"),
        ("packet_encoder", {"code": "k2"}, ParameterError, "'k2'"),
        ("token_mapper", {"modulation": "am"}, ParameterError, "'am'"),
        ("token_demapper", {"esn0_db": float("inf")}, ParameterError, "inf"),
        ("token_demapper", {"llr": "soft"}, ParameterError, "'soft'"),
        ("token_recovery", {"steps": 0}, ParameterError, "steps is 0"),
        ("token_recovery", {"queue_size": 0}, ParameterError, "queue_size is 0"),
        ("token_recovery", {"drop": "all"}, ParameterError, "'all'"),
        ("image_detokenizer", {"model": "/nowhere/else"}, ModelError, "/nowhere/else"),
    ],
)
def test_bad_parameters_stop_the_flowgraph_before_it_starts(name, arguments, error, message):
    with pytest.raises(error, match=message):
        getattr(tokcom, name)(**arguments)
