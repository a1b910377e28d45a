import threading

import numpy as np
import pytest

from tokcom.errors import ParameterError
from tokcom.recording.metadata import BurstAnnotation, RecordingInfo
from tokcom.recording.queued_writer import QueuedWriter
from tokcom.recording.reader import open_recording
from tokcom.recording.writer import SigmfWriter

INFO = RecordingInfo(1e6)


class SlowWriter(SigmfWriter):
    """Waits until it may write."""

    def __init__(self, *args):
        super().__init__(*args)
        self.may_write = threading.Event()

    def write(self, samples, stream_index=None):
        assert self.may_write.wait(120)
        return super().write(samples, stream_index)


def test_samples_are_copied_and_written_in_order(tmp_path, noise):
    samples = noise(10_000)
    queued = QueuedWriter(SigmfWriter(tmp_path / "a", INFO))
    buffer = np.empty(100, np.complex64)
    for start in range(0, len(samples), 100):
        buffer[:] = samples[start : start + 100]
        queued.write(buffer, start)
    queued.start_capture(10_000, frequency=1e9)
    queued.write(buffer, 10_000)
    assert queued.annotate(BurstAnnotation(0, 10))
    queued.close()
    recording = open_recording(tmp_path / "a")
    assert [capture.start for capture in recording.captures] == [0, 10_000] and len(recording.annotations) == 1
    assert np.array_equal(np.concatenate([c.samples for c in recording.chunks()])[:10_000], samples)
    assert queued.error is None and queued.ended and queued.samples_dropped == 0


def test_a_slow_disk_costs_samples_and_never_time(tmp_path, noise):
    samples = noise(1000)
    writer = SlowWriter(tmp_path / "a", INFO)
    queued = QueuedWriter(writer, queue_samples=300)
    for start in range(0, 600, 100):
        queued.write(samples[start : start + 100], start)
    assert queued.samples_dropped == 300
    writer.may_write.set()
    queued.close()
    assert open_recording(tmp_path / "a").length == 300


def test_a_capture_begins_behind_a_gap(tmp_path, noise):
    samples = noise(200)
    writer = SlowWriter(tmp_path / "a", INFO)
    queued = QueuedWriter(writer, queue_samples=100)
    queued.write(samples[:100], 0)
    queued.write(samples[100:200], 100)
    writer.may_write.set()
    # Pieces are dropped until the first one is written.
    start = 200
    while writer.samples < 200:
        queued.write(samples[:100], start)
        start += 100
    queued.close()
    gap, *_ = open_recording(tmp_path / "a").captures[1:]
    assert gap.start == 100 and gap.stream_index > 100


def test_an_error_ends_the_recording_and_is_kept(tmp_path, noise, full_disk):
    queued = QueuedWriter(SigmfWriter(tmp_path / "a", INFO))
    with full_disk(8000):
        start = 0
        while not queued.ended:
            queued.write(noise(500), start)
            start += 500
    queued.close()
    assert "after 1000 samples" in str(queued.error)
    assert open_recording(tmp_path / "a").length == 1000


def test_an_unforeseen_error_is_kept_too(tmp_path, noise):
    queued = QueuedWriter(SigmfWriter(tmp_path / "a", INFO))
    queued.write(np.array(["no sample"]), 0)
    queued.close()
    assert isinstance(queued.error, ValueError) and queued.ended


def test_a_queue_needs_room(tmp_path):
    with pytest.raises(ParameterError, match="queue_samples is 0"):
        QueuedWriter(SigmfWriter(tmp_path / "a", INFO), 0)
