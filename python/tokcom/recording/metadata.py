"""Metadata of recordings: SigMF 1.2 (sigmf.org) and, for bursts, the namespace `tokcom`.

In the namespace `tokcom`, version 1.0.0, the annotation of a burst may have `frame_id`, `stream_id`, `packets` and
`packets_lost` (integers), `profile` (string), `esn0_db`, `evm_db` and `cfo_hz` (numbers).
"""

import math
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
from sigmf import sigmffile

from tokcom.errors import ParameterError
from tokcom.phy.numerology import CARRIERS, FFT_SIZE

NAMESPACE = "tokcom"
EXTENSION = {"name": NAMESPACE, "version": "1.0.0", "optional": True}
DETAILS = ("frame_id", "stream_id", "profile", "packets", "packets_lost", "esn0_db", "evm_db")
OCCUPIED = (CARRIERS[-1] - CARRIERS[0] + 1) / FFT_SIZE
"""Share of the sample rate that a burst occupies."""
LARGEST = 1e12
"""Largest frequency or rate that SigMF allows, in Hz."""


def recording_paths(path: str | Path) -> tuple[Path, Path]:
    """Return the paths of a recording's data and metadata, given as NAME, NAME.sigmf-data or NAME.sigmf-meta."""
    names = sigmffile.get_sigmf_filenames(path)
    return names["data_fn"], names["meta_fn"]


def require_sample_rate(value: float) -> float:
    """Return a sample rate in Hz; raise ParameterError if SigMF cannot represent it."""
    if not 0 < value <= LARGEST:
        raise ParameterError(f"sample_rate is {value}; it must be above 0 and at most {LARGEST:g} Hz")
    return value


def require_frequency(value: float) -> float:
    """Return a centre frequency in Hz; raise ParameterError if SigMF cannot represent it."""
    if not abs(value) <= LARGEST:
        raise ParameterError(f"frequency is {value}; its magnitude must be at most {LARGEST:g} Hz")
    return value


@dataclass(frozen=True)
class RecordingInfo:
    """Metadata of a whole recording; empty texts are left out.

    Args:
        sample_rate: sample rate in Hz, above 0.
        frequency: initial centre frequency in Hz; None if unknown.
        hardware: the radio and its antenna.
        author: author of the recording.
        description: content of the recording.
        license: URL of a licence.

    Raises:
        ParameterError: a parameter is out of its range.
    """

    sample_rate: float
    frequency: float | None = None
    hardware: str = ""
    author: str = ""
    description: str = ""
    license: str = ""

    def __post_init__(self) -> None:
        require_sample_rate(self.sample_rate)
        if self.frequency is not None:
            require_frequency(self.frequency)

    def to_sigmf(self) -> dict:
        """Convert to the entries of SigMF's global object."""
        texts = {
            "core:hw": self.hardware, "core:author": self.author, "core:description": self.description,
            "core:license": self.license,
        }  # fmt: skip
        return {"core:sample_rate": self.sample_rate} | {key: text for key, text in texts.items() if text}


@dataclass(frozen=True)
class Capture:
    """Run of samples without a gap, up to the next capture.

    Attributes:
        start: index of its first sample in the recording.
        stream_index: index of that sample in the recorded stream, which also counts lost samples.
        frequency: centre frequency in Hz, if known.
        time: time of the first sample, if known.
    """

    start: int
    stream_index: int
    frequency: float | None = None
    time: datetime | None = None

    def to_sigmf(self) -> dict:
        """Convert to SigMF's capture object."""
        entry: dict = {"core:sample_start": self.start}
        if self.stream_index != self.start:
            entry["core:global_index"] = self.stream_index
        if self.frequency is not None:
            entry["core:frequency"] = self.frequency
        if self.time is not None:
            entry["core:datetime"] = self.time.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")
        return entry


@dataclass(frozen=True)
class BurstAnnotation:
    """Annotation of a received burst. Values that are None or not finite are left out.

    Args:
        start: index of its first sample in the recorded stream.
        count: its length in samples.
        comment: free text.
        frame_id, stream_id: numbers in its header.
        profile: profile of its preamble.
        packets, packets_lost: number of packets, and of those that failed.
        esn0_db, evm_db: as the receiver measured them.
        cfo: frequency offset in rad/sample.
    """

    start: int
    count: int
    comment: str = ""
    frame_id: int | None = None
    stream_id: int | None = None
    profile: str | None = None
    packets: int | None = None
    packets_lost: int | None = None
    esn0_db: float | None = None
    evm_db: float | None = None
    cfo: float | None = None

    def to_sigmf(self, start: int, count: int, info: RecordingInfo, frequency: float | None) -> dict:
        """Convert to SigMF's annotation object, at the burst's position in a recording."""
        known = self.cfo is not None and math.isfinite(self.cfo)
        cfo_hz = self.cfo * info.sample_rate / (2 * math.pi) if known else None
        centre = (frequency or 0.0) + (cfo_hz or 0.0)
        half = OCCUPIED / 2 * info.sample_rate
        entry = {
            "core:sample_start": int(start),
            "core:sample_count": int(count),
            "core:freq_lower_edge": float(centre - half),
            "core:freq_upper_edge": float(centre + half),
            "core:generator": "gr-tokcom",
            "core:label": "burst" if self.frame_id is None else f"frame {self.frame_id}",
        }
        if self.comment:
            entry["core:comment"] = self.comment
        details = {name: getattr(self, name) for name in DETAILS} | {"cfo_hz": cfo_hz}
        return entry | {f"{NAMESPACE}:{name}": value for name, value in _json_values(details).items()}


def _json_values(values: dict) -> dict:
    """Convert values for JSON, leaving out None and numbers that are not finite."""
    plain = {name: value.item() if isinstance(value, np.generic) else value for name, value in values.items()}
    return {
        name: value
        for name, value in plain.items()
        if value is not None and not (isinstance(value, float) and not math.isfinite(value))
    }
