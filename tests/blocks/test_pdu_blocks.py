"""Each message block: what it adds to a frame, and what it does with a bad one."""

import threading

import numpy as np
import pmt
import pytest
from gnuradio import tokcom
from gnuradio.tokcom._frame_keys import frame_keys, frame_of

from tokcom.errors import ModelError, ParameterError
from tokcom.frame import LOST, TokenFrame
from tokcom.link.packets import MixedPackets
from tokcom.link.receiver import Receiver
from tokcom.link.transmitter import TransmitConfig, Transmitter
from tokcom.models import descriptions
from tokcom.models.codebooks import codebook
from tokcom.models.description_points import describe_sound
from tokcom.models.zoo import load_context, load_tokenizer
from tokcom.packets.codebook import codebook_id
from tokcom.packets.identity import PacketIdentity
from tokcom.packets.layout import packet_layout, unpack
from tokcom.packets.mcs_map import MCS_NOT_SENT
from tokcom.source.filling import filled_picture
from tokcom.tokenizers.sounds import SAMPLE

CODEBOOK = codebook("caltech64").name

FRAME = {"frame_id": 4, "modality": "image", "codebook": CODEBOOK, "codebook_size": 1024, "grid": (16, 16)}
TOKENS = np.random.default_rng(0).integers(0, 1024, 256).astype(np.int32)
PACKETS = {"packets": 64, "tokens_per_packet": 4, "layout_seed": 4}
MCS = np.full(64, 6, np.uint8)
IDENTITY = PacketIdentity(9, 4, codebook_id(CODEBOOK))
CODED = MixedPackets(1024, 4, MCS).encode(TOKENS.reshape(64, 4), IDENTITY)
SYMBOLS = MixedPackets(1024, 4, MCS).map(CODED)
LLRS = (CODED * 8.0 - 4).astype(np.float32)
PICTURE = np.random.default_rng(1).integers(0, 256, (30, 40, 3)).astype(np.uint8)
HEADER = {
    "frame_id": 4, "stream_id": 9, "codebook_id": codebook_id(CODEBOOK), "layout_seed": 4, "grid": (16, 16),
    "tokens_per_packet": 4, "token_bits": 10, "packets": 64, "mcs": MCS,
}  # fmt: skip
SENT = TokenFrame(TOKENS, CODEBOOK, 1024, (16, 16), frame_id=4)
(FOUND,) = Receiver().search(np.pad(Transmitter(TransmitConfig(stream_id=9)).transmit(SENT, 4), 100))
BURST = {
    "profile": "standard", "long_start": FOUND.sync.long_start, "cfo": FOUND.sync.frequency,
    "sync_metric": FOUND.sync.metric, "burst_start": FOUND.position, "burst_length": FOUND.length,
}  # fmt: skip

GOOD = {
    "image_tokenizer": (PICTURE, {"frame_id": 4, "height": 30, "width": 40}),
    "token_packetizer": (TOKENS, FRAME),
    "packet_encoder": (TOKENS, FRAME | PACKETS),
    "token_mapper": (CODED, FRAME | PACKETS | {"mcs": MCS}),
    "burst_demodulator": (FOUND.samples, BURST),
    "packet_decoder": (LLRS, HEADER),
    "image_detokenizer": (TOKENS, FRAME),
}
NEEDED = {
    "image_tokenizer": ["frame_id", "height", "width"],
    "token_packetizer": ["frame_id", "codebook", "codebook_size", "grid", "modality"],
    "packet_encoder": ["packets", "codebook_size"],
    "token_mapper": ["packets", "mcs", "codebook_size", "tokens_per_packet"],
    "burst_demodulator": ["profile", "long_start", "cfo", "sync_metric"],
    "packet_decoder": list(HEADER),
    "image_detokenizer": ["frame_id", "codebook", "codebook_size", "grid", "modality"],
}
every = pytest.mark.parametrize("name", GOOD)
BRIEFLY = {"image_tokenizer": {"visits": 1}}
"""Settings under which a block does the same in less time."""


@every
def test_metadata_is_forwarded_and_time_is_kept(name, pdu, send):
    data, meta = GOOD[name]
    ((out, _),) = send(getattr(tokcom, name)(**BRIEFLY.get(name, {})), [pdu(data, **meta, mine="kept")])
    assert out["mine"] == "kept"
    # Only estimates are made better on the way.
    replaced = ("height", "width", "cfo")
    assert all(np.array_equal(out[key], value) for key, value in meta.items() if key not in replaced)
    assert sum(key.startswith("seconds.") for key in out) == 1


@every
def test_a_bad_frame_is_counted_and_the_next_one_passes(name, pdu, send):
    data, meta = GOOD[name]
    without = [pdu(data, **{key: value for key, value in meta.items() if key != gone}) for gone in NEEDED[name]]
    mistyped = [pdu(data, **meta | {gone: [1.5, "nonsense"]}) for gone in NEEDED[name]]
    strange = [
        pmt.intern("no PDU"),
        pmt.cons(pmt.PMT_NIL, pmt.PMT_NIL),
        pmt.cons(pmt.make_dict(), pmt.init_f64vector(2, [1.0, 2.0])),
        pdu(data.ravel()[:-1], **meta),
        pdu(data.ravel()[:0], **meta),
    ]
    block = getattr(tokcom, name)(**BRIEFLY.get(name, {}))
    bad = [*without, *mistyped, *strange]
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
        ((out, tokens),) = send(tokcom.image_tokenizer(cmi=cmi, visits=0), [pdu(data, **meta)])
        assert out.get("cmi_name") == expected and tokens.shape == (256,)
    ((out, _),) = send(tokcom.image_tokenizer(cmi="auto", visits=0), [pdu(data, **meta)])
    assert isinstance(out["cmi"], int)


@pytest.fixture
def said(monkeypatch):
    """Sentences are described by their lengths."""
    monkeypatch.setattr(descriptions, "describe", lambda sentence: b"\1" + bytes([len(sentence), 255, 0]))


def test_a_description_goes_through_all_blocks(pdu, send, said):
    """From the tokenizer to the header's metadata and back, and to the receiver if it may use it."""
    data, meta = GOOD["image_tokenizer"]
    block = tokcom.image_tokenizer(cmi="none", visits=0, sentence="a dog")
    ((out, tokens),) = send(block, [pdu(data, **meta)])
    assert out["description"].tolist() == [1, 5, 255, 0] and out["sentence"] == "a dog"
    frame = frame_of(out, tokens)
    assert frame.description == bytes([1, 5, 255, 0])
    assert pmt.to_python(frame_keys(frame)["description"]).tolist() == [1, 5, 255, 0]
    block.set_sentence("")
    ((out, _),) = send(block, [pdu(data, **meta)])
    assert "description" not in out and "sentence" not in out


def test_a_sentence_that_cannot_be_sent_leaves_the_one_before(pdu, send, said, monkeypatch, capfd):
    data, meta = GOOD["image_tokenizer"]
    block = tokcom.image_tokenizer(cmi="none", visits=0, sentence="a dog")

    def refuse(sentence):
        raise ModelError("not installed")

    monkeypatch.setattr(descriptions, "describe", refuse)
    block.set_sentence("a cat")
    ((out, _),) = send(block, [pdu(data, **meta)])
    assert out["sentence"] == "a dog" and "sentence refused: not installed" in "".join(capfd.readouterr())


def test_a_sound_describes_pictures_until_a_sentence_does(pdu, send, said):
    data, meta = GOOD["image_tokenizer"]
    block = tokcom.image_tokenizer(cmi="none", visits=0, sound=str(SAMPLE))
    block.set_sentence("a dog")
    ((out, _),) = send(block, [pdu(data, **meta)])
    assert out["description"].tolist() == [1, 5, 255, 0] and out["sentence"] == "a dog" and "sound" not in out
    block.set_sentence("")
    ((out, _),) = send(block, [pdu(data, **meta)])
    assert out["description"].tolist() == list(describe_sound(SAMPLE))
    assert out["sound"] == "speech.wav" and "sentence" not in out


def test_a_picture_with_a_sentence_of_its_own(pdu, send, said, capfd):
    """It takes the place of the parameter's; one that cannot be sent, or is no sentence, does not stop the picture."""
    data, meta = GOOD["image_tokenizer"]
    block = tokcom.image_tokenizer(cmi="none", visits=0, sentence="a dog")
    described = [pdu(data, **meta, sentence=each) for each in ("a black cat", 7)] + [pdu(data, **meta)]
    (own, bad, usual) = (out for out, _ in send(block, described))
    assert own["description"].tolist() == [1, 11, 255, 0] and own["sentence"] == "a black cat"
    assert "description" not in bad and "sentence" not in bad and usual["description"].tolist() == [1, 5, 255, 0]
    assert block.sentences_refused == 1 and block.frames_refused == 0
    assert "picture sent without its sentence (1 so far): the PDU's key 'sentence' is 7" in "".join(capfd.readouterr())


def test_a_model_that_takes_no_descriptions_is_named(tiny_model):
    with pytest.raises(ModelError, match="model tiny takes no sentences"):
        tokcom.image_tokenizer(str(tiny_model), sentence="a dog")


def test_tokenizer_searches_as_the_library_does(pdu, send):
    """The first time and the second, in the block and in the library."""
    picture = np.random.default_rng(0).integers(0, 256, (64, 64, 3), dtype=np.uint8)
    meta = {"frame_id": 4, "height": 64, "width": 64}
    ((_, plain),) = send(tokcom.image_tokenizer(cmi="none", visits=0), [pdu(picture.ravel(), **meta)])
    twice = send(tokcom.image_tokenizer(cmi="none", visits=1), [pdu(picture.ravel(), **meta)] * 2)
    expected = load_tokenizer("caltech64", 1).tokenize(picture).tokens
    assert all(np.array_equal(tokens, expected) for _, tokens in twice) and np.mean(plain == expected) < 0.98


def test_block_and_library_search_as_long_where_nothing_is_said():
    assert tokcom.image_tokenizer(cmi="none")._tokenizer.visits == load_tokenizer("caltech64").visits == 32


def test_layouts_change_from_frame_to_frame(pdu, send):
    out = send(tokcom.token_packetizer(4, seed=1023), [pdu(TOKENS, **FRAME | {"frame_id": i}) for i in (0, 1)])
    assert [meta["layout_seed"] for meta, _ in out] == [1023, 0]
    for meta, packets in out:
        layout = packet_layout(256, 4, meta["layout_seed"])
        assert np.array_equal(unpack(packets.reshape(64, 4), layout), TOKENS)


def test_transmit_chain_makes_the_symbols_of_the_library(pdu, send):
    ((meta, bits),) = send(tokcom.packet_encoder("16qam-1/2", stream_id=9), [pdu(TOKENS, **FRAME | PACKETS)])
    assert np.array_equal(meta["mcs"], MCS) and np.array_equal(bits, CODED)
    ((_, symbols),) = send(tokcom.token_mapper(), [pdu(CODED, **FRAME | PACKETS | {"mcs": MCS})])
    assert np.array_equal(symbols.astype(np.complex64), SYMBOLS)


def test_packets_keep_an_mcs_of_their_own(pdu, send):
    mixed = np.arange(64).astype(np.uint8) % 12
    mixed[9] = MCS_NOT_SENT
    coded = MixedPackets(1024, 4, mixed)
    ((meta, bits),) = send(
        tokcom.packet_encoder("bpsk-1/2", stream_id=9), [pdu(TOKENS, **FRAME | PACKETS | {"mcs": mixed})]
    )
    assert np.array_equal(meta["mcs"], mixed) and np.array_equal(bits, coded.encode(TOKENS.reshape(64, 4), IDENTITY))
    ((_, symbols),) = send(tokcom.token_mapper(), [pdu(bits.astype(np.uint8), **FRAME | PACKETS | {"mcs": mixed})])
    assert np.array_equal(symbols.astype(np.complex64), coded.map(bits.astype(np.uint8)))


def test_the_mcs_can_be_changed_while_running(pdu, send):
    block = tokcom.packet_encoder("16qam-1/2")
    block.set_mcs("qpsk-3/4")
    ((meta, _),) = send(block, [pdu(TOKENS, **FRAME | PACKETS)])
    assert set(meta["mcs"]) == {5}
    with pytest.raises(ParameterError, match="8psk"):
        block.set_mcs("8psk")


def test_decoder_counts_lost_packets(pdu, send):
    llrs = LLRS.reshape(64, -1).copy()
    llrs[3] = np.random.default_rng(0).normal(size=llrs.shape[1])
    block = tokcom.packet_decoder()
    ((out, tokens),) = send(block, [pdu(llrs, **HEADER, cmi=86)])
    assert out["packets_lost"] == block.packets_lost == 1 and block.packets_seen == 64
    assert (tokens == LOST).sum() == 4
    assert out["codebook"] == CODEBOOK and out["codebook_size"] == 1024 and out["cmi_name"] == "stapler"


def test_tokens_of_a_stranger_s_codebook_pass_under_its_id(pdu, send):
    """Counted and named, also where they were sent under labels that nobody here has."""
    block, strange = tokcom.packet_decoder(), HEADER | {"codebook_id": 0xDEADBEEF}
    out = send(block, [pdu(LLRS, **strange), pdu(LLRS, **strange | {"labels": "semantic"})])
    for meta, tokens in out:
        assert meta["codebook"] == "unknown-deadbeef" and meta["modality"] == "unknown" and len(tokens) == 256
    assert block.frames_unknown == {"unknown-deadbeef": 2} and block.frames_refused == 0


def test_a_different_model_of_the_same_name_is_refused(pdu, send):
    block = tokcom.packet_decoder()
    assert send(block, [pdu(LLRS, **HEADER | {"token_bits": 11})]) == [] and block.frames_refused == 1


@pytest.mark.parametrize(
    ("name", "arguments", "error", "message"),
    [
        ("image_tokenizer", {"model": "none"}, ModelError, "no model 'none'"),
        ("image_tokenizer", {"cmi": "unicorn"}, ParameterError, "class 'unicorn' is unknown"),
        ("image_tokenizer", {"visits": -2}, ParameterError, "visits is -2"),
        ("image_tokenizer", {"device": "gpu"}, ParameterError, "device is 'gpu'; it must be auto, cpu"),
        ("token_recovery", {"device": "cuda:77"}, ParameterError, "device is 'cuda:77'"),
        ("token_recovery", {"models": " ,"}, ParameterError, "models is ' ,'; it must name at least one"),
        ("image_detokenizer", {"device": "tpu"}, ParameterError, "device is 'tpu'"),
        ("semantic_mcs", {"device": "tpu"}, ParameterError, "device is 'tpu'"),
        ("semantic_mcs", {"stream_id": 64}, ParameterError, "stream_id is 64"),
        ("image_tokenizer", {"queue_size": 0}, ParameterError, "queue_size is 0"),
        ("token_packetizer", {"tokens_per_packet": 0}, ParameterError, "tokens_per_packet is 0"),
        ("token_packetizer", {"tokens_per_packet": 65}, ParameterError, "tokens_per_packet is 65"),
        ("token_packetizer", {"seed": 1024}, ParameterError, "seed is 1024"),
        ("token_packetizer", {"layout": "random"}, ParameterError, "layout is 'random'"),
        ("token_packetizer", {"bits_per_packet": 2049}, ParameterError, "bits_per_packet is 2049"),
        ("packet_encoder", {"mcs": "16qam"}, ParameterError, "'16qam'"),
        ("packet_encoder", {"stream_id": 64}, ParameterError, "stream_id is 64"),
        ("burst_framer", {"profile": "loud"}, ParameterError, "'loud'"),
        ("burst_framer", {"amplitude": 0.0}, ParameterError, "amplitude is 0.0"),
        ("burst_framer", {"stream_id": 64}, ParameterError, "stream_id is 64"),
        ("burst_framer", {"padding": -1}, ParameterError, "padding is -1"),
        ("burst_framer", {"queue_size": 0}, ParameterError, "queue_size is 0"),
        ("burst_framer", {"drop": "all"}, ParameterError, "'all'"),
        ("burst_demodulator", {"queue_size": 0}, ParameterError, "queue_size is 0"),
        ("burst_sync", {"profile": "loud"}, ParameterError, "'loud'"),
        ("packet_decoder", {"models": "caltech64, none"}, ModelError, "no model 'none'"),
        ("token_recovery", {"steps": 0}, ParameterError, "steps is 0"),
        ("token_recovery", {"queue_size": 0}, ParameterError, "queue_size is 0"),
        ("token_recovery", {"drop": "all"}, ParameterError, "'all'"),
        ("image_detokenizer", {"models": "/nowhere/else"}, ModelError, "/nowhere/else"),
    ],
)
def test_bad_parameters_stop_the_flowgraph_before_it_starts(name, arguments, error, message):
    with pytest.raises(error, match=message):
        getattr(tokcom, name)(**arguments)


def test_a_demodulator_that_falls_behind_drops_the_oldest_bursts_and_counts_them(pdu, send):
    block = tokcom.burst_demodulator(queue_size=3)
    out = send(block, [pdu(FOUND.samples, **BURST | {"burst_start": i}) for i in range(10)])
    assert block.bursts_dropped == 7 and [meta["burst_start"] for meta, _ in out] == [7, 8, 9]


def test_equalised_symbols_come_out_beside_the_llrs(pdu, send):
    ((meta, symbols),) = send(tokcom.burst_demodulator(), [pdu(FOUND.samples, **BURST, mine=3)], out="symbols")
    assert meta["mine"] == 3 and meta["esn0_db"] > 20 and meta["frame_id"] == 4
    # 16-QAM in a burst without noise: its sixteen points, and nothing between them.
    levels = np.array([-3, -1, 1, 3]) / np.sqrt(10)
    points = (levels[:, None] + 1j * levels).ravel()
    away = np.abs(symbols[:, None] - points)
    assert away.min(axis=1).max() < 0.1 and len(set(away.argmin(axis=1))) == 16


def test_pictures_of_several_models_are_shown_each_by_its_own(pdu, send):
    """Of a codebook that is not known, nothing is shown, and it is said how often."""
    block = tokcom.image_detokenizer(["caltech64", "photo256"])
    others = {"codebook": codebook("photo256").name}, {"codebook": CODEBOOK}, {"codebook": "mine@12345678"}
    out = send(block, [pdu(TOKENS, **FRAME | other) for other in (*others, others[2])])
    assert [(meta["width"], len(picture)) for meta, picture in out] == [(256, 3 * 256**2), (64, 3 * 64**2)]
    assert block.frames_unknown == {"mine@12345678": 2} and block.frames_refused == 0


def test_a_grid_that_no_header_holds_is_refused_by_name(pdu, send, capfd):
    block = tokcom.packet_decoder()
    assert send(block, [pdu(LLRS, **HEADER | {"grid": (4, 4, 4, 2, 2)})]) == [] and block.frames_refused == 1
    said = "".join(capfd.readouterr())
    assert not said or "number of dimensions is 5; it must be 1 to 4" in said


def test_pictures_are_bounded_where_they_arrive_while_one_takes_long(pdu):
    """The queue is full although the tokenizer never comes to look at it."""
    block, busy, go_on = (
        tokcom.image_tokenizer(cmi="none", visits=0, queue_size=2),
        threading.Event(),
        threading.Event(),
    )
    tokenize = block.process

    def slow(meta, data):
        busy.set()
        go_on.wait(60)
        return tokenize(meta, data)

    block.process = slow
    block.start()
    data, meta = GOOD["image_tokenizer"]
    try:
        block._on_pdu(pdu(data, **meta | {"frame_id": 0}))
        assert busy.wait(60)
        for number in range(1, 10):
            block._on_pdu(pdu(data, **meta | {"frame_id": number}))
        assert block.queue_length == 2 and block.inputs_dropped == 7
        assert [pmt.to_python(pmt.car(waiting))["frame_id"] for waiting in block._queue] == [8, 9]
    finally:
        go_on.set()
        block.stop()


def test_a_finite_run_tokenizes_all_that_wait(pdu, send):
    data, meta = GOOD["image_tokenizer"]
    block = tokcom.image_tokenizer(cmi="none", visits=0)
    out = send(block, [pdu(data, **meta | {"frame_id": number}) for number in range(20)])
    assert [told["frame_id"] for told, _ in out] == list(range(20)) and block.inputs_dropped == 0
    assert out[-1][0]["queued.tokenizer"] == 0 == out[-1][0]["dropped.tokenizer"]


def test_pictures_that_come_too_fast_are_dropped_counted_and_told_of(pdu, send):
    block = tokcom.image_detokenizer()
    out = send(block, [pdu(TOKENS, **FRAME | {"frame_id": i}) for i in range(70)])
    assert block.inputs_dropped == 6 and [meta["frame_id"] for meta, _ in out] == list(range(6, 70))
    assert out[0][0]["dropped.detokenizer"] == 6 and out[0][0]["queued.detokenizer"] == 63


@pytest.mark.parametrize(("mode", "softly"), [("mask", True), ("context", True), ("list", False), ("keep", False)])
def test_doubtful_tokens_are_shown_as_the_model_expects_them_where_it_takes_part(mode, softly, pdu, send):
    confidence = np.where(np.arange(256) % 7, 0.9, 0.2).astype(np.float32)
    message = pdu(TOKENS, **FRAME, mode=mode, confidence=confidence)
    ((_, shown),) = send(tokcom.image_detokenizer(), [message])
    tokenizer, frame = load_tokenizer("caltech64", 0), TokenFrame(TOKENS, CODEBOOK, 1024, (16, 16))
    wanted = tokenizer.detokenize(frame)
    if softly:
        without = frame.with_tokens(np.where(confidence < 0.5, LOST, TOKENS))
        wanted = filled_picture(without, load_context("caltech64"), tokenizer)
    np.testing.assert_array_equal(np.asarray(shown).reshape(wanted.shape), wanted)
