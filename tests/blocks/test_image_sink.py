import json

import numpy as np
import pmt
import pytest
from gnuradio import blocks, gr, tokcom
from gnuradio.tokcom._pdu import vector_of
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

    def make(frame_id, stages=STAGES, stream=None, name="owl"):
        shared = {"frame_id": frame_id, "name": name, "height": 16, "width": 16}
        shared |= {} if stream is None else {"stream_id": stream}
        received = {"esn0_db": 6.0, "packets": 4, "packets_lost": 1, "codebook_size": 32, "cmi_name": "bird"}
        received |= {"gap_samples": 7, "rx_time": (12, 0.5)}
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
    (told,) = run(sink, arrivals(0, ["recovered"]))
    assert told["files"] == {"recovered": "000000-s0-f0000-recovered.png"} and told["packets_lost"] == 1
    assert sorted(path.name for path in tmp_path.iterdir()) == ["000000-s0-f0000-recovered.png", "figures.jsonl"]


def test_without_comparison_nothing_is_overwritten(tmp_path, run, arrivals):
    """Two streams with the same numbers, a transmitter that began anew, and a receiver that did."""
    for _ in range(2):
        sink = tokcom.image_sink(str(tmp_path), compare=False)
        messages = [entry for stream in (0, 3, 0) for i in (1, 2) for entry in arrivals(i, ["recovered"], stream)]
        assert len(run(sink, messages)) == 6
    lines = [json.loads(line) for line in (tmp_path / "figures.jsonl").read_text().splitlines()]
    assert len(list(tmp_path.glob("*.png"))) == 12 == len({line["file"] for line in lines})
    assert all((tmp_path / line["file"]).is_file() for line in lines)
    assert [line["stream_id"] for line in lines] == [0, 0, 3, 3, 0, 0] * 2
    first = lines[0]
    assert (first["packets"], first["packets_lost"], first["esn0_db"], first["cmi"]) == (4, 1, 6.0, "bird")
    assert first["hint"] == "gap of 7 samples" and first["rx_time"] == 12.5 and first["seconds"] == {"recovery": 0.5}


def test_a_picture_of_which_nothing_is_known_is_saved_all_the_same(tmp_path, run, pdu):
    sink = tokcom.image_sink(str(tmp_path), compare=False)
    (told,) = run(sink, [("recovered", pdu(PICTURES["sent"], frame_id=2, height=16, width=16))])
    assert told["packets"] is None and (tmp_path / "000000-s0-f0002-recovered.png").is_file()


def test_two_streams_are_compared_each_with_its_own(tmp_path, run, arrivals):
    sink = tokcom.image_sink(str(tmp_path))
    mixed = [entry for pair in zip(arrivals(7), arrivals(7, stream=2), strict=True) for entry in pair]
    assert sorted(told["stream_id"] for told in run(sink, mixed)) == [0, 2] and sink.frames_incomplete == 0
    assert {"0007-owl-sent.png", "s2-0007-owl-sent.png"} <= {path.name for path in tmp_path.iterdir()}


def test_numbers_that_go_round_meet(tmp_path, run, arrivals):
    sink = tokcom.image_sink(str(tmp_path))
    beyond = arrivals((1 << 20) + 3, ["sent", "tokenized"]) + arrivals(3, ["lost", "recovered"])
    assert [told["frame_id"] for told in run(sink, beyond)] == [3]


@pytest.mark.parametrize("name", ["\u65e5" * 80, "x" * 250, "a/b", ""])
def test_any_name_becomes_a_file(tmp_path, run, arrivals, name):
    sink = tokcom.image_sink(str(tmp_path))
    (told,) = run(sink, arrivals(0, name=name))
    assert "error" not in told and told["image"] == name and sink.write_errors == 0
    assert set(told["files"].values()) == {path.name for path in tmp_path.glob("*.png")} and len(told["files"]) == 4
    assert all(len(file.encode()) <= 255 for file in told["files"].values())


@pytest.mark.parametrize("full", ["0000-owl-lost.png", "figures.jsonl"])
def test_a_full_disk_is_told_and_the_frame_counts_as_delivered(tmp_path, run, arrivals, full, monkeypatch):
    sink = tokcom.image_sink(str(tmp_path))
    # At its start it clears figures.jsonl away.
    monkeypatch.setattr(sink, "start", lambda: True)
    (tmp_path / full).symlink_to("/dev/full")
    (told,) = run(sink, arrivals(0))
    assert "No space left on device" in told["error"] and told["per"] == 0.25
    assert sink.write_errors == sink.frames_delivered == 1 and sink.frames_refused == 0


def test_what_waits_is_bounded_in_bytes(tmp_path, pdu):
    sink = tokcom.image_sink(str(tmp_path))
    large = vector_of(np.zeros((2000, 3000, 3), np.uint8))
    for frame_id in range(40):
        meta = pmt.to_pmt({"frame_id": frame_id, "height": 2000, "width": 3000})
        sink._on_sent(pmt.cons(meta, large))
        assert sink._pending.bytes_held <= 256 << 20
    assert sink.frames_incomplete == 40 - (256 << 20) // (2000 * 3000 * 3)


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
