"""Writer of SigMF recordings from a stream of samples."""

import bisect
import hashlib
import logging
import math
import os
from dataclasses import replace
from datetime import datetime, timedelta
from pathlib import Path

import numpy as np
from jsonschema import ValidationError
from sigmf import SigMFFile
from sigmf.error import SigMFError

import tokcom
from tokcom.errors import ParameterError, RecordingError
from tokcom.recording.metadata import (
    EXTENSION,
    BurstAnnotation,
    Capture,
    RecordingInfo,
    recording_paths,
    require_frequency,
)

SAMPLE_BYTES = 8
MAX_NOTES = 100_000
"""Largest number of annotations, and of captures, per recording: they stay in memory until its end."""

logger = logging.getLogger(__name__)


def require_free(path: str | Path, overwrite: bool) -> None:
    """Raise RecordingError if a recording of that name exists and must not be overwritten."""
    for file in recording_paths(path):
        try:
            exists = file.exists()
        except OSError as error:
            raise RecordingError(f"{file}: a recording cannot be created here: {error.strerror}") from None
        if exists and not overwrite:
            raise RecordingError(f"{file} exists; choose another name, or allow overwriting")


class SigmfWriter:
    """Writer of a recording (cf32_le) in constant memory.

    The metadata is written when the recording begins and rewritten, with checksum and annotations, when it ends, so
    that a recording cut off by a crash is readable. A recording that was closed before it was full can be continued
    (`resume`).

    Args:
        path: NAME, NAME.sigmf-data or NAME.sigmf-meta; its folder is created if missing.
        info: metadata of the whole recording.
        max_seconds: length in seconds at which the recording ends; infinite for no limit.
        overwrite: replace an existing recording.

    Raises:
        ParameterError: max_seconds is not above 0.
        RecordingError: the recording exists, or its files cannot be created.
    """

    def __init__(self, path: str | Path, info: RecordingInfo, max_seconds: float = math.inf, overwrite: bool = False):
        if not max_seconds > 0:
            raise ParameterError(f"max_seconds is {max_seconds}; it must be above 0")
        require_free(path, overwrite)
        self.path, self._meta_path = recording_paths(path)
        self.info = info
        self._max_seconds = max_seconds
        self.samples = 0
        """Samples written so far."""
        self.annotations_dropped = 0
        self._hash = hashlib.sha512()
        self._captures = [Capture(0, 0, info.frequency)]
        self._annotations: list[BurstAnnotation] = []
        self._closed = self._resumable = False
        try:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            self._file = self.path.open("ab" if overwrite else "xb", buffering=0)
            # Remove an old recording only now: its metadata first, which do not fit new samples.
            self._write_metadata(ended=False)
            self._file.truncate(0)
        except OSError as error:
            raise RecordingError(f"{self.path}: a recording cannot be created here: {error.strerror}") from None

    def resume(self) -> bool:
        """Continue after `close`, behind the samples written so far; the next one begins a capture or continues the
        last.

        Returns:
            Whether it takes samples; false if it had ended before it was closed, full or failed.

        Raises:
            RecordingError: the samples have changed since they were written, or cannot be opened.
        """
        if not self._closed:
            return not self.ended
        if not self._resumable:
            return False
        try:
            file = self.path.open("r+b", buffering=0)
            if file.seek(0, os.SEEK_END) != self.samples * SAMPLE_BYTES:
                file.close()
                raise RecordingError(f"{self.path} was changed since it was closed: the recording cannot be continued")
            self._file, self._closed = file, False
            self._write_metadata(ended=False)
        except OSError as error:
            raise RecordingError(f"{self.path}: the recording cannot be continued: {error.strerror}") from None
        return True

    def __enter__(self) -> "SigmfWriter":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    @property
    def ended(self) -> bool:
        """Whether it takes no more samples because it is full, failed or closed."""
        return self._file.closed

    def start_capture(
        self,
        stream_index: int | None = None,
        frequency: float | None = None,
        time: datetime | None = None,
        sample_rate: float | None = None,
    ) -> None:
        """Begin a capture with the next sample.

        Args:
            stream_index: index of that sample in the recorded stream; None if none was lost.
            frequency: centre frequency in Hz; None to keep it.
            time: time of that sample; None to continue from the capture before.
            sample_rate: sample rate in Hz; None to keep it.

        Raises:
            ParameterError: frequency or sample_rate is out of its range; nothing is changed.
            RecordingError: samples of another rate have been written already, or there are too many captures; the
                recording ends.
        """
        if self.ended:
            return
        if frequency is not None:
            require_frequency(frequency)
        if sample_rate is not None and not math.isclose(sample_rate, self.info.sample_rate, rel_tol=1e-9):
            self._change_rate(sample_rate)
        last = self._captures[-1]
        index = self._next_index if stream_index is None else stream_index
        if time is None and last.time is not None:
            time = last.time + timedelta(seconds=(index - last.stream_index) / self.info.sample_rate)
        new = Capture(self.samples, index, last.frequency if frequency is None else frequency, time)
        if last.start == self.samples:
            self._captures[-1] = new
            return
        if len(self._captures) >= MAX_NOTES:
            self._end()
            raise RecordingError(f"{self.path}: the recording ends: it has {MAX_NOTES} captures, one for each gap")
        self._captures.append(new)

    def write(self, samples: np.ndarray, stream_index: int | None = None) -> int:
        """Append samples.

        Args:
            samples: complex (n,).
            stream_index: index of the first sample in the recorded stream; if samples were lost before it, a capture
                begins.

        Returns:
            Number of samples taken: less than n once the recording has its full length, 0 once it has ended.

        Raises:
            RecordingError: the samples cannot be written, for example because the disk is full; the recording ends with
                the samples written so far.
        """
        if self.ended:
            return 0
        if stream_index is not None and stream_index != self._next_index:
            self.start_capture(stream_index)
        taken = np.ascontiguousarray(samples[: self._room(len(samples))], "<c8")
        self._append(taken.view(np.uint8).data)
        if not self._room(1):
            logger.info("%s: the recording ends, it has %g s", self.path, self._max_seconds)
            self._end()
        return len(taken)

    def annotate(self, burst: BurstAnnotation) -> bool:
        """Annotate a burst, whose samples need not have been written yet.

        Returns:
            Whether there was room for the annotation.
        """
        if len(self._annotations) >= MAX_NOTES or self._closed:
            self.annotations_dropped += 1
            return False
        self._annotations.append(burst)
        return True

    def close(self) -> None:
        """End the recording and write its metadata.

        Raises:
            RecordingError: the metadata cannot be written; that written at the beginning is kept.
        """
        if not self._closed:
            self._closed, self._resumable = True, not self.ended
            self._end()

    @property
    def _next_index(self) -> int:
        last = self._captures[-1]
        return last.stream_index + self.samples - last.start

    def _room(self, count: int) -> int:
        """Limit a number of samples to those that may still be written."""
        left = self._max_seconds * self.info.sample_rate - self.samples
        return count if left >= count else max(0, int(left))

    def _change_rate(self, sample_rate: float) -> None:
        if self.samples:
            self._end()
            raise RecordingError(
                f"{self.path}: the recording ends: the sample rate changed from {self.info.sample_rate:g} to "
                f"{sample_rate:g} Hz, and a recording has one"
            )
        self.info = replace(self.info, sample_rate=sample_rate)

    def _append(self, data: memoryview) -> None:
        done = 0
        try:
            while done < len(data):
                done += self._file.write(data[done:])
        except OSError as error:
            self._fail(data[: done - done % SAMPLE_BYTES], error)
        self._count(data)

    def _count(self, data: memoryview) -> None:
        self._hash.update(data)
        self.samples += len(data) // SAMPLE_BYTES

    def _fail(self, written: memoryview, error: OSError) -> None:
        """End the recording after the whole samples written so far."""
        self._count(written)
        try:
            self._file.truncate(self.samples * SAMPLE_BYTES)
            self._end()
        except (OSError, RecordingError):
            self._file.close()
        raise RecordingError(
            f"{self.path}: the recording ends after {self.samples} samples, which are kept: {error.strerror}"
        ) from None

    def _end(self) -> None:
        self._file.close()
        try:
            self._write_metadata(ended=True)
        except OSError as error:
            raise RecordingError(f"{self._meta_path}: the annotations cannot be written: {error.strerror}") from None
        except (SigMFError, ValidationError) as error:
            raise RecordingError(f"{self._meta_path}: the annotations are not valid SigMF: {error}") from None

    def _write_metadata(self, ended: bool) -> None:
        file = SigMFFile(metadata=self._metadata(ended))
        file.validate()
        # Not longer than the final name, which may be as long as names can be.
        unfinished = self._meta_path.with_suffix(".unfinished")
        try:
            unfinished.write_text(file.dumps() + "\n", encoding="utf-8")
            os.replace(unfinished, self._meta_path)
        except OSError:
            unfinished.unlink(missing_ok=True)
            raise

    def _metadata(self, ended: bool) -> dict:
        entries = {
            "core:datatype": "cf32_le",
            "core:recorder": f"gr-tokcom {tokcom.__version__}",
            "core:extensions": [EXTENSION],
        }
        if ended:
            entries["core:sha512"] = self._hash.hexdigest()
        captures = [each for each in self._captures if each.start < self.samples] or self._captures[:1]
        return {
            "global": self.info.to_sigmf() | entries,
            "captures": [capture.to_sigmf() for capture in captures],
            "annotations": self._placed_annotations(captures),
        }

    def _placed_annotations(self, captures: list[Capture]) -> list[dict]:
        """Annotations with at least one sample in the recording, placed within it, in order."""
        placed = []
        indices = [capture.stream_index for capture in captures]
        ends = [*(capture.start for capture in captures[1:]), self.samples]
        for burst in list(self._annotations):
            at = max(0, bisect.bisect_right(indices, burst.start) - 1)
            capture = captures[at]
            first = burst.start - capture.stream_index + capture.start
            start, stop = max(first, capture.start), min(first + burst.count, ends[at])
            if start < stop:
                placed.append(burst.to_sigmf(start, stop - start, self.info, capture.frequency))
        return sorted(placed, key=lambda entry: entry["core:sample_start"])
