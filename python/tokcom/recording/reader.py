"""Reader of SigMF recordings, from any program, as chunks of samples."""

import hashlib
import json
import math
import re
import warnings
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from itertools import pairwise
from pathlib import Path

import numpy as np
from jsonschema import ValidationError
from sigmf import SigMFFile, sigmffile
from sigmf.error import SigMFError
from sigmf.validate import validate

from tokcom.errors import ParameterError, RecordingError
from tokcom.recording.metadata import Capture, recording_paths, require_sample_rate

DATATYPES = re.compile(r"c(f32|f64|i32|u32|i16|u16)_(le|be)|c[iu]8(_[lb]e)?")
"""SigMF's data types of complex samples."""
INTEGERS = {
    f"core:{name}"
    for name in (
        "sample_start", "sample_count", "global_index", "offset", "num_channels", "header_bytes", "trailing_bytes"
    )
}  # fmt: skip
CHUNK = 1 << 16


@dataclass(frozen=True)
class Chunk:
    """A piece of a recording.

    Attributes:
        start: index of its first sample in the recording.
        samples: complex64 (n,); integers are scaled to -1 … 1.
        begins: whether it begins a capture, so that it does not continue the samples before it.
    """

    start: int
    samples: np.ndarray
    begins: bool


class Recording:
    """An open recording; `open_recording` makes one.

    Attributes:
        path: path of the data file.
        sample_rate: sample rate in Hz.
        frequency: centre frequency in Hz of the first capture; None if unknown.
        captures: runs without a gap, at least one, the first at 0; indices count from the beginning of the file.
        annotations: annotations of the file, with `core:sample_start` counted from the beginning of the file.
        length: number of samples.
        datatype: SigMF's name of the data type.
    """

    def __init__(self, path: Path, file: SigMFFile, length: int):
        self._file = file
        entries = file.get_global_info()
        offset = entries["core:offset"]
        self.path, self.length = path, length
        self.sample_rate = float(entries["core:sample_rate"])
        self.datatype: str = entries["core:datatype"]
        self.captures = _captures(file.get_captures(), offset)
        self.frequency = self.captures[0].frequency
        self.annotations = tuple(
            entry | {"core:sample_start": entry["core:sample_start"] - offset} for entry in file.get_annotations()
        )

    @property
    def seconds(self) -> float:
        """Length in seconds."""
        return self.length / self.sample_rate

    def chunks(self, length: int = CHUNK) -> Iterator[Chunk]:
        """Iterate over all samples in order, in chunks of at most `length`, each within one capture.

        Raises:
            RecordingError: the file cannot be read, or has become shorter.
        """
        starts = [capture.start for capture in self.captures if capture.start < self.length]
        for first, stop in pairwise([*starts, self.length]):
            for start in range(first, stop, length):
                yield Chunk(start, self._read(start, min(length, stop - start)), start == first)

    def _read(self, start: int, count: int) -> np.ndarray:
        try:
            samples = self._file.read_samples(start, count)
        except OSError as error:
            raise RecordingError(f"{self.path}: the samples cannot be read: {error}") from None
        if len(samples) != count:
            raise RecordingError(f"{self.path}: the file ends before sample {start + count}; it has become shorter")
        return samples


def open_recording(path: str | Path, check: bool = True) -> Recording:
    """Open a recording.

    Args:
        path: NAME, NAME.sigmf-meta or NAME.sigmf-data.
        check: compare the samples with the checksum in the metadata, if it has one.

    Raises:
        RecordingError: the recording is missing, corrupt, or of an unsupported type.
    """
    data_path, meta_path = recording_paths(path)
    if Path(path).suffix == ".sigmf" and not meta_path.exists():
        raise RecordingError(f"{path} is a SigMF archive; unpack it first: tar xf {path}")
    metadata = _read_metadata(meta_path)
    _require_usable(metadata["global"], metadata["captures"], meta_path)
    file = SigMFFile(metadata=metadata)
    data_path = _find_data(data_path, meta_path, metadata)
    wanted = metadata["global"].get("core:sha512")
    if check and wanted:
        _require_checksum(data_path, wanted)
    # A recording that was cut off may end within a sample.
    length = data_path.stat().st_size // file.get_sample_size()
    if length:
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", "Data source", UserWarning)
            file.set_data_file(data_path, skip_checksum=True, size_bytes=length * file.get_sample_size())
    return Recording(data_path, file, length)


def _read_metadata(path: Path) -> dict:
    try:
        metadata = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise RecordingError(
            f"{path}: no such file; a recording is a pair of NAME.sigmf-meta and NAME.sigmf-data"
        ) from None
    except (OSError, ValueError) as error:
        raise RecordingError(f"{path}: the metadata cannot be read: {error}") from None
    try:
        validate(metadata)
    except ValidationError as error:
        where = "/".join(map(str, error.absolute_path))
        raise RecordingError(f"{path}: not valid SigMF: {where and where + ': '}{error.message[:300]}") from None
    for entry in (metadata["global"], *metadata["captures"], *metadata["annotations"]):
        _make_whole(entry)
    return metadata


def _make_whole(entry: dict) -> None:
    """Convert to int what JSON Schema accepts as an integer: whole numbers written as 0.0 or 5e2."""
    for name in INTEGERS & entry.keys():
        entry[name] = int(entry[name])


def _require_usable(entries: dict, captures: list[dict], path: Path) -> None:
    datatype, channels = entries["core:datatype"], entries.get("core:num_channels", 1)
    if not DATATYPES.fullmatch(datatype):
        raise RecordingError(
            f"{path}: samples of datatype {datatype!r}; only complex ones, such as cf32_le, are supported"
        )
    if channels != 1:
        raise RecordingError(f"{path}: the recording has {channels} channels; store each in its own recording")
    if "core:sample_rate" not in entries:
        raise RecordingError(f"{path}: core:sample_rate is missing; add it, in Hz, to the global object")
    try:
        require_sample_rate(entries["core:sample_rate"])
    except ParameterError as error:
        raise RecordingError(f"{path}: core:{error}") from None
    dataset = entries.get("core:dataset")
    if dataset is not None and (Path(dataset).name != dataset or dataset == ".."):
        raise RecordingError(
            f"{path}: core:dataset is {dataset!r}; it must be the name of a file beside the metadata, without a folder"
        )
    if entries.get("core:trailing_bytes") or any(capture.get("core:header_bytes") for capture in captures):
        raise RecordingError(
            f"{path}: the data file contains bytes that are not samples; convert it to plain SigMF first"
        )


def _find_data(data_path: Path, meta_path: Path, metadata: dict) -> Path:
    try:
        found = sigmffile.get_dataset_filename_from_metadata(meta_path, metadata)
    except SigMFError as error:
        raise RecordingError(f"{meta_path}: {error}") from None
    if found is None:
        raise RecordingError(f"{data_path}: no such file; the samples belong beside {meta_path.name}")
    return found


def _require_checksum(path: Path, wanted: str) -> None:
    try:
        with path.open("rb") as file:
            found = hashlib.file_digest(file, "sha512").hexdigest()
    except OSError as error:
        raise RecordingError(f"{path}: the samples cannot be read: {error}") from None
    if found != wanted:
        raise RecordingError(
            f"{path}: sha512 is {found[:12]}…, but the metadata says {wanted[:12]}…; the file is truncated or is not "
            "the recording's: fetch it again"
        )


def _captures(entries: list[dict], offset: int) -> tuple[Capture, ...]:
    found: dict[int, Capture] = {0: Capture(0, offset)}
    for entry in entries:
        start = max(0, entry["core:sample_start"] - offset)
        index, frequency = entry.get("core:global_index", entry["core:sample_start"]), entry.get("core:frequency")
        known = frequency is not None and math.isfinite(frequency)
        found[start] = Capture(start, index, frequency if known else None, _time(entry.get("core:datetime")))
    return tuple(found.values())


def _time(text: str | None) -> datetime | None:
    try:
        return None if text is None else datetime.fromisoformat(text)
    except ValueError:
        return None
