import math
from datetime import UTC, datetime, timedelta
from itertools import pairwise

import numpy as np
import pmt
from gnuradio import gr

from tokcom import keys
from tokcom.errors import FrameError, ParameterError
from tokcom.recording.metadata import BurstAnnotation, RecordingInfo
from tokcom.recording.queued_writer import QueuedWriter
from tokcom.recording.writer import SigmfWriter, require_free

from ._pdu import reason, required

NOTED = {
    keys.FRAME_ID: int, keys.STREAM_ID: int, keys.PROFILE: str, keys.PACKETS: int, keys.PACKETS_LOST: int,
    keys.ESN0_DB: float, keys.EVM_DB: float, keys.CFO: float,
}  # fmt: skip
"""Keys that an annotation takes over under their own names."""
EARLIEST_UTC = 1_000_000_000
"""A radio's clock that stands before this (2001) was not set, and counts from its start."""


class sigmf_recorder(gr.sync_block):
    """Record samples as SigMF: NAME.sigmf-data (cf32_le) and NAME.sigmf-meta.

    The disk is written by a thread of its own behind a queue of 8 million samples, so that the flowgraph never waits:
    samples that find the queue full are counted, and a new capture begins behind the gap (a flowgraph without a radio
    needs a Throttle). The tags rx_time, rx_freq and rx_rate, as a radio sends them at its start and after an overflow
    or a change of frequency, begin a capture, too. An error, such as a full disk, is logged, and the recording ends
    with what is written; the flowgraph goes on.

    Input: complex samples. Message port "annotations", PDUs with burst_start and burst_length (from the demodulator's
    "cqi" or later): each burst is noted with what the metadata tells of it. Those that come after the stream's end are
    too late.

    Parameters:
        file: NAME, with or without ending; its folder is created where there is none.
        sample_rate: in Hz; an rx_rate tag at the beginning takes its place.
        frequency: centre frequency in Hz, 0 where there is none; rx_freq tags take its place.
        hardware: the radio and its antenna; may be empty.
        author: who records; may be empty.
        max_seconds: the recording ends when it is that long; 0 for no limit.
        overwrite: replace an existing recording.
    """

    ANNOTATIONS = pmt.intern("annotations")

    def __init__(
        self, file: str = "out/recording", sample_rate: float = 1e6, frequency: float = 0.0, hardware: str = "",
        author: str = "", max_seconds: float = 60.0, overwrite: bool = False,
    ):  # fmt: skip
        gr.sync_block.__init__(self, name="SigMF Recorder", in_sig=[np.complex64], out_sig=None)
        if not max_seconds >= 0:
            raise ParameterError(f"max_seconds is {max_seconds}; it must be at least 0")
        require_free(file, overwrite)
        self._file, self._overwrite, self._max_seconds = file, overwrite, max_seconds or math.inf
        self._info = RecordingInfo(sample_rate, frequency or None, hardware, author)
        self._writer: QueuedWriter | None = None
        self.samples_recorded = self.samples_dropped = 0
        self.bursts_noted = self.annotations_refused = self.write_errors = 0
        self.message_port_register_in(self.ANNOTATIONS)
        self.set_msg_handler(self.ANNOTATIONS, self._on_annotation)

    def start(self) -> bool:
        self._begun = self._end_told = self._failed = False
        self._clock_offset: timedelta | None = None
        try:
            self._writer = QueuedWriter(SigmfWriter(self._file, self._info, self._max_seconds, self._overwrite))
        except Exception as error:
            self._fail(error)
        return True

    def stop(self) -> bool:
        if self._writer is not None:
            self._writer.close()
            self._report()
            self._writer = None
        return True

    def work(self, input_items: list, output_items: list) -> int:
        samples = input_items[0]
        if self._writer is not None and not self._failed:
            try:
                self._record(samples)
                self._report()
            except Exception as error:
                self._fail(error)
        return len(samples)

    def _record(self, samples: np.ndarray) -> None:
        first = self.nitems_read(0)
        changes = self._changes(len(samples))
        if not self._begun:
            changes.setdefault(first, {}).setdefault("time", datetime.now(UTC))
            self._begun = True
        places = [*sorted(changes), first + len(samples)]
        self._write(samples[: places[0] - first], first)
        for place, following in pairwise(places):
            self._writer.start_capture(place, **changes[place])
            self._write(samples[place - first : following - first], place)

    def _write(self, samples: np.ndarray, index: int) -> None:
        if not len(samples):
            return
        self._writer.write(samples, index)
        if self._writer.samples_dropped and not self.samples_dropped:
            self.logger.warn("the disk is too slow: samples are left out of the recording")
        self.samples_dropped = self._writer.samples_dropped

    def _changes(self, count: int) -> dict[int, dict]:
        """What the radio's tags say, by the index of their sample."""
        changes: dict[int, dict] = {}
        for tag in self.get_tags_in_window(0, 0, count):
            key = pmt.to_python(tag.key)
            if key in ("rx_time", "rx_freq", "rx_rate"):
                change = changes.setdefault(tag.offset, {})
                value = pmt.to_python(tag.value)
                if key == "rx_time":
                    change["time"] = self._utc(*value)
                else:
                    change["frequency" if key == "rx_freq" else "sample_rate"] = float(value)
        return changes

    def _utc(self, seconds: int, fraction: float) -> datetime:
        """Time of a radio's clock; of one that was not set, by the computer's when it was first heard of."""
        stated = datetime.fromtimestamp(int(seconds), UTC) + timedelta(seconds=float(fraction))
        if self._clock_offset is None:
            unset = seconds < EARLIEST_UTC
            self._clock_offset = datetime.now(UTC) - stated if unset else timedelta()
        return stated + self._clock_offset

    def _on_annotation(self, message: object) -> None:
        try:
            meta = pmt.to_python(pmt.car(message) if pmt.is_pair(message) and not pmt.is_dict(message) else message)
            if not isinstance(meta, dict):
                raise FrameError("the message has no metadata dictionary")
            if self._writer is not None and self._writer.annotate(self._annotation(meta)):
                self.bursts_noted += 1
        except Exception as error:
            self.annotations_refused += 1
            self.logger.warn(f"annotation refused ({self.annotations_refused} so far): {reason(error)}")

    def _annotation(self, meta: dict) -> BurstAnnotation:
        start, length = (required(meta, key, int) for key in (keys.BURST_START, keys.BURST_LENGTH))
        noted = {key: required(meta, key, kind) for key, kind in NOTED.items() if key in meta}
        return BurstAnnotation(start, length, **noted)

    def _report(self) -> None:
        """Tell, once, of an error or of the end."""
        if self._writer.error is not None and not self._failed:
            self._fail(self._writer.error)
        writer = self._writer.writer
        self.samples_recorded = writer.samples
        if writer.ended and not self._end_told and not self._failed:
            self._end_told = True
            self.logger.info(f"{writer.path}: recorded {writer.samples} samples, {self.samples_dropped} left out")

    def _fail(self, error: Exception) -> None:
        self._failed = True
        self.write_errors += 1
        self.logger.error(f"not recording: {reason(error)}")
