import os
import sys
import threading
from types import SimpleNamespace

import numpy as np
import pmt
import pytest
from gnuradio import gr, tokcom
from PIL import Image

from tokcom.errors import ParameterError, PictureError


class Echo(gr.basic_block):
    """Takes pictures and, if asked, tells the source that they were delivered."""

    def __init__(self, delivers=True, expected=0):
        gr.basic_block.__init__(self, name="Echo", in_sig=None, out_sig=None)
        self.metas, self.pictures, self.most_under_way = [], [], 0
        self.enough, self._expected, self._delivers = threading.Event(), expected, delivers
        self.message_port_register_in(pmt.intern("in"))
        self.message_port_register_out(pmt.intern("out"))
        self.set_msg_handler(pmt.intern("in"), self._take)

    def _take(self, message):
        meta = pmt.to_python(pmt.car(message))
        self.metas.append(meta)
        data = np.array(pmt.u8vector_elements(pmt.cdr(message)), np.uint8)
        self.pictures.append(data.reshape(meta["height"], meta["width"], 3))
        if len(self.metas) == self._expected:
            self.enough.set()
        if self._delivers:
            self.message_port_pub(pmt.intern("out"), pmt.PMT_T)


@pytest.fixture
def folder(tmp_path):
    for i in range(5):
        Image.new("RGB", (4 + i, 3), (i, 0, 0)).save(tmp_path / f"p{i}.png")
    (tmp_path / "p2.png").write_bytes(b"broken")
    return tmp_path


def flowgraph(source, echo):
    top = gr.top_block(catch_exceptions=False)
    top.msg_connect(source, "pictures", echo, "in")
    top.msg_connect(echo, "out", source, "delivered")
    return top


def test_a_folder_is_sent_once_and_the_flowgraph_ends(folder):
    source, echo = tokcom.image_source(str(folder), window=2), Echo()
    flowgraph(source, echo).run()
    assert [meta["name"] for meta in echo.metas] == ["p0", "p1", "p3", "p4"]
    assert [meta["frame_id"] for meta in echo.metas] == [0, 1, 2, 3]
    assert [picture.shape for picture in echo.pictures] == [(3, 4, 3), (3, 5, 3), (3, 7, 3), (3, 8, 3)]
    assert all((picture[:, :, 0] == i).all() for picture, i in zip(echo.pictures, (0, 1, 3, 4), strict=True))
    assert (source.frames_sent, source.frames_delivered, source.files_refused) == (4, 4, 1)


def test_no_more_than_the_window_is_under_way(folder):
    source, echo = tokcom.image_source(str(folder), window=2), Echo(delivers=False, expected=2)
    top = flowgraph(source, echo)
    top.start()
    assert echo.enough.wait(120)
    echo.enough.clear()
    echo._expected = 3
    source.to_basic_block()._post(pmt.intern("delivered"), pmt.PMT_T)
    assert echo.enough.wait(120), "two under way and one delivered make three"
    top.stop()
    top.wait()
    assert source.frames_sent == 3


def test_after_its_patience_the_source_goes_on_and_ends(folder):
    source, echo = tokcom.image_source(str(folder), window=2, patience=0.05), Echo(delivers=False)
    flowgraph(source, echo).run()
    assert source.frames_sent == source.frames_missing == 4


def test_it_repeats_until_stopped(folder):
    source, echo = tokcom.image_source(str(folder), repeat=True, window=0), Echo(delivers=False, expected=9)
    top = flowgraph(source, echo)
    top.start()
    assert echo.enough.wait(120)
    top.stop()
    top.wait()
    assert [meta["name"] for meta in echo.metas[:9]] == ["p0", "p1", "p3", "p4"] * 2 + ["p0"]


def test_a_paced_source_stops_at_once(folder):
    source, echo = tokcom.image_source(str(folder), interval=3600.0, window=0), Echo(expected=1)
    top = flowgraph(source, echo)
    top.start()
    assert echo.enough.wait(120)
    top.stop()
    top.wait()
    assert len(echo.metas) == 1


def test_a_folder_without_one_good_picture_ends_too(tmp_path):
    (tmp_path / "bad.png").write_bytes(b"broken")
    source, echo = tokcom.image_source(str(tmp_path), repeat=True), Echo()
    flowgraph(source, echo).run()
    assert source.files_refused == 1 and not echo.metas


def test_no_path_means_the_sample_photographs():
    source, echo = tokcom.image_source(), Echo()
    flowgraph(source, echo).run()
    assert [meta["name"] for meta in echo.metas] == ["astronaut", "chelsea", "coffee", "rocket"]


@pytest.mark.parametrize(
    ("arguments", "error", "message"),
    [
        ({"path": "/nowhere"}, PictureError, "/nowhere: no such picture or folder"),
        ({"path": ["/nowhere.png"]}, PictureError, r"/nowhere\.png"),
        ({"interval": -1.0}, ParameterError, "interval is -1.0"),
        ({"window": -1}, ParameterError, "window is -1"),
        ({"patience": 0.0}, ParameterError, "patience is 0.0"),
        ({"stream_id": 64}, ParameterError, "stream_id is 64"),
    ],
)
def test_bad_parameters_are_named(arguments, error, message):
    with pytest.raises(error, match=message):
        tokcom.image_source(**arguments)


def test_an_empty_folder_is_named(tmp_path):
    with pytest.raises(PictureError, match="no pictures in this folder"):
        tokcom.image_source(str(tmp_path))


def test_a_file_name_that_is_no_text_is_sent_all_the_same(tmp_path):
    path = tmp_path / os.fsdecode(b"caf\xe9.png")
    Image.new("RGB", (2, 2)).save(path, "png")
    source, echo = tokcom.image_source(str(tmp_path)), Echo()
    flowgraph(source, echo).run()
    assert [meta["name"] for meta in echo.metas] == ["caf?"]


def test_the_text_beside_a_picture_is_its_sentence(tmp_path):
    for name in ("a", "b", "c"):
        Image.new("RGB", (2, 2)).save(tmp_path / f"{name}.png")
    (tmp_path / "a.txt").write_text("a black\n square", encoding="utf-8")
    (tmp_path / "b.txt").write_bytes(b"\xff")
    source, echo = tokcom.image_source(str(tmp_path), sentences=True), Echo()
    flowgraph(source, echo).run()
    assert [meta.get("sentence") for meta in echo.metas] == ["a black square", None, None]
    assert not any("companion" in meta for meta in echo.metas) and source.captions_sent == 0


def test_numbers_go_round_as_on_the_air_and_the_window_goes_on(folder):
    """The receiver says 0 after 1,048,575, and the source goes on at once."""

    class Receiver(Echo):
        def _take(self, message):
            super()._take(message)
            number = pmt.to_pmt({"frame_id": self.metas[-1]["frame_id"] % (1 << 20)})
            self.message_port_pub(pmt.intern("out"), pmt.cons(number, pmt.init_u8vector(0, [])))

    source, receiver = tokcom.image_source(str(folder), window=1, patience=3600), Receiver(delivers=False)
    source.frames_sent = (1 << 20) - 2
    flowgraph(source, receiver).run()
    assert [meta["frame_id"] for meta in receiver.metas] == [(1 << 20) - 2, (1 << 20) - 1, 0, 1]
    assert source.frames_missing == 0


def test_without_a_window_nothing_is_remembered(folder):
    source, echo = tokcom.image_source(str(folder), repeat=True, window=0), Echo(delivers=False, expected=50)
    top = flowgraph(source, echo)
    top.start()
    assert echo.enough.wait(30)
    top.stop()
    top.wait()
    assert source.frames_sent >= 50 and not source._under_way


def test_word_of_another_stream_is_not_for_this_source(folder):
    source = tokcom.image_source(str(folder), window=2, stream_id=4)
    source._under_way = {0: None, 1: None}
    for stream, left in ((3, [0, 1]), (4, [1])):
        source._on_delivered(pmt.cons(pmt.to_pmt({"frame_id": 0, "stream_id": stream}), pmt.init_u8vector(0, [])))
        assert list(source._under_way) == left
    source._on_delivered(pmt.cons(pmt.to_pmt({"frame_id": "zero"}), pmt.init_u8vector(0, [])))
    assert not source._under_way and source.frames_delivered == 2


def test_a_list_may_name_folders_and_large_pictures_come_reduced(folder):
    large = folder / "large"
    large.mkdir()
    Image.new("RGB", (4000, 3000), "green").save(large / "photo.jpg")
    source, echo = tokcom.image_source([str(folder / "p4.png"), str(large)], stream_id=9), Echo()
    flowgraph(source, echo).run()
    assert [(meta["name"], meta["stream_id"]) for meta in echo.metas] == [("p4", 9), ("photo", 9)]
    height, width = echo.pictures[1].shape[:2]
    assert height * width <= 1 << 20 < 1.01 * height * width


class Capture:
    """OpenCV's, of a camera that shows three pictures, each darker: blue, green, red in this order."""

    opened, released = [], 0

    def __init__(self, device):
        Capture.opened.append(device)
        self._left = 3

    def isOpened(self):
        return Capture.opened[-1] != 9

    def set(self, key, value):
        assert (key, value) == (38, 1)

    def read(self):
        self._left -= 1
        return self._left >= 0, np.full((4, 6, 3), (200, 100, 50 + self._left), np.uint8)

    def release(self):
        Capture.released += 1


@pytest.fixture
def opencv(monkeypatch):
    Capture.opened, Capture.released = [], 0
    monkeypatch.setitem(sys.modules, "cv2", SimpleNamespace(VideoCapture=Capture, CAP_PROP_BUFFERSIZE=38))


def test_a_camera_s_pictures_are_sent_until_none_comes(opencv):
    source, echo = tokcom.image_source("camera:0", window=1), Echo()
    flowgraph(source, echo).run()
    assert [picture[0, 0].tolist() for picture in echo.pictures] == [[52, 100, 200], [51, 100, 200], [50, 100, 200]]
    assert {meta["name"] for meta in echo.metas} == {"camera"} and Capture.opened == [0, 0] and Capture.released == 2


def test_a_camera_that_is_not_there_or_cannot_be_read_is_told_of(opencv, monkeypatch):
    with pytest.raises(PictureError, match="camera '9' cannot be opened"):
        tokcom.image_source("camera:9")
    tokcom.image_source("camera:/dev/video3")
    assert Capture.opened[-1] == "/dev/video3"
    monkeypatch.setitem(sys.modules, "cv2", None)
    with pytest.raises(PictureError, match="a camera needs OpenCV, which is not installed"):
        tokcom.image_source("camera:0")


def test_word_that_comes_late_does_not_widen_the_window(folder):
    source = tokcom.image_source(str(folder), window=2)
    source._under_way = {5: None, 6: None}
    late = pmt.cons(pmt.to_pmt({"frame_id": 1}), pmt.init_u8vector(0, []))
    source._on_delivered(late)
    assert list(source._under_way) == [5, 6]
    source._on_delivered(pmt.cons(pmt.to_pmt({"frame_id": 6}), pmt.init_u8vector(0, [])))
    source._on_delivered(pmt.PMT_T)
    assert not source._under_way
