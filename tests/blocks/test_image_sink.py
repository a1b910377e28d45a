import json

import numpy as np
import pmt
import pytest
from gnuradio import blocks, gr, tokcom
from PIL import Image

from tokcom.errors import PictureError

RNG = np.random.default_rng(0)
STAGES = ("sent", "tokenized", "lost", "recovered")
PICTURES = {stage: RNG.integers(0, 256, (16, 16, 3)).astype(np.uint8) for stage in STAGES}
SENT = np.arange(16, dtype=np.int32)
TOKENS = {"tokenized": SENT, "lost": np.where(SENT < 4, -1, SENT), "recovered": np.where(SENT < 1, 7, SENT)}


@pytest.fixture
def run():
    """Hands (stage, PDU) pairs to a sink's handlers in turn, as between ports the scheduler keeps no order; returns its
    delivered metadata."""

    def post(sink, messages):
        top, store = gr.top_block(catch_exceptions=False), blocks.message_debug()
        top.msg_connect(sink, "delivered", store, "store")
        top.start()
        for stage, message in messages:
            getattr(sink, f"_on_{stage}")(message)
        sink.to_basic_block()._post(pmt.intern("system"), pmt.cons(pmt.intern("done"), pmt.from_long(1)))
        top.wait()
        return [pmt.to_python(pmt.car(store.get_message(i))) for i in range(store.num_messages())]

    return post


@pytest.fixture
def arrivals(pdu):
    """The four PDUs of a frame."""

    def make(frame_id, stages=STAGES):
        shared = {"frame_id": frame_id, "name": "owl", "height": 16, "width": 16}
        received = {"esn0_db": 6.0, "packets": 4, "packets_lost": 1, "codebook_size": 32, "cmi_name": "bird"}
        return [
            (
                stage,
                pdu(
                    PICTURES[stage],
                    **shared,
                    **({"tokens": TOKENS[stage]} if stage in TOKENS else {}),
                    **(received | {"seconds.recovery": 0.5} if stage == "recovered" else {}),
                ),
            )
            for stage in stages
        ]

    return make


def test_four_pictures_and_their_figures(tmp_path, run, arrivals):
    sink = tokcom.image_sink(str(tmp_path / "new" / "folder"))
    (figures,) = run(sink, arrivals(3))
    assert figures["per"] == figures["ter_channel"] == 0.25
    assert figures["ter_recovered"] == 1 / 16 and figures["exact_recovery"] == 0.75
    assert figures["cmi"] == "bird" and figures["seconds"] == {"recovery": 0.5} and figures["frame_id"] == 3
    lines = (tmp_path / "new" / "folder" / "figures.jsonl").read_text().splitlines()
    assert [json.loads(line)["image"] for line in lines] == ["owl"]
    for stage, picture in PICTURES.items():
        assert np.array_equal(np.asarray(Image.open(tmp_path / "new" / "folder" / f"0003-owl-{stage}.png")), picture)


def test_frames_may_arrive_in_any_order(tmp_path, run, arrivals):
    sink = tokcom.image_sink(str(tmp_path))
    mixed = [*arrivals(1)[::-1], *arrivals(0)]
    RNG.shuffle(mixed)
    assert sorted(figures["frame_id"] for figures in run(sink, mixed)) == [0, 1]
    assert sink.frames_delivered == 2 and sink.frames_refused == 0


def test_without_comparison_the_recovered_picture_is_enough(tmp_path, run, arrivals):
    sink = tokcom.image_sink(str(tmp_path), compare=False)
    assert len(run(sink, arrivals(0, ["recovered"]))) == 1
    assert [path.name for path in tmp_path.iterdir()] == ["0000-owl-recovered.png"]


def test_incomplete_frames_do_not_pile_up(tmp_path, run, arrivals):
    sink = tokcom.image_sink(str(tmp_path))
    run(sink, [entry for i in range(300) for entry in arrivals(i, ["sent"])])
    assert sink.frames_incomplete == 300 - 256


def test_bad_pictures_are_counted_and_the_next_frame_passes(tmp_path, run, arrivals, pdu):
    sink = tokcom.image_sink(str(tmp_path))
    bad = [
        ("sent", pmt.intern("no PDU")),
        ("sent", pdu(PICTURES["sent"], frame_id=0, height=16)),
        ("lost", pdu(PICTURES["sent"], frame_id=0, height=16, width=15)),
        ("recovered", pdu(np.zeros(3, np.float32), frame_id=0, height=1, width=1)),
    ]
    assert len(run(sink, bad + arrivals(0))) == 1 and sink.frames_refused == 4


def test_a_place_that_cannot_be_written_is_named(tmp_path):
    (tmp_path / "file").touch()
    with pytest.raises(PictureError, match="file/below: pictures cannot be saved here"):
        tokcom.image_sink(str(tmp_path / "file" / "below"))
