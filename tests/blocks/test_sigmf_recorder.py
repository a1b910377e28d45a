import json
import resource
import threading
from datetime import UTC, datetime, timedelta

import numpy as np
import pmt
import pytest
from gnuradio import blocks, gr, tokcom

from tokcom.errors import ParameterError, RecordingError
from tokcom.frame import TokenFrame
from tokcom.link.receiver import Receiver
from tokcom.link.transmitter import Transmitter
from tokcom.packets.codebook import Codebook
from tokcom.recording.reader import open_recording
from tokcom.recording.replay import replay


def tag(offset, key, value):
    made = gr.tag_t()
    made.offset, made.key, made.value = offset, pmt.intern(key), value
    return made


def rx_time(offset, seconds, fraction):
    return tag(offset, "rx_time", pmt.make_tuple(pmt.from_uint64(seconds), pmt.from_double(fraction)))


def run(recorder, samples, tags=(), messages=()):
    """A strict flowgraph that runs to its end."""
    top = gr.top_block(catch_exceptions=False)
    source = blocks.vector_source_c(np.asarray(samples).tolist(), False, 1, list(tags))
    top.connect(source, recorder)
    for message in messages:
        recorder.to_basic_block()._post(pmt.intern("annotations"), message)
    top.run()


def signal(n):
    return np.random.default_rng(0).standard_normal((n, 2), dtype=np.float32).view(np.complex64)[:, 0]


def read(path):
    return np.concatenate([chunk.samples for chunk in open_recording(path).chunks()])


def test_samples_are_recorded_as_they_are(tmp_path):
    samples = signal(100_000)
    recorder = tokcom.sigmf_recorder(str(tmp_path / "a"), 2e6, 915e6, "B210", "Ada")
    before = datetime.now(UTC)
    run(recorder, samples)
    recording = open_recording(tmp_path / "a")
    assert np.array_equal(read(tmp_path / "a"), samples)
    assert (recording.sample_rate, recording.frequency) == (2e6, 915e6)
    assert before <= recording.captures[0].time <= datetime.now(UTC)
    content = json.loads((tmp_path / "a.sigmf-meta").read_text())["global"]
    assert (content["core:hw"], content["core:author"]) == ("B210", "Ada") and len(content["core:sha512"]) == 128
    assert (recorder.samples_recorded, recorder.samples_dropped, recorder.write_errors) == (100_000, 0, 0)


def test_a_radios_tags_begin_captures(tmp_path):
    begun = datetime(2025, 6, 1, 12, tzinfo=UTC)
    seconds = int(begun.timestamp())
    tags = [
        rx_time(0, seconds, 0.25),
        tag(0, "rx_rate", pmt.from_double(500e3)),
        tag(0, "rx_freq", pmt.from_double(433e6)),
        tag(10, "other", pmt.from_double(1.0)),
        rx_time(30_000, seconds + 1, 0.5),
        tag(50_001, "rx_freq", pmt.from_double(434e6)),
    ]
    recorder = tokcom.sigmf_recorder(str(tmp_path / "a"))
    run(recorder, signal(60_000), tags)
    recording = open_recording(tmp_path / "a")
    assert recording.sample_rate == 500e3 and recording.length == 60_000
    assert [(capture.start, capture.frequency) for capture in recording.captures] == [
        (0, 433e6),
        (30_000, 433e6),
        (50_001, 434e6),
    ]
    times = [(capture.time - begun) / timedelta(seconds=1) for capture in recording.captures]
    assert times == pytest.approx([0.25, 1.5, 1.5 + 20_001 / 500e3], abs=1e-5)


def test_a_radio_whose_clock_was_not_set_gets_the_computers(tmp_path):
    before = datetime.now(UTC)
    run(tokcom.sigmf_recorder(str(tmp_path / "a")), signal(20_000), [rx_time(0, 3, 0.0), rx_time(10_000, 13, 0.5)])
    first, second = (capture.time for capture in open_recording(tmp_path / "a").captures)
    assert before <= first <= datetime.now(UTC) and second - first == timedelta(seconds=10.5)


def test_a_changed_sample_rate_ends_the_recording_and_not_the_flowgraph(tmp_path):
    recorder = tokcom.sigmf_recorder(str(tmp_path / "a"))
    run(recorder, signal(60_000), [tag(40_000, "rx_rate", pmt.from_double(2e6))])
    assert recorder.write_errors == 1 and recorder.samples_recorded == 40_000
    assert open_recording(tmp_path / "a").length == 40_000


def test_bursts_are_noted(tmp_path, pdu):
    known = {
        "burst_start": 500, "burst_length": 200, "frame_id": 7, "stream_id": 2, "profile": "robust", "esn0_db": 9.5,
        "evm_db": -10.0, "cfo": 0.05, "packets": 4, "packets_lost": 1,
    }  # fmt: skip
    messages = [
        pdu(np.zeros(0, np.float32), **known),
        pmt.to_pmt({"burst_start": 100, "burst_length": 50}),
        pmt.to_pmt({"burst_start": 5000, "burst_length": 50}),
        pmt.to_pmt({"burst_start": 100}),
        pmt.to_pmt({"burst_start": 1, "burst_length": "long"}),
        pmt.intern("no metadata"),
    ]
    recorder = tokcom.sigmf_recorder(str(tmp_path / "a"), 1e6, 1e9)
    run(recorder, signal(1000), messages=messages)
    plain, burst = open_recording(tmp_path / "a").annotations
    assert (plain["core:sample_start"], plain["core:sample_count"]) == (100, 50)
    assert (burst["core:sample_start"], burst["core:sample_count"]) == (500, 200)
    noted = {key.removeprefix("tokcom:"): value for key, value in burst.items() if key.startswith("tokcom:")}
    assert noted.pop("cfo_hz") == pytest.approx(0.05e6 / (2 * np.pi))
    assert noted == {key: value for key, value in known.items() if not key.startswith("burst") and key != "cfo"}
    assert (recorder.bursts_noted, recorder.annotations_refused) == (3, 3)


def test_bursts_found_in_the_flowgraph_are_noted_where_they_are(tmp_path):
    """The recorder's stream goes on until the notes are here."""
    frame = TokenFrame(np.arange(64) * 16, "random", 1024, frame_id=3)
    burst = Transmitter().transmit(frame, 1)
    padded = np.concatenate([np.zeros(2000), burst, np.zeros(1000)]).astype(np.complex64)
    recorder = tokcom.sigmf_recorder(str(tmp_path / "a"), max_seconds=0.0)
    top, sync, demodulator = gr.top_block(catch_exceptions=False), tokcom.burst_sync(), tokcom.burst_demodulator()
    source, gate = blocks.vector_source_c(padded.tolist(), True), Gate(recorder)
    top.connect(source, gate, sync)
    top.connect(gate, recorder)
    top.msg_connect(sync, "bursts", demodulator, "bursts")
    top.msg_connect(demodulator, "cqi", recorder, "annotations")
    top.run()
    recording = open_recording(tmp_path / "a")
    first = recording.annotations[0]
    assert abs(first["core:sample_start"] - 2000) <= 8 and first["tokcom:frame_id"] == 3
    found = list(replay(recording, Receiver([Codebook("random", 1024)])))
    assert np.array_equal(found[0].frame.tokens, frame.tokens)


class Gate(gr.sync_block):
    """Passes samples on until a recorder has noted a burst."""

    def __init__(self, recorder):
        gr.sync_block.__init__(self, "gate", [np.complex64], [np.complex64])
        self._recorder = recorder

    def work(self, input_items, output_items):
        if self._recorder.bursts_noted:
            return -1
        output_items[0][:] = input_items[0]
        return len(output_items[0])


def test_it_ends_at_its_full_length(tmp_path):
    recorder = tokcom.sigmf_recorder(str(tmp_path / "a"), max_seconds=0.01)
    run(recorder, signal(50_000))
    assert recorder.samples_recorded == 10_000 and recorder.write_errors == 0
    assert np.array_equal(read(tmp_path / "a"), signal(50_000)[:10_000])


def test_a_full_disk_ends_the_recording_and_not_the_flowgraph(tmp_path):
    recorder = tokcom.sigmf_recorder(str(tmp_path / "a"))
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (80_000, hard))
    try:
        run(recorder, signal(200_000))
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert recorder.write_errors == 1 and recorder.samples_recorded == 10_000
    assert np.array_equal(read(tmp_path / "a"), signal(10_000))


def test_an_existing_recording_is_safe_unless_it_may_go(tmp_path):
    recorder = tokcom.sigmf_recorder(str(tmp_path / "b"))
    run(tokcom.sigmf_recorder(str(tmp_path / "a")), signal(1000))
    with pytest.raises(RecordingError, match="exists; choose another name"):
        tokcom.sigmf_recorder(str(tmp_path / "a"))
    run(tokcom.sigmf_recorder(str(tmp_path / "b")), signal(1000))
    run(recorder, signal(500))
    assert recorder.write_errors == 1 and open_recording(tmp_path / "b").length == 1000
    run(tokcom.sigmf_recorder(str(tmp_path / "a"), overwrite=True), signal(500))
    assert open_recording(tmp_path / "a").length == 500


@pytest.mark.parametrize("overwrite", [False, True])
def test_a_restart_goes_on_in_the_recording(overwrite, tmp_path):
    recorder = tokcom.sigmf_recorder(str(tmp_path / "a"), overwrite=overwrite)
    note = pmt.to_pmt({"burst_start": 100, "burst_length": 50})
    run(recorder, signal(1000), [tag(400, "rx_freq", pmt.from_double(1e9))], [note])
    run(recorder, signal(500), [tag(200, "rx_freq", pmt.from_double(2e9))])
    run(recorder, signal(300))
    recording = open_recording(tmp_path / "a")
    assert np.array_equal(read(tmp_path / "a"), np.concatenate([signal(1000), signal(500), signal(300)]))
    places = [(capture.start, capture.stream_index, capture.frequency) for capture in recording.captures]
    assert places == [
        (0, 0, None), (400, 400, 1e9), (1000, 1000, 1e9), (1200, 1200, 2e9), (1500, 1500, 2e9)
    ]  # fmt: skip
    times = [capture.time for capture in recording.captures]
    assert times == sorted(times) and [each["core:sample_start"] for each in recording.annotations] == [100]
    assert (recorder.samples_recorded, recorder.write_errors) == (1800, 0)


def test_a_running_flowgraph_that_is_rewired_goes_on_in_the_recording(tmp_path):
    recorder = tokcom.sigmf_recorder(str(tmp_path / "a"), max_seconds=0.0)
    top, source, counter = gr.top_block(catch_exceptions=False), blocks.null_source(8), Counter(100_000)
    top.connect(source, recorder)
    top.connect(source, counter)
    top.start()
    try:
        assert counter.done.wait(120)
        top.lock()
        more = Counter(100_000)
        top.connect(source, more)
        top.unlock()
        assert more.done.wait(120)
    finally:
        top.stop()
        top.wait()
    _, second = open_recording(tmp_path / "a").captures
    assert second.start == second.stream_index > 0 and recorder.write_errors == 0
    assert recorder.samples_recorded + recorder.samples_dropped > second.start


class Counter(gr.sync_block):
    """Sets `done` once so many samples have passed."""

    def __init__(self, expected):
        gr.sync_block.__init__(self, "counter", [np.complex64], None)
        self.done, self._left = threading.Event(), expected

    def work(self, input_items, output_items):
        self._left -= len(input_items[0])
        if self._left <= 0:
            self.done.set()
        return len(input_items[0])


def test_a_restart_adds_nothing_to_a_recording_that_has_ended(tmp_path):
    recorder = tokcom.sigmf_recorder(str(tmp_path / "a"), max_seconds=0.01)
    for _ in range(2):
        run(recorder, signal(50_000))
    assert recorder.samples_recorded == open_recording(tmp_path / "a").length == 10_000 and recorder.write_errors == 0


def test_a_restart_leaves_a_recording_alone_that_another_has_changed(tmp_path):
    recorder = tokcom.sigmf_recorder(str(tmp_path / "a"))
    run(recorder, signal(1000))
    (tmp_path / "a.sigmf-data").write_bytes(b"theirs")
    run(recorder, signal(1000))
    assert recorder.write_errors == 1 and (tmp_path / "a.sigmf-data").read_bytes() == b"theirs"


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("rx_time", pmt.from_uint64(1_700_000_000_123_456_789)),
        ("rx_time", pmt.from_double(1_700_000_000.5)),
        ("rx_time", pmt.make_tuple(pmt.from_uint64(2**63), pmt.from_double(0.0))),
        ("rx_time", pmt.make_tuple(pmt.from_uint64(1_700_000_000), pmt.from_double(float("nan")))),
        ("rx_time", pmt.make_tuple(pmt.from_uint64(1_700_000_000))),
        ("rx_freq", pmt.to_pmt([1e9, 1e9])),
        ("rx_freq", pmt.from_double(float("nan"))),
        ("rx_freq", pmt.from_double(1e15)),
        ("rx_freq", pmt.PMT_NIL),
        ("rx_rate", pmt.from_double(0.0)),
        ("rx_rate", pmt.intern("fast")),
    ],
    ids=lambda value: str(value)[:30],
)
def test_a_tag_that_cannot_be_read_is_left_out_and_counted(key, value, tmp_path):
    recorder = tokcom.sigmf_recorder(str(tmp_path / "a"))
    run(recorder, signal(20_000), [tag(5000, key, value), tag(6000, "rx_freq", pmt.from_double(1e9))])
    recording = open_recording(tmp_path / "a")
    assert np.array_equal(read(tmp_path / "a"), signal(20_000))
    assert [(capture.start, capture.frequency) for capture in recording.captures] == [(0, None), (6000, 1e9)]
    assert (recorder.tags_refused, recorder.write_errors) == (1, 0)


def test_a_name_that_is_too_long_is_told(tmp_path):
    with pytest.raises(RecordingError, match="File name too long"):
        tokcom.sigmf_recorder(str(tmp_path / ("x" * 250)))


def test_a_place_that_cannot_be_written_stops_no_flowgraph(tmp_path):
    (tmp_path / "file").touch()
    recorder = tokcom.sigmf_recorder(str(tmp_path / "file" / "a"))
    run(recorder, signal(1000))
    assert recorder.write_errors == 1 and recorder.samples_recorded == 0


@pytest.mark.parametrize(
    "bad", [{"sample_rate": 0.0}, {"frequency": float("nan")}, {"max_seconds": -1.0}, {"max_seconds": float("nan")}]
)
def test_bad_parameters_are_named(bad, tmp_path):
    with pytest.raises(ParameterError, match=next(iter(bad))):
        tokcom.sigmf_recorder(str(tmp_path / "a"), **bad)
