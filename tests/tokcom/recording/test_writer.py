import hashlib
import json
import tracemalloc
from datetime import UTC, datetime, timedelta

import numpy as np
import pytest
import sigmf

import tokcom
from tokcom.errors import ParameterError, RecordingError
from tokcom.recording import writer as writer_module
from tokcom.recording.metadata import OCCUPIED, BurstAnnotation, RecordingInfo
from tokcom.recording.reader import open_recording
from tokcom.recording.writer import SigmfWriter

INFO = RecordingInfo(2e6, 915e6, "USRP B210, VERT900", "Ada", "a test", "https://creativecommons.org/licenses/by/4.0/")
PLAIN = RecordingInfo(1e6)


def read(path):
    pieces = [chunk.samples for chunk in open_recording(path).chunks()]
    return np.concatenate([np.zeros(0, np.complex64), *pieces])


def metadata(path):
    return json.loads(path.with_name(path.name + ".sigmf-meta").read_text())


def test_what_is_written_is_read_again(tmp_path, noise):
    samples = noise(10_000)
    with SigmfWriter(tmp_path / "new" / "a.b.sigmf-meta", INFO) as writer:
        assert [writer.write(piece) for piece in np.array_split(samples, [1, 1, 700, 9000])] == [1, 0, 699, 8300, 1000]
    assert np.array_equal(read(tmp_path / "new" / "a.b"), samples)
    assert sorted(path.name for path in (tmp_path / "new").iterdir()) == ["a.b.sigmf-data", "a.b.sigmf-meta"]


def test_other_sigmf_programs_take_it(tmp_path, noise):
    samples = noise(1000)
    with SigmfWriter(tmp_path / "a", INFO) as writer:
        writer.annotate(BurstAnnotation(100, 50, frame_id=7, esn0_db=np.float32(9.5), cfo=0.1))
        writer.write(samples)
    file = sigmf.fromfile(tmp_path / "a.sigmf-meta")
    file.validate()
    assert np.array_equal(file.read_samples(), samples)
    assert file.get_annotations()[0]["tokcom:frame_id"] == 7


def test_the_metadata_says_what_is_known(tmp_path, noise):
    with SigmfWriter(tmp_path / "a", INFO) as writer:
        writer.start_capture(time=datetime(2025, 3, 1, 12, 0, 0, 250_000, UTC))
        writer.write(noise(1000))
    content = metadata(tmp_path / "a")
    data = (tmp_path / "a.sigmf-data").read_bytes()
    assert content["global"] | {"core:version": ""} == {
        "core:author": "Ada",
        "core:datatype": "cf32_le",
        "core:description": "a test",
        "core:extensions": [{"name": "tokcom", "version": "1.0.0", "optional": True}],
        "core:hw": "USRP B210, VERT900",
        "core:license": "https://creativecommons.org/licenses/by/4.0/",
        "core:num_channels": 1,
        "core:offset": 0,
        "core:recorder": f"gr-tokcom {tokcom.__version__}",
        "core:sample_rate": 2e6,
        "core:sha512": hashlib.sha512(data).hexdigest(),
        "core:version": "",
    }
    assert content["captures"] == [
        {"core:sample_start": 0, "core:frequency": 915e6, "core:datetime": "2025-03-01T12:00:00.250000Z"}
    ]


def test_bursts_are_noted_in_order_with_what_is_known_of_them(tmp_path, noise):
    burst = BurstAnnotation(
        400, 100, "of tower 3", frame_id=3, stream_id=1, profile="robust", packets=16, packets_lost=2, esn0_db=8.5,
        evm_db=-9.25, cfo=-0.02,
    )  # fmt: skip
    with SigmfWriter(tmp_path / "a", INFO) as writer:
        assert writer.annotate(burst)
        writer.write(noise(1000))
        assert writer.annotate(BurstAnnotation(-20, 100, esn0_db=float("nan"), cfo=float("inf")))
    early, late = metadata(tmp_path / "a")["annotations"]
    cfo_hz = -0.02 * 2e6 / (2 * np.pi)
    assert late.pop("core:freq_lower_edge") == pytest.approx(915e6 + cfo_hz - OCCUPIED * 1e6)
    assert late.pop("core:freq_upper_edge") == pytest.approx(915e6 + cfo_hz + OCCUPIED * 1e6)
    assert late == {
        "core:sample_start": 400, "core:sample_count": 100, "core:label": "frame 3", "core:comment": "of tower 3",
        "core:generator": "gr-tokcom", "tokcom:frame_id": 3, "tokcom:stream_id": 1, "tokcom:profile": "robust",
        "tokcom:packets": 16, "tokcom:packets_lost": 2, "tokcom:esn0_db": 8.5, "tokcom:evm_db": -9.25,
        "tokcom:cfo_hz": pytest.approx(cfo_hz),
    }  # fmt: skip
    assert (early["core:sample_start"], early["core:sample_count"], early["core:label"]) == (0, 80, "burst")
    assert not [key for key in early if key.startswith("tokcom:")]


def test_samples_lost_begin_a_capture_and_bursts_keep_their_place(tmp_path, noise):
    samples = noise(3000)
    begun = datetime(2025, 3, 1, tzinfo=UTC)
    with SigmfWriter(tmp_path / "a", RecordingInfo(1e6, 1e9)) as writer:
        writer.start_capture(stream_index=50, time=begun)
        writer.write(samples[:1000], stream_index=50)
        writer.write(samples[1000:2000], stream_index=1050)
        writer.write(samples[2000:], stream_index=5050)
        for start in (50, 2000, 3000, 5000, 5060, 6000, 6050):
            writer.annotate(BurstAnnotation(start, 100))
    captures = open_recording(tmp_path / "a").captures
    assert [(capture.start, capture.stream_index, capture.frequency) for capture in captures] == [
        (0, 50, 1e9),
        (2000, 5050, 1e9),
    ]
    assert [capture.time - begun for capture in captures] == [timedelta(0), timedelta(seconds=0.005)]
    places = [(a["core:sample_start"], a["core:sample_count"]) for a in metadata(tmp_path / "a")["annotations"]]
    # Those at 3000 and 6050 lie in the gap and behind the end; the one at 5000 begins in the gap.
    assert places == [(0, 100), (1950, 50), (2010, 100), (2950, 50)]


def test_captures_follow_the_radio(tmp_path, noise):
    with SigmfWriter(tmp_path / "a", PLAIN) as writer:
        writer.start_capture(sample_rate=2e6)
        writer.write(noise(100))
        writer.start_capture(frequency=1e9)
        writer.start_capture(time=datetime(2025, 1, 1, tzinfo=UTC))
        writer.write(noise(100))
        writer.start_capture(sample_rate=2e6, frequency=2e9)
    recording = open_recording(tmp_path / "a")
    assert recording.sample_rate == 2e6
    assert [(capture.start, capture.frequency) for capture in recording.captures] == [(0, None), (100, 1e9)]
    assert recording.captures[1].time == datetime(2025, 1, 1, tzinfo=UTC)


def test_a_recording_has_one_sample_rate(tmp_path, noise):
    with SigmfWriter(tmp_path / "a", PLAIN) as writer:
        writer.write(noise(100))
        with pytest.raises(RecordingError, match="changed from 1e\\+06 to 2e\\+06 Hz"):
            writer.start_capture(sample_rate=2e6)
        assert writer.ended and writer.write(noise(100)) == 0
    assert open_recording(tmp_path / "a").length == 100


def test_it_ends_at_its_full_length(tmp_path, noise, caplog):
    caplog.set_level("INFO")
    with SigmfWriter(tmp_path / "a", PLAIN, max_seconds=0.0025) as writer:
        assert [writer.write(noise(1000)) for _ in range(4)] == [1000, 1000, 500, 0]
        assert writer.ended and "it has 0.0025 s" in caplog.text
        assert open_recording(tmp_path / "a").length == 2500
        writer.annotate(BurstAnnotation(2400, 200))
        writer.start_capture(frequency=1.0)
    assert len(open_recording(tmp_path / "a").annotations) == 1


def test_a_full_disk_ends_it_with_what_is_written(tmp_path, noise, full_disk):
    samples = noise(20_000)
    writer = SigmfWriter(tmp_path / "a", PLAIN)
    writer.annotate(BurstAnnotation(10, 20))
    with full_disk(100_003), pytest.raises(RecordingError, match="after 12500 samples, which are kept: File too large"):
        for piece in np.array_split(samples, 7):
            writer.write(piece)
    assert writer.ended and writer.write(samples) == 0
    writer.close()
    assert np.array_equal(read(tmp_path / "a"), samples[:12500])
    assert len(open_recording(tmp_path / "a").annotations) == 1


def test_what_a_crash_leaves_can_be_read(tmp_path, noise):
    writer = SigmfWriter(tmp_path / "a", PLAIN)
    writer.write(noise(1000))
    with (tmp_path / "a.sigmf-data").open("ab") as file:
        file.write(b"cut")
    assert np.array_equal(read(tmp_path / "a"), noise(1000))


def test_an_existing_recording_is_safe(tmp_path, noise):
    with SigmfWriter(tmp_path / "a", PLAIN) as writer:
        writer.write(noise(1000))
    with pytest.raises(RecordingError, match=r"a\.sigmf-data exists; choose another name"):
        SigmfWriter(tmp_path / "a", PLAIN)
    assert open_recording(tmp_path / "a").length == 1000
    with SigmfWriter(tmp_path / "a", PLAIN, overwrite=True) as writer:
        assert open_recording(tmp_path / "a").length == 0
        writer.write(noise(10))
    assert open_recording(tmp_path / "a").length == 10


def test_memory_does_not_grow(tmp_path, noise):
    samples = noise(50_000)
    with SigmfWriter(tmp_path / "a", PLAIN) as writer:
        writer.write(samples)
        tracemalloc.start()
        for _ in range(50):
            writer.write(samples)
        peak = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
    assert peak < 50_000


def test_notes_are_bounded(tmp_path, noise, monkeypatch):
    monkeypatch.setattr(writer_module, "MAX_NOTES", 3)
    with SigmfWriter(tmp_path / "a", PLAIN) as writer:
        assert [writer.annotate(BurstAnnotation(0, 1)) for _ in range(4)] == [True, True, True, False]
        assert writer.annotations_dropped == 1
        with pytest.raises(RecordingError, match="it has 3 captures"):
            for gap in range(5):
                writer.write(noise(10), stream_index=100 * gap)
    assert open_recording(tmp_path / "a").length == 30


def test_bad_parameters_and_places_are_named(tmp_path):
    for bad in ({"sample_rate": 0.0}, {"sample_rate": float("nan")}, {"sample_rate": 1.0, "frequency": float("inf")}):
        with pytest.raises(ParameterError, match=list(bad)[-1]):
            RecordingInfo(**bad)
    with pytest.raises(ParameterError, match="max_seconds is 0"):
        SigmfWriter(tmp_path / "a", PLAIN, max_seconds=0)
    (tmp_path / "file").touch()
    with pytest.raises(RecordingError, match=r"file/a\.sigmf-data: a recording cannot be created here"):
        SigmfWriter(tmp_path / "file" / "a", PLAIN)
