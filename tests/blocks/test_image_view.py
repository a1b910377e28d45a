import os
import subprocess
import sys

import numpy as np
import pmt
import pytest
from gnuradio import gr, tokcom
from gnuradio.tokcom._pdu import vector_of
from PyQt5.QtGui import QImage

from tokcom.errors import ParameterError
from tokcom.metrics.overlays import LOSS

RNG = np.random.default_rng(0)
SENT = np.arange(16, dtype=np.int32)
PICTURES = {stage: RNG.integers(0, 256, (16, 16, 3)).astype(np.uint8) for stage in ("sent", "tokenized", "recovered")}
PICTURES["lost"] = np.full((16, 16, 3), 128, np.uint8)
STAGES = ("sent", "tokenized", "lost", "recovered")


@pytest.fixture
def frames(pdu):
    """The PDUs of frames, by port."""

    def make(count, stages=STAGES, **more):
        posted = []
        for frame_id in range(count):
            shared = more | {"frame_id": frame_id, "name": "owl", "height": 16, "width": 16, "grid": (4, 4)}
            known = {"packets": 4, "packets_lost": 1, "packets_open": 0, "esn0_db": 6.0, "mode": "context", "cfo": 0.01}
            confidence = np.linspace(0.5, 1, 16).astype(np.float32)
            extra = {
                "sent": {}, "tokenized": {"tokens": SENT}, "lost": {"tokens": np.where(SENT < 4, -1, SENT)},
                "recovered": {"tokens": SENT, "mcs": np.full(4, 6, np.uint8), "confidence": confidence} | known,
            }  # fmt: skip
            posted += [(stage, pdu(PICTURES[stage], **shared, **extra[stage])) for stage in stages]
        return posted

    return make


@pytest.fixture
def run(qt):
    """Hands (port, PDU) pairs to a view's handlers in turn, as between ports the scheduler keeps no order, in a
    flowgraph that runs to its end; no timer of the window fires meanwhile."""

    def post(view, messages):
        top = gr.top_block(catch_exceptions=False)
        relay = Keeper()
        top.msg_connect(relay, "out", view, "recovered")
        top.start()
        for port, message in messages:
            getattr(view, f"_on_{port}")(message)
        for block in (relay, view):
            block.to_basic_block()._post(pmt.intern("system"), pmt.cons(pmt.intern("done"), pmt.from_long(1)))
        top.wait()

    return post


class Keeper(gr.basic_block):
    """Something to connect the view to: a flowgraph runs only what is connected."""

    def __init__(self):
        gr.basic_block.__init__(self, name="Keeper", in_sig=None, out_sig=None)
        self.message_port_register_out(pmt.intern("out"))


def painted(view):
    """The window as an array, uint8 (height, width, 3)."""
    image = view.widget.grab().toImage().convertToFormat(QImage.Format_RGB888)
    values = np.frombuffer(image.constBits().asstring(image.byteCount()), np.uint8)
    return values.reshape(image.height(), image.bytesPerLine())[:, : 3 * image.width()].reshape(image.height(), -1, 3)


def test_a_frame_is_shown_with_its_losses_outlined(run, frames, qt):
    view = tokcom.image_view()
    view.widget.resize(1000, 700)
    before = painted(view)
    run(view, frames(1))
    view.widget.show_next()
    after = painted(view)
    assert view.frames_shown == 1 and view.frames_refused == 0 and view.next_panels() is None
    orange = (np.abs(after.astype(int) - LOSS) < 40).all(axis=2).sum()
    assert orange > 200 + (np.abs(before.astype(int) - LOSS) < 40).all(axis=2).sum()
    figures = view.figures()
    assert figures["per"] == 0.25 and figures["ter"] == 0 and figures["dropped"] == {"view": 0}


def test_the_last_frame_stands_beside_the_means_and_hints_are_shown(run, frames, qt):
    view = tokcom.image_view()
    run(view, frames(3))
    assert view.latest_figures()["per"] == 0.25 and view.figures()["hint"] is None
    view.widget.resize(1120, 650)
    view.widget.show_figures()
    before = painted(view)
    meta = {"hint": "twice the sample rate", "packets": 4, "packets_lost": 4, "frame_id": 9, "height": 16, "width": 16}
    view._on_recovered(pmt.cons(pmt.to_pmt(meta), vector_of(PICTURES["lost"])))
    view.widget.show_figures()
    assert view.latest_figures()["per"] == 1 and view.figures()["per"] == pytest.approx(7 / 16)
    assert view.figures()["hint"] == view.widget._hint.text() == "twice the sample rate"
    changed = (painted(view).astype(int) != before).any(axis=2)
    assert changed[:40, 560:].any(), "the hint is painted beside the heading"


def test_one_of_several_streams_can_be_chosen(run, frames, qt):
    view = tokcom.image_view()
    run(view, frames(2, stream_id=4))
    view.widget.show_figures()
    assert view.widget._streams.isHidden(), "of one stream there is nothing to choose"
    run(view, frames(3, stream_id=9))
    view.widget.show_figures()
    choice = view.widget._streams
    assert not choice.isHidden() and [choice.itemText(i) for i in range(3)] == ["all streams", "stream 4", "stream 9"]
    assert view.figures()["frames"] == 5 and view.next_panels()[0].caption.startswith("stream 4 · owl")
    choice.setCurrentIndex(2)
    assert view.figures()["frames"] == 3 and len(view.recent_figures()) == 3
    shown = [panels[0].caption for panels in iter(view.next_panels, None)]
    assert len(shown) == 3 and all(caption.startswith("stream 9") for caption in shown) and view.frames_refused == 0
    choice.setCurrentIndex(0)
    assert view.figures()["frames"] == 5


def test_large_pictures_are_kept_as_they_are_shown(qt):
    view = tokcom.image_view()
    photograph = vector_of(np.full((1500, 2000, 3), 77, np.uint8))
    for frame_id in range(12):
        meta = pmt.to_pmt({"height": 1500, "width": 2000, "frame_id": frame_id})
        view._on_sent(pmt.cons(meta, photograph))
    assert view.frames_refused == 0 and len(view._recent) == 12 and view._recent.bytes_held == 12 * 512 * 512 * 3


def test_the_token_error_rate_does_not_depend_on_who_comes_first(run, frames):
    view = tokcom.image_view()
    *others, last = frames(1, ["sent", "recovered", "tokenized"])
    run(view, others)
    assert view.figures()["ter"] is None
    view._on_tokenized(last[1])
    assert view.figures()["ter"] == 0 and view.frames_refused == 0


def test_a_receiver_alone_shows_what_it_knows(run, frames):
    view = tokcom.image_view()
    run(view, frames(1, ["recovered"]))
    sent, received, recovered, confidence = view.next_panels()
    assert sent.picture is received.picture is None and recovered.caption == "all packets good"
    assert confidence.caption == "25.0% expected wrong"
    assert view.figures()["ter"] is None and view.figures()["ter_expected"] == pytest.approx(0.25)


def test_what_waits_is_bounded_and_what_is_dropped_is_counted(run, frames):
    view = tokcom.image_view(queue_size=5)
    run(view, frames(40))
    assert view.queue_length == 5 and view.frames_dropped == 35
    assert view.figures()["frames"] == 40 and view.figures()["dropped"]["view"] == 35
    view.widget.show_figures()
    while view.next_panels():
        pass
    assert view.frames_shown == 5


def test_the_window_shows_one_frame_more_at_every_look(run, frames):
    view = tokcom.image_view(queue_size=64)
    run(view, frames(60))
    shown = []
    while view.queue_length:
        view.widget.show_next()
        shown.append(view.frames_shown)
    assert shown == list(range(1, 61)) and view.frames_dropped == 0


def test_bad_pictures_are_counted_and_the_next_frame_passes(run, frames, pdu):
    view = tokcom.image_view()
    wrong_grid = pdu(PICTURES["lost"], frame_id=9, height=16, width=16, packets=4, packets_lost=0, grid=(3, 3),
                     tokens=SENT, confidence=np.ones(16, np.float32))  # fmt: skip
    bad = [("sent", pmt.intern("no PDU")), ("recovered", pdu(PICTURES["lost"], frame_id=0, height=16, width=15)),
           ("recovered", pdu(PICTURES["lost"], frame_id=0, height=16, width=16)),
           ("recovered", wrong_grid)]  # fmt: skip
    run(view, bad + frames(1))
    assert view.frames_refused == 3
    looks = [view.next_panels() for _ in range(10)]  # frames whose pictures are not all here are given some time
    assert sum(panels is not None for panels in looks) == 1 and view.frames_refused == 4


def alone(code, **environment):
    """Run code in a process of its own, without a display; returns what it ends with."""
    kept = {
        key: value for key, value in os.environ.items() if key not in ("DISPLAY", "WAYLAND_DISPLAY", "QT_QPA_PLATFORM")
    }
    command = [sys.executable, "-c", code]
    done = subprocess.run(command, capture_output=True, text=True, check=False, env=kept | environment)
    return done.stdout + done.stderr


def test_without_a_display_qt_or_its_application_the_view_says_so_and_the_module_works():
    code = "from gnuradio import tokcom; import sys; assert 'PyQt5' not in sys.modules; {}tokcom.image_view()"
    assert "Image View needs a display, but DISPLAY is not set" in alone(code.format(""))
    assert "Image View needs a Qt application" in alone(code.format(""), QT_QPA_PLATFORM="offscreen")
    assert "Image View needs PyQt5" in alone(code.format("sys.modules['PyQt5.QtWidgets'] = None; "))


@pytest.mark.parametrize("bad", [{"sample_rate": 0}, {"window": 0}, {"queue_size": 0}])
def test_bad_parameters_are_named(bad, qt):
    with pytest.raises(ParameterError, match=next(iter(bad))):
        tokcom.image_view(**bad)
