"""The blocks of video: tokens that follow each other, over the whole link, and the file at its end."""

import numpy as np
import pmt
import pytest
from gnuradio import gr, tokcom

from tokcom.errors import ParameterError
from tokcom.models.zoo import load_video_tokenizer
from tokcom.tokenizers.camera import open_camera


@pytest.fixture
def shown(tiny_video_model):
    """A picture that decodes from its tokens: random weights make noise of all others."""
    tokenizer = load_video_tokenizer(str(tiny_video_model), 0).tokenizer
    return tokenizer.detokenize(tokenizer.tokenize(open_camera("pan").read()))


def pictures(pdu, picture, numbers, **more):
    height, width = picture.shape[:2]
    return [pdu(picture, frame_id=number, height=height, width=width, **more) for number in numbers]


def test_frames_follow_each_other(tiny_video_model, shown, pdu, send):
    block = tokcom.video_tokenizer(str(tiny_video_model), intra_period=3, visits=0, queue_size=9)
    found = send(block, [*pictures(pdu, shown, [3, 4, 6]), *pictures(pdu, shown, [7], stream_id=2)], out="tokens")
    assert [meta.get("follows", 0) for meta, _ in found] == [0, 1, 2, 0] and block.frames_alone == 2
    block = tokcom.video_tokenizer(str(tiny_video_model), intra_period=2, visits=0, queue_size=9)
    found = send(block, pictures(pdu, shown, range(5)), out="tokens")
    assert [meta.get("follows", 0) for meta, _ in found] == [0, 1, 0, 1, 0]


def test_numbers_too_far_apart_begin_again(tiny_video_model, shown, pdu, send):
    block = tokcom.video_tokenizer(str(tiny_video_model), visits=0, queue_size=9)
    found = send(block, pictures(pdu, shown, [2**20 - 1, 0, 255, 600, 600]), out="tokens")
    assert [meta.get("follows", 0) for meta, _ in found] == [0, 1, 255, 0, 0]
    with pytest.raises(ParameterError, match="intra_period is -1"):
        tokcom.video_tokenizer(str(tiny_video_model), intra_period=-1)


def test_a_video_over_the_whole_link(tiny_video_model, shown, pdu, collector):
    model = str(tiny_video_model)
    top = gr.top_block()
    tokenizer = tokcom.video_tokenizer(model, visits=0, queue_size=9)
    transmitter = tokcom.token_transmitter(models=model, queue_size=9, continuous=False)
    receiver = tokcom.token_receiver(models=model)
    detokenizer, store = tokcom.image_detokenizer(model), collector(3)
    top.msg_connect(tokenizer, "tokens", transmitter, "tokens")
    top.connect(transmitter, receiver)
    top.msg_connect(receiver, "recovered", detokenizer, "tokens")
    top.msg_connect(detokenizer, "pictures", store, "in")
    top.start()
    for message in pictures(pdu, shown, range(3)):
        tokenizer.to_basic_block()._post(pmt.intern("pictures"), message)
    assert store.done.wait(60)
    top.stop()
    top.wait()
    assert [meta.get("follows", 0) for meta, _ in store.messages] == [0, 1, 1]
    alone = load_video_tokenizer(model, 0).tokenizer
    for _, data in store.messages:
        np.testing.assert_array_equal(data, alone.detokenize(alone.tokenize(shown)).ravel())


def test_a_video_is_sent_from_a_file_and_saved(tmp_path, collector):
    av = pytest.importorskip("av", reason="the packages of requirements/video.txt are not installed")
    path, top = tmp_path / "pan.mp4", gr.top_block()
    source = tokcom.image_source("camera:pan", window=2)
    sink, store = tokcom.video_sink(str(path), fps=25, scale=1), collector(6)
    top.msg_connect(source, "pictures", sink, "pictures")
    top.msg_connect(sink, "delivered", source, "delivered")
    top.msg_connect(sink, "delivered", store, "in")
    top.start()
    assert store.done.wait(30)
    top.stop()
    top.wait()
    with av.open(str(path)) as container:
        count = sum(1 for _ in container.decode(video=0))
    assert count == sink.frames_delivered >= 6
    again, store, top = tokcom.image_source(str(path), window=0), collector(count), gr.top_block()
    top.msg_connect(again, "pictures", store, "in")
    top.start()
    assert store.done.wait(30)
    top.stop()
    top.wait()
    assert again.frames_sent == count and not again.files_refused


def test_bad_frames_are_counted(tmp_path, pdu, send):
    pytest.importorskip("av", reason="the packages of requirements/video.txt are not installed")
    sink = tokcom.video_sink(str(tmp_path / "x.mp4"), scale=1)
    good, other = np.zeros((8, 8, 3), np.uint8), np.zeros((16, 16, 3), np.uint8)
    messages = [*pictures(pdu, good, [0]), *pictures(pdu, other, [1]), pdu(good, frame_id=2), *pictures(pdu, good, [3])]
    assert [meta["frame_id"] for meta, _ in send(sink, messages, "pictures", "delivered")] == [0, 3]
    assert sink.frames_refused == 2 and (tmp_path / "x.mp4").stat().st_size > 0


def test_frames_are_sent_in_groups_of_one_scene(tiny_video_model, shown, pdu, send):
    block = tokcom.video_tokenizer(str(tiny_video_model), intra_period=5, group=2, visits=0, queue_size=20)
    block.SILENCE = 600
    numbers = [0, 1, 2, 3, 4, 5, 6, 7, 9, 10]
    found = send(block, pictures(pdu, shown, numbers), out="tokens")
    # 4 stands alone after frame 5 of the period; 8 is missing; the last one waits for none.
    assert [(meta["frame_id"], meta.get("follows", 0), tuple(meta["grid"])) for meta, _ in found] == [
        (0, 0, (2, 4, 4)), (2, 1, (2, 4, 4)), (4, 1, (4, 4)), (5, 0, (2, 4, 4)), (7, 1, (4, 4)), (9, 2, (2, 4, 4)),
    ]  # fmt: skip
    assert not block.holding and not block.inputs_dropped
    for count in (0, 17):
        with pytest.raises(ParameterError, match=f"group is {count}; it must be 1 to 16"):
            tokcom.video_tokenizer(str(tiny_video_model), group=count)


def test_groups_over_the_whole_link(tiny_video_model, shown, pdu, collector):
    model = str(tiny_video_model)
    top = gr.top_block()
    tokenizer = tokcom.video_tokenizer(model, group=3, visits=0, queue_size=9)
    transmitter = tokcom.token_transmitter(models=model, queue_size=9, continuous=False)
    receiver = tokcom.token_receiver(models=model)
    detokenizer, store = tokcom.image_detokenizer(model), collector(5)
    top.msg_connect(tokenizer, "tokens", transmitter, "tokens")
    top.connect(transmitter, receiver)
    top.msg_connect(receiver, "recovered", detokenizer, "tokens")
    top.msg_connect(detokenizer, "pictures", store, "in")
    top.start()
    for message in pictures(pdu, shown, range(5)):
        tokenizer.to_basic_block()._post(pmt.intern("pictures"), message)
    assert store.done.wait(60)
    top.stop()
    top.wait()
    assert [(meta["frame_id"], meta.get("follows", 0)) for meta, _ in store.messages] == [
        (number, int(number > 0)) for number in range(5)
    ]
    alone = load_video_tokenizer(model, 0).tokenizer
    for meta, data in store.messages:
        assert tuple(meta["grid"]) == (4, 4) and len(meta["tokens"]) == len(meta["confidence"]) == 16
        np.testing.assert_array_equal(data, alone.detokenize(alone.tokenize(shown)).ravel())
