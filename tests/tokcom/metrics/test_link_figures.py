from dataclasses import replace

import numpy as np
import pytest

from tokcom.errors import FrameError, ParameterError
from tokcom.mcs import mcs_table
from tokcom.metrics.link_figures import MAX_STREAMS, FrameFigures, LinkFigures, frame_figures

META = {
    "frame_id": 7, "stream_id": 2, "packets": 4, "packets_lost": 1, "packets_open": 0, "esn0_db": 6.0, "cfo": 0.01,
    "clock_offset_ppm": -3.0, "evm_db": -8.0, "mcs": np.array([3, 3, 6, 6], np.uint8), "mode": "context",
    "confidence": np.array([1, 1, 0.5, 1], np.float32), "seconds.recovery": 0.1, "queued.recovery": 2,
}  # fmt: skip


def test_a_frames_figures_are_those_of_its_metadata():
    frame = frame_figures(META, np.array([1, 2, 3, 4]), np.array([1, 2, 4, 4]))
    assert (frame.stream_id, frame.frame_id, frame.per, frame.packets_open) == (2, 7, 0.25, 0)
    assert frame.ter == 0.25 and frame.ter_expected == 0.125
    assert frame_figures(META).ter is None and frame_figures(META | {"mode": "keep"}).ter_expected is None


@pytest.mark.parametrize("bad", [{"packets": 0}, {"packets_lost": 5}, {"packets": None}, {"packets_lost": "one"}])
def test_metadata_without_packets_make_no_figures(bad):
    with pytest.raises(FrameError, match="packets lost cannot be counted"):
        frame_figures(META | bad)


def test_figures_over_a_window_are_those_computed_by_hand():
    rng = np.random.default_rng(0)
    link = LinkFigures(sample_rate=1e6, window=10)
    frames = [
        FrameFigures(
            0, i, 8, int(rng.integers(0, 9)), int(rng.integers(0, 3)), rng.integers(0, 12, 8).astype(np.uint8),
            ter=rng.random() if i % 2 else None, esn0_db=rng.normal(6), cfo=rng.normal() / 100,
        )
        for i in range(25)
    ]  # fmt: skip
    for i, frame in enumerate(frames):
        link.add(frame, i / 20)
    last, figures = frames[-10:], link.figures(24 / 20)
    assert figures["frames"] == 25 and figures["frames_missed"] == 0 and link.frames() == last
    assert figures["per"] == sum(f.packets_lost for f in last) / 80
    assert figures["per_recovered"] == sum(f.packets_open for f in last) / 80
    assert figures["ter"] == pytest.approx(np.mean([f.ter for f in last if f.ter is not None]))
    assert figures["esn0_db"] == pytest.approx(np.mean([f.esn0_db for f in last]))
    assert figures["cfo_hz"] == pytest.approx(np.mean([f.cfo for f in last]) * 1e6 / (2 * np.pi))
    assert figures["clock_offset_ppm"] is None and figures["ter_expected"] is None
    assert (
        list(figures["mcs"]) == [*(row.name for row in mcs_table()), "not sent"] and sum(figures["mcs"].values()) == 80
    )
    assert figures["mcs"]["qpsk-1/2"] == sum(int((f.mcs == 3).sum()) for f in last)


def test_the_latest_frame_alone_answers_at_once():
    link = LinkFigures(sample_rate=2e5 * np.pi)
    assert set(link.latest().values()) == {None}
    for number, (lost, esn0_db) in enumerate([(4, 2.0), (4, 2.0), (0, 20.0)]):
        link.add(frame_figures(META | {"frame_id": number, "packets_lost": lost, "esn0_db": esn0_db}), 0)
    latest, figures = link.latest(), link.figures(0)
    assert latest.keys() == {
        "per",
        "per_recovered",
        "ter",
        "ter_expected",
        "esn0_db",
        "cfo_hz",
        "clock_offset_ppm",
        "evm_db",
    }
    assert (latest["per"], latest["esn0_db"]) == (0, 20) and figures["per"] == pytest.approx(2 / 3)
    assert latest["cfo_hz"] == pytest.approx(1000)


def test_frames_a_second_are_counted_over_the_last_seconds():
    link = LinkFigures()
    assert link.figures(0)["frames_per_second"] == 0
    for i in range(200):
        link.add(FrameFigures(0, i, 1, 0), 100 + i / 20)
    assert link.figures(110)["frames_per_second"] == pytest.approx(20, abs=0.3)
    assert link.figures(112.5)["frames_per_second"] == pytest.approx(10, abs=0.3)
    assert link.figures(120)["frames_per_second"] == 0


def test_gaps_in_the_numbers_are_missed_frames_and_a_new_beginning_is_none():
    link, wrap = LinkFigures(), (1 << 20) - 1
    for stream, frame_id in [(0, 5), (1, 9), (0, 6), (0, 9), (1, 10), (0, 0), (0, 1), (0, 1), (2, wrap - 1), (2, 1)]:
        link.add(FrameFigures(stream, frame_id, 1, 0), 0)
    assert link.figures(0)["frames_missed"] == 2 + 2


def plain(frame):
    return replace(frame, mcs=frame.mcs.tobytes())


def test_each_stream_has_figures_of_its_own():
    """As if each had a link to itself, whatever else comes in between; and all together as before."""
    rng = np.random.default_rng(1)
    together, alone = LinkFigures(window=5), {stream: LinkFigures(window=5) for stream in (2, 7)}
    for number in range(40):
        stream = int(rng.choice((2, 7)))
        frame = FrameFigures(
            stream, number // 2, 8, int(rng.integers(0, 9)), int(rng.integers(0, 3)),
            rng.integers(0, 12, 8).astype(np.uint8), ter=rng.random(), esn0_db=rng.normal(6), rx_time=float(number),
        )  # fmt: skip
        together.add(frame, number / 10)
        alone[stream].add(frame, number / 10)
        if number % 5 == 0:
            together.amend(stream, number // 2, 0.5)
            alone[stream].amend(stream, number // 2, 0.5)
    figures = together.figures(4.0)
    assert together.streams == [2, 7] and list(figures["streams"]) == ["2", "7"]
    for stream, link in alone.items():
        own = link.figures(4.0)
        assert figures["streams"][str(stream)] == {
            key: own[key] for key in own if key not in ("streams", "hint", "queued", "dropped")
        }
        assert [plain(each) for each in together.frames(stream)] == [plain(each) for each in link.frames()]
        assert together.latest(stream) == link.latest()
    assert figures["frames"] == 40 and len(together.frames()) == 5
    assert figures["frames_missed"] == sum(own["frames_missed"] for own in figures["streams"].values())


def test_streams_without_end_take_no_more_memory():
    link = LinkFigures()
    for stream in range(3 * MAX_STREAMS):
        link.add(FrameFigures(stream, 0, 1, 0), 0)
    assert (
        link.streams == list(range(2 * MAX_STREAMS, 3 * MAX_STREAMS)) and link.figures(0)["frames"] == 3 * MAX_STREAMS
    )
    assert link.frames(0) == []


def test_the_latest_counters_count():
    link = LinkFigures()
    link.note_counters({"queued.recovery": 3, "dropped.recovery": 1, "name": "owl"})
    link.note_counters({"queued.recovery": 0, "dropped.framer": 2})
    figures = link.figures(0)
    assert figures["queued"] == {"recovery": 0} and figures["dropped"] == {"framer": 2, "recovery": 1}


def test_nothing_is_known_before_the_first_frame():
    figures = LinkFigures().figures(0)
    assert figures["per"] is None and figures["esn0_db"] is None and set(figures["mcs"].values()) == {0}


def test_a_frame_is_amended_by_what_becomes_known_later():
    link = LinkFigures(window=3)
    for stream, number in ((0, 1), (2, 1), (2, 2)):
        link.add(FrameFigures(stream, number, 4, 0), 0)
    link.amend(2, 1, 0.25)
    link.amend(5, 1, 0.75)  # not of this window
    assert [frame.ter for frame in link.frames()] == [None, 0.25, None] and link.figures(0)["ter"] == 0.25


def test_time_and_hints_are_those_of_the_latest_frames():
    link = LinkFigures(window=3)
    for number, (rx_time, hint) in enumerate([(1.5, "gap of 8 samples"), (2.5, ""), (3.5, "")]):
        link.add(frame_figures(META | {"frame_id": number, "rx_time": (int(rx_time), 0.5), "hint": hint}), number)
    assert link.figures(3)["rx_time"] == 3.5 and link.figures(3)["hint"] == "gap of 8 samples"
    link.add(frame_figures(META | {"frame_id": 3}), 3)
    assert link.figures(3)["rx_time"] is None and link.figures(3)["hint"] is None
    link.note_counters({"hint": "twice the sample rate", "queued.framer": 1})
    assert link.figures(3)["hint"] == "twice the sample rate"
    link.add(frame_figures(META | {"frame_id": 4}), 3)
    assert link.figures(3)["hint"] is None, "a frame came: it is mended"


@pytest.mark.parametrize("bad", [{"sample_rate": 0}, {"sample_rate": float("nan")}, {"window": 0}])
def test_bad_parameters_are_named(bad):
    with pytest.raises(ParameterError, match=next(iter(bad))):
        LinkFigures(**bad)
