import hashlib
import json
import os
import subprocess
import sys

import numpy as np
import pytest
import sigmf
from hypothesis import given
from hypothesis import strategies as st

from tokcom.errors import RecordingError
from tokcom.recording.metadata import RecordingInfo
from tokcom.recording.reader import open_recording
from tokcom.recording.writer import SigmfWriter

SAMPLES = np.array([0, 0.5, -0.25j, 0.125 - 0.5j, -1 + 0.75j], np.complex64)


@pytest.fixture
def recording(tmp_path):
    """Writes a recording "a" with changes to its metadata and returns its name."""

    def make(data=None, captures=(), annotations=(), datatype="cf32_le", drop=(), **entries):
        data = SAMPLES.astype("<c8").tobytes() if data is None else data
        (tmp_path / "a.sigmf-data").write_bytes(data)
        common = {"core:datatype": datatype, "core:version": "1.0.0", "core:sample_rate": 1e6}
        changed = common | {"core:" + key: value for key, value in entries.items()}
        content = {
            "global": {key: value for key, value in changed.items() if key not in drop},
            "captures": list(captures),
            "annotations": list(annotations),
        }
        (tmp_path / "a.sigmf-meta").write_text(json.dumps(content))
        return tmp_path / "a"

    return make


def read(path):
    return np.concatenate([chunk.samples for chunk in open_recording(path).chunks()])


@pytest.mark.parametrize(
    ("datatype", "dtype", "scale"),
    [
        ("cf32_le", "<f4", 1), ("cf32_be", ">f4", 1), ("cf64_le", "<f8", 1), ("cf64_be", ">f8", 1),
        ("ci8", "i1", 1 << 7), ("ci16_le", "<i2", 1 << 15), ("ci16_be", ">i2", 1 << 15), ("ci32_le", "<i4", 1 << 31),
        ("cu8", "u1", 1 << 7), ("cu16_le", "<u2", 1 << 15),
    ],
)  # fmt: skip
def test_samples_of_any_complex_kind_are_read(datatype, dtype, scale, recording):
    values = SAMPLES.view(np.float32).astype(float) * scale
    values += scale if "u" in datatype else 0
    samples = read(recording(values.astype(dtype).tobytes(), datatype=datatype))
    assert samples.dtype == np.complex64 and np.array_equal(samples, SAMPLES)


@pytest.mark.parametrize("ending", ["", ".sigmf-meta", ".sigmf-data"])
def test_any_of_its_names_opens_it(ending, recording):
    recording(captures=[{"core:sample_start": 0, "core:frequency": 915000000}], annotations=[{"core:sample_start": 3}])
    opened = open_recording(recording().with_name("a" + ending))
    assert (opened.length, opened.seconds, opened.sample_rate) == (5, 5e-6, 1e6)


def test_what_the_metadata_says(recording):
    captures = [
        {"core:sample_start": 0, "core:frequency": 1e9, "core:datetime": "2025-01-01T00:00:00Z"},
        {"core:sample_start": 3, "core:global_index": 30, "core:frequency": 2e9, "core:datetime": "2025"},
    ]
    opened = open_recording(recording(captures=captures, annotations=[{"core:sample_start": 3, "core:label": "x"}]))
    first, second = opened.captures
    assert opened.frequency == first.frequency == 1e9 and first.time.year == 2025
    assert (second.start, second.stream_index, second.frequency) == (3, 30, 2e9)
    assert opened.annotations == ({"core:sample_start": 3, "core:label": "x"},)


@given(starts=st.sets(st.integers(0, 60)), length=st.integers(1, 50), chunk=st.integers(1, 60))
def test_chunks_hold_every_sample_once_and_no_two_captures(tmp_path_factory, starts, length, chunk):
    samples = np.arange(length, dtype=np.complex64)
    folder = tmp_path_factory.mktemp("recording")
    with SigmfWriter(folder / "a", RecordingInfo(1e6)) as writer:
        writer.write(samples)
    content = json.loads((folder / "a.sigmf-meta").read_text())
    content["captures"] = [{"core:sample_start": start} for start in sorted(starts)]
    (folder / "a.sigmf-meta").write_text(json.dumps(content))
    chunks = list(open_recording(folder / "a").chunks(chunk))
    assert np.array_equal(np.concatenate([piece.samples for piece in chunks]), samples)
    assert max(len(piece.samples) for piece in chunks) <= chunk
    assert [piece.start for piece in chunks if piece.begins] == sorted({0} | {s for s in starts if s < length})
    assert all(piece.samples[0] == piece.start for piece in chunks)


def test_indices_may_count_from_an_offset(recording):
    captures = [{"core:sample_start": 100}, {"core:sample_start": 102}]
    opened = open_recording(recording(captures=captures, annotations=[{"core:sample_start": 103}], offset=100))
    assert [capture.start for capture in opened.captures] == [0, 2]
    assert opened.annotations[0]["core:sample_start"] == 3 and opened.length == 5


def test_whole_numbers_may_be_written_as_floats(recording):
    captures = [{"core:sample_start": 1e2, "core:global_index": 5e2}, {"core:sample_start": 102.0}]
    annotations = [{"core:sample_start": 103.0, "core:sample_count": 2.0}]
    opened = open_recording(recording(captures=captures, annotations=annotations, offset=100.0, num_channels=1.0))
    assert [(capture.start, capture.stream_index) for capture in opened.captures] == [(0, 500), (2, 102)]
    assert opened.annotations[0] == {"core:sample_start": 3, "core:sample_count": 2}
    assert np.array_equal(np.concatenate([chunk.samples for chunk in opened.chunks()]), SAMPLES)


def test_a_frequency_that_is_no_number_is_not_known(recording):
    captures = [{"core:sample_start": 0, "core:frequency": float("nan")}]
    opened = open_recording(recording(captures=captures))
    assert opened.frequency is None and opened.length == 5


def test_metadata_are_utf8_in_any_locale(recording):
    """Python without UTF-8 mode in an ASCII locale, as a service has it."""
    path = recording(author="Jörg").with_suffix(".sigmf-meta")
    path.write_bytes(path.read_bytes().replace(rb"\u00f6", "ö".encode()))
    code = (
        "import sys; from tokcom.recording.reader import open_recording; "
        "print(ascii(open_recording(sys.argv[1])._file.get_global_info()['core:author']))"
    )
    environment = os.environ | {"LC_ALL": "C", "PYTHONCOERCECLOCALE": "0", "PYTHONUTF8": "0"}
    command = [sys.executable, "-c", code, str(path)]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    assert done.stdout.strip() == r"'J\xf6rg'", done.stderr


def test_a_recording_without_samples_is_empty(recording):
    opened = open_recording(recording(b""))
    assert opened.length == 0 and list(opened.chunks()) == []


def test_the_data_may_have_another_name(recording):
    path = recording(dataset="raw.bin")
    path.with_name("a.sigmf-data").rename(path.with_name("raw.bin"))
    assert np.array_equal(read(path), SAMPLES)


def test_a_wrong_checksum_is_an_error_unless_it_is_not_asked_for(recording):
    path = recording(sha512=hashlib.sha512(b"other").hexdigest())
    with pytest.raises(RecordingError, match=r"a\.sigmf-data: sha512 is .*; the file is truncated or is not"):
        open_recording(path)
    assert open_recording(path, check=False).length == 5


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"datatype": "rf32_le"}, "datatype 'rf32_le'; only complex ones"),
        ({"datatype": "cf32"}, "datatype 'cf32'; only complex ones"),
        ({"datatype": "c12"}, "global/core:datatype: 'c12' does not match"),
        ({"num_channels": 2}, "has 2 channels"),
        ({"drop": ["core:sample_rate"]}, "core:sample_rate is missing"),
        ({"sample_rate": 0}, "global/core:sample_rate: 0 is less"),
        ({"sample_rate": float("nan")}, "core:sample_rate is nan; it must be above 0"),
        ({"sample_rate": float("inf")}, "inf"),
        ({"drop": ["core:version"]}, "'core:version' is a required property"),
        ({"captures": [{"core:sample_start": 0, "core:header_bytes": 4}]}, "bytes that are not samples"),
        ({"trailing_bytes": 4}, "bytes that are not samples"),
        ({"captures": [{"core:sample_start": 2}, {"core:sample_start": 1}]}, "captures has incorrect"),
        ({"dataset": "none.bin"}, "none.bin"),
        ({"dataset": "../../../etc/passwd"}, "core:dataset is '../../../etc/passwd'; it must be the name of a file"),
        ({"dataset": "/etc/passwd"}, "core:dataset: '/etc/passwd' does not match"),
        ({"dataset": "a/../../passwd"}, "core:dataset is 'a/../../passwd'; it must be"),
        ({"dataset": ".."}, "core:dataset is '..'; it must be"),
    ],
)
@pytest.mark.filterwarnings("ignore:core.dataset is defined")
def test_recordings_that_cannot_be_decoded_are_named(changes, message, recording):
    with pytest.raises(RecordingError, match=message) as caught:
        open_recording(recording(**changes))
    assert "a.sigmf-meta: " in str(caught.value)


@pytest.mark.parametrize(
    "content", [b"", b"{", b"[]", b"{}", b"\xff\xfe", b'{"global": 3, "captures": [], "annotations": []}']
)
def test_broken_metadata_is_named(content, tmp_path):
    (tmp_path / "a.sigmf-data").touch()
    (tmp_path / "a.sigmf-meta").write_bytes(content)
    with pytest.raises(RecordingError, match=r"a\.sigmf-meta: (the metadata cannot be read|not valid SigMF): "):
        open_recording(tmp_path / "a")


def test_missing_files_are_named(recording, tmp_path):
    with pytest.raises(RecordingError, match=r"none\.sigmf-meta: no such file; a recording is a pair"):
        open_recording(tmp_path / "none")
    (tmp_path / "old.sigmf").touch()
    with pytest.raises(RecordingError, match="is a SigMF archive; unpack it first"):
        open_recording(tmp_path / "old.sigmf")
    recording().with_name("a.sigmf-data").unlink()
    with pytest.raises(RecordingError, match=r"a\.sigmf-data: no such file; the samples belong beside a\.sigmf-meta"):
        open_recording(tmp_path / "a")


def test_a_file_that_shrinks_meanwhile_is_named(recording):
    path = recording()
    opened = open_recording(path)
    chunks = opened.chunks(2)
    next(chunks)
    path.with_name("a.sigmf-data").write_bytes(b"")
    with pytest.raises(RecordingError, match="before sample 4; it has become shorter"):
        next(chunks)
    path.with_name("a.sigmf-data").unlink()
    with pytest.raises(RecordingError, match="the samples cannot be read"):
        list(opened.chunks())


def test_recordings_of_other_programs_open(tmp_path, noise):
    file = sigmf.fromarray(noise(100))
    file.sample_rate = 1e6
    file.tofile(tmp_path / "theirs")
    assert np.array_equal(read(tmp_path / "theirs"), noise(100))
