import math
from datetime import UTC, datetime, timedelta
from itertools import pairwise

import numpy as np
import pmt
from gnuradio import gr

from tokcom import keys
from tokcom.errors import FrameError, ParameterError
from tokcom.recording.metadata import BurstAnnotation, RecordingInfo, require_frequency, require_sample_rate
from tokcom.recording.queued_writer import QueuedWriter
from tokcom.recording.writer import SigmfWriter, require_free

from ._pdu import required
from ._pdu_block import reason

NOTED = {
    keys.FRAME_ID: int, keys.STREAM_ID: int, keys.PROFILE: str, keys.PACKETS: int, keys.PACKETS_LOST: int,
    keys.ESN0_DB: float, keys.EVM_DB: float, keys.CFO: float,
}  # fmt: skip
"""Keys that an annotation keeps under their own names."""
EARLIEST_UTC, LATEST_UTC = 1_000_000_000, 10_000_000_000
"""Plausible range of UTC: a radio's clock before the first (2001) was not set and counts from its start; none exceeds
the second (2286)."""


class sigmf_recorder(gr.sync_block):
    """Record samples as SigMF: NAME.sigmf-data (cf32_le) and NAME.sigmf-meta.

    A separate thread writes to disk behind a queue of 8 million samples, so that the flowgraph never waits: samples
    that arrive while the queue is full are counted, and a new capture begins after the gap (a flowgraph without a radio
    needs a Throttle). The tags rx_time, rx_freq and rx_rate, as a radio sends them at its start and after an overflow
    or a change of frequency, begin a capture, too; invalid tags are logged, counted and ignored. If the flowgraph is
    stopped and started, or reconfigured, the recording continues with a new capture. An error, such as a full disk, is
    logged, and the recording ends with the samples written so far; the flowgraph continues.

    Input: complex samples. Message port "annotations", PDUs with burst_start and burst_length (from the demodulator's
    "cqi" or later): each burst is annotated with its metadata. Those that come after the end of the stream are too
    late.

    Parameters:
        file: NAME, with or without extension; its folder is created if missing.
        sample_rate: sample rate in Hz; an rx_rate tag at the beginning overrides it.
        frequency: centre frequency in Hz, 0 if unknown; rx_freq tags override it.
        hardware: the radio and its antenna; may be empty.
        author: author of the recording; may be empty.
        max_seconds: length in seconds at which the recording ends; 0 for no limit.
        overwrite: replace a recording that exists when the flowgraph first starts.
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
        self._recording: SigmfWriter | None = None
        self._writer: QueuedWriter | None = None
        self._clock_offset: timedelta | None = None
        self._next = self._base = 0
        self.samples_recorded = self.samples_dropped = 0
        self.bursts_noted = self.annotations_refused = self.tags_refused = self.write_errors = 0
        self.message_port_register_in(self.ANNOTATIONS)
        self.set_msg_handler(self.ANNOTATIONS, self._on_annotation)

    def start(self) -> bool:
        self._begun = self._end_told = self._failed = False
        self._dropped_before = self.samples_dropped
        try:
            if self._recording is None:
                self._recording = SigmfWriter(self._file, self._info, self._max_seconds, self._overwrite)
            elif not self._recording.resume():
                self.logger.warn(f"{self._recording.path}: the recording has ended, nothing is appended")
                return True
            self._writer = QueuedWriter(self._recording)
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
        if not self._begun:
            # After a restart, GNU Radio may continue the count of samples or start over.
            self._base = self._next - self.nitems_read(0)
        first = self._base + self.nitems_read(0)
        self._next = first + len(samples)
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
            self.logger.warn("the disk is too slow: samples are missing in the recording")
        self.samples_dropped = self._dropped_before + self._writer.samples_dropped

    def _changes(self, count: int) -> dict[int, dict]:
        """Collect the changes in the radio's tags by sample index."""
        changes: dict[int, dict] = {}
        for tag in self.get_tags_in_window(0, 0, count):
            try:
                change = self._change(str(pmt.to_python(tag.key)), tag.value)
            except Exception as error:
                self.tags_refused += 1
                # Log whenever their number has doubled: a source may stamp every buffer.
                if self.tags_refused.bit_count() == 1:
                    self.logger.warn(
                        f"tag at sample {tag.offset} ignored ({self.tags_refused} so far): {reason(error)}"
                    )
                continue
            if change:
                changes.setdefault(self._base + tag.offset, {}).update(change)
        return changes

    def _change(self, key: str, value: object) -> dict:
        """Parse one tag; empty if it is not relevant."""
        if key == "rx_freq":
            return {"frequency": require_frequency(_number(key, value))}
        if key == "rx_rate":
            return {"sample_rate": require_sample_rate(_number(key, value))}
        if key != "rx_time":
            return {}
        if not pmt.is_tuple(value) or pmt.length(value) < 2:
            raise FrameError(f"rx_time is {value}; it must be a tuple of whole seconds and a fraction")
        seconds, fraction = (pmt.to_python(pmt.tuple_ref(value, i)) for i in range(2))
        if not (isinstance(seconds, int) and 0 <= seconds < LATEST_UTC and 0 <= fraction <= 1):
            raise FrameError(f"rx_time is {seconds} s and {fraction} s; it must be 0 to {LATEST_UTC} s and 0 to 1 s")
        return {"time": self._utc(seconds, fraction)}

    def _utc(self, seconds: int, fraction: float) -> datetime:
        """Convert the time of a radio's clock to UTC; if it was not set, relative to the computer's time at its first
        tag."""
        stated = datetime.fromtimestamp(seconds, UTC) + timedelta(seconds=fraction)
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
        return BurstAnnotation(self._base + start, length, **noted)

    def _report(self) -> None:
        """Report an error or the end once."""
        if self._writer.error is not None and not self._failed:
            self._fail(self._writer.error)
        writer = self._writer.writer
        self.samples_recorded = writer.samples
        if writer.ended and not self._end_told and not self._failed:
            self._end_told = True
            self.logger.info(f"{writer.path}: recorded {writer.samples} samples, {self.samples_dropped} dropped")

    def _fail(self, error: Exception) -> None:
        self._failed = True
        self.write_errors += 1
        self.logger.error(f"not recording: {reason(error)}")


def _number(key: str, value: object) -> float:
    """Parse the real number in a tag."""
    number = pmt.to_python(value)
    if isinstance(number, bool) or not isinstance(number, int | float):
        raise FrameError(f"{key} is {value}; it must be a number of Hz")
    return float(number)
