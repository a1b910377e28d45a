"""The blocks of text: what they make of lines, bytes and frames, good and bad."""

import socket

import numpy as np
import pmt
import pytest
from gnuradio import blocks, gr, tokcom

from tokcom.errors import ParameterError, TextError

TEXT = "the rain on the other train"


@pytest.fixture(scope="module")
def model(tiny_text_model):
    return str(tiny_text_model)


def encoded(text):
    return np.frombuffer(text.encode() if isinstance(text, str) else text, np.uint8)


def test_text_becomes_tokens_and_text_again(model, pdu, send):
    ((meta, tokens),) = send(tokcom.text_tokenizer(model), [pdu(encoded(TEXT), frame_id=3, mine="kept")])
    assert meta["modality"] == "text" and meta["grid"] == (len(tokens),) and meta["mine"] == "kept"
    described = {key: meta[key] for key in ("frame_id", "modality", "codebook", "codebook_size", "grid")}
    ((out, text),) = send(tokcom.text_detokenizer(model), [pdu(tokens.astype(np.int32), **described)])
    assert text.astype(np.uint8).tobytes().decode() == TEXT and len(out["unsure"]) == 0


def test_words_that_are_not_sure_are_told(model, pdu, send):
    ((meta, tokens),) = send(tokcom.text_tokenizer(model), [pdu(encoded(TEXT), frame_id=3)])
    described = {key: meta[key] for key in ("frame_id", "modality", "codebook", "codebook_size", "grid")}
    confidence = np.ones(len(tokens), np.float32)
    confidence[0] = 0.9
    message = pdu(tokens.astype(np.int32), **described, confidence=confidence)
    ((out, _),) = send(tokcom.text_detokenizer(model), [message])
    assert list(out["unsure"]) == [0, 3]


def test_bad_frames_are_counted_and_the_next_one_passes(model, pdu, send):
    block = tokcom.text_tokenizer(model)
    bad = [pdu(encoded(b"\xff"), frame_id=0), pdu(encoded(""), frame_id=0), pdu(encoded("a")), pmt.intern("no PDU")]
    assert len(send(block, [*bad, pdu(encoded(TEXT), frame_id=1)])) == 1 and block.frames_refused == 4
    other = {"frame_id": 0, "modality": "text", "codebook": "other", "codebook_size": 300, "grid": (2,)}
    shown = tokcom.text_detokenizer(model)
    assert send(shown, [pdu(np.zeros(2, np.int32), **other)]) == [] and shown.frames_unknown["other"] == 1


def test_lines_come_as_messages(pdu, send):
    block = tokcom.text_source(characters=10)
    messages = [pmt.intern("one"), pdu(encoded("two words and more\n")), pdu(encoded(b"\xff")), pmt.from_long(3)]
    found = send(block, [*messages, pmt.intern("")], "lines", "texts")
    assert [data.astype(np.uint8).tobytes() for _, data in found] == [b"one", b"two words ", b"and more"]
    assert [meta["frame_id"] for meta, _ in found] == [0, 1, 2] and block.lines_refused == 2


def collected(block, expected, collector, act=lambda: None):
    top, store = gr.top_block(), collector(expected)
    top.msg_connect(block, "texts", store, "in")
    top.start()
    act()
    assert store.done.wait(30)
    top.stop()
    top.wait()
    return [data.astype(np.uint8).tobytes().decode() for _, data in store.messages]


def test_lines_come_from_a_file(tmp_path, collector):
    file = tmp_path / "lines.txt"
    file.write_bytes("första\r\n\nsecond".encode())
    assert collected(tokcom.text_source(str(file)), 2, collector) == ["första", "second"]


def test_a_long_line_comes_in_parts(tmp_path, collector):
    file = tmp_path / "line.txt"
    file.write_text("ñ" * 1000, encoding="utf-8")
    found = collected(tokcom.text_source(str(file), characters=100), 10, collector)
    assert found == ["ñ" * 100] * 10


def test_lines_come_as_datagrams(collector):
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]

    def act():
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sender:
            sender.sendto(b"by UDP\n", ("127.0.0.1", port))

    assert collected(tokcom.text_source(f"udp:{port}"), 1, collector, act) == ["by UDP"]


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ({"path": "/nowhere.txt"}, "no such file of text"),
        ({"path": "udp:x"}, "behind udp: stands a port"),
        ({"interval": -1}, "interval is -1"),
        ({"characters": 0}, "characters is 0"),
        ({"stream_id": 64}, "stream_id is 64"),
    ],
)
def test_sources_that_cannot_be_are_refused(arguments, said):
    with pytest.raises((ParameterError, TextError), match=said):
        tokcom.text_source(**arguments)


def test_the_sink_writes_lines_with_marks(tmp_path, pdu, send):
    file = tmp_path / "received.txt"
    unsure = np.array([4, 4], np.int32)
    messages = [
        pdu(encoded(TEXT), frame_id=1, unsure=unsure),
        pdu(encoded("whole"), frame_id=2),
        pdu(encoded("a"), frame_id=3, unsure=np.array([0, 9], np.int32)),
    ]
    block = tokcom.text_sink(str(file))
    top, store = gr.top_block(), blocks.message_debug()
    top.msg_connect(block, "delivered", store, "store")
    for message in messages:
        block.to_basic_block()._post(pmt.intern("texts"), message)
    block.to_basic_block()._post(pmt.intern("system"), pmt.cons(pmt.intern("done"), pmt.from_long(1)))
    top.start()
    top.wait()
    assert file.read_text(encoding="utf-8") == "the [rain?] on the other train\nwhole\n"
    assert (block.texts_received, block.texts_refused, store.num_messages()) == (2, 1, 2)
    with pytest.raises(TextError, match="there is no folder"):
        tokcom.text_sink(str(tmp_path / "no" / "file.txt"))


def test_a_text_does_not_command_the_terminal(tmp_path, pdu, send, capsys):
    hostile = "a\x1b[2J\x9b5m\r\nforged\u2028line\u202e[sure?]\tb"
    for path in (str(tmp_path / "received.txt"), "-"):
        block = tokcom.text_sink(path)
        send(block, [pdu(encoded(hostile), frame_id=1, unsure=np.array([0, 5], np.int32))], "texts", "delivered")
    written = (tmp_path / "received.txt").read_text(encoding="utf-8"), capsys.readouterr().out
    shown = r"[a\x1b[2J?]\x9b5m\r\nforged\u2028line\u202e[sure?]" + "\tb\n"
    assert written == (shown, shown)
