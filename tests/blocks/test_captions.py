"""Pictures and the texts that belong to them, from a folder through bursts to a sink."""

import json

import numpy as np
import pmt
import pytest
from gnuradio import gr, tokcom
from PIL import Image

from tokcom.errors import ParameterError
from tokcom.packets.header_fields import FRAME_IDS

TEXT = "the rain on the other train"


def encoded(text):
    return np.frombuffer(text.encode(), np.uint8)


def joined(messages, expected, collector, patience=30.0):
    """Post (port, PDU) to a Caption Join; what comes out, and the block."""
    block = tokcom.caption_join(patience)
    top, store = gr.top_block(catch_exceptions=False), collector(expected)
    top.msg_connect(block, "pictures", store, "in")
    for port, message in messages:
        block.to_basic_block()._post(pmt.intern(port), message)
    top.start()
    assert store.done.wait(30)
    top.stop()
    top.wait()
    return store.messages, block


def caption_of(meta):
    return bytes(meta["caption"].tolist()).decode() if "caption" in meta else None


def test_pictures_get_their_texts_in_any_order_and_others_pass(pdu, collector):
    def picture(number, **keys):
        return "pictures", pdu(np.full(3, number, np.uint8), frame_id=number, **keys)

    def text(number, said, **keys):
        return "texts", pdu(encoded(said), frame_id=number, **keys)

    messages = [
        text(0, "before"), text(0, "another stream", stream_id=2), picture(1, companion=1), picture(2),
        picture(5, companion=2), text(3, "behind"), text(FRAME_IDS - 1, "wrapped"), picture(0, companion=1),
        ("pictures", pmt.intern("no PDU")), ("texts", pdu(encoded("no number"))),
    ]  # fmt: skip
    found, block = joined(messages, 4, collector)
    captions = {meta["frame_id"]: caption_of(meta) for meta, _ in found}
    assert captions == {1: "before", 2: None, 5: "behind", 0: "wrapped"}
    assert all((data == meta["frame_id"]).all() for meta, data in found)
    assert (block.captions_joined, block.captions_missing, block.frames_refused) == (3, 0, 2)


def test_a_picture_whose_text_does_not_come_goes_on(pdu, collector):
    message = "pictures", pdu(np.zeros(3, np.uint8), frame_id=1, companion=1)
    for patience in (0.0, 0.01):
        ((meta, _),), block = joined([message], 1, collector, patience)
        assert "caption" not in meta and block.captions_missing == 1
    late = "pictures", pdu(np.zeros(3, np.uint8), frame_id=1)
    _, block = joined([message, late], 1, collector, 1000.0)  # the flowgraph stops while it waits
    assert block.captions_missing == 1
    with pytest.raises(ParameterError, match="patience is -1"):
        tokcom.caption_join(-1.0)


def test_pictures_that_wait_are_bounded(pdu, collector):
    messages = [("pictures", pdu(np.zeros(3, np.uint8), frame_id=n, companion=1)) for n in range(1, 101)]
    found, block = joined(messages, 36, collector, 1000.0)
    assert [meta["frame_id"] for meta, _ in found][:36] == list(range(1, 37)) and block.captions_missing == 100


def test_a_folder_of_pictures_arrives_with_its_captions(tmp_path, tiny_model, tiny_text_model, collector):
    folder = tmp_path / "pictures"
    folder.mkdir()
    for name in ("a", "b", "c"):
        Image.new("RGB", (64, 64), "teal").save(folder / f"{name}.png")
    (folder / "a.txt").write_text(TEXT, encoding="utf-8")
    (folder / "b.txt").write_bytes(b"\xff")
    models, text_model = str(tiny_model), str(tiny_text_model)
    source = tokcom.image_source(str(folder), window=0, captions=True)
    sender = tokcom.token_transmitter(layout="contiguous", tokens_per_packet=3)
    receiver = tokcom.token_receiver(models=[models, text_model], mode="list")
    channel = tokcom.channel_model(snr_db=30.0, reference_power=0.25**2)
    shown, read = tokcom.image_detokenizer(models), tokcom.text_detokenizer(text_model)
    join, sink, store = tokcom.caption_join(30.0), tokcom.image_sink(str(tmp_path / "out"), False), collector(3)
    top = gr.top_block(catch_exceptions=False)
    image_tokens, text_tokens = tokcom.image_tokenizer(models, "none", 0), tokcom.text_tokenizer(text_model)
    top.msg_connect(source, "pictures", image_tokens, "pictures")
    top.msg_connect(source, "captions", text_tokens, "texts")
    top.msg_connect(image_tokens, "tokens", sender, "tokens")
    top.msg_connect(text_tokens, "tokens", sender, "tokens")
    top.connect(sender, channel, receiver)
    top.msg_connect(receiver, "recovered", shown, "tokens")
    top.msg_connect(receiver, "recovered", read, "tokens")
    top.msg_connect(shown, "pictures", join, "pictures")
    top.msg_connect(read, "texts", join, "texts")
    top.msg_connect(join, "pictures", sink, "recovered")
    top.msg_connect(sink, "delivered", store, "in")
    top.start()
    assert store.done.wait(60)
    top.stop()
    top.wait()
    figures = [json.loads(line) for line in (tmp_path / "out" / "figures.jsonl").read_text().splitlines()]
    assert sorted(each.get("caption", "") for each in figures) == ["", "", TEXT]
    assert {meta["frame_id"] for meta, _ in store.messages} == {1, 2, 3} and sink.frames_refused == 0
