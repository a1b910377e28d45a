"""Recording for callers that must not wait for a disk."""

import threading
from collections import deque
from datetime import datetime

import numpy as np

from tokcom.errors import ParameterError
from tokcom.recording.metadata import BurstAnnotation
from tokcom.recording.writer import SigmfWriter


class QueuedWriter:
    """Thread with a bounded queue in front of a writer.

    Samples that arrive while the queue is full are counted and dropped; the samples after the gap begin a new capture.
    An error ends the recording and is kept in `error`.

    Args:
        writer: the writer, owned by this object from now on.
        queue_samples: capacity of the queue in samples, at least 1.

    Raises:
        ParameterError: queue_samples is below 1.
    """

    def __init__(self, writer: SigmfWriter, queue_samples: int = 1 << 23):
        if queue_samples < 1:
            raise ParameterError(f"queue_samples is {queue_samples}; it must be at least 1")
        self.writer = writer
        self.error: Exception | None = None
        self.samples_dropped = 0
        self._room = queue_samples
        self._queue: deque[dict | tuple[np.ndarray, int]] = deque()
        self._changed = threading.Condition()
        self._closing = False
        self._thread = threading.Thread(target=self._work, name="sigmf_recorder", daemon=True)
        self._thread.start()

    @property
    def ended(self) -> bool:
        """Whether the recording has ended and takes no more samples."""
        return self.writer.ended or self.error is not None

    def start_capture(
        self, stream_index: int, frequency: float | None = None, time: datetime | None = None,
        sample_rate: float | None = None,
    ) -> None:  # fmt: skip
        """Begin a capture at a sample, as `SigmfWriter.start_capture` does."""
        change = {"stream_index": stream_index, "frequency": frequency, "time": time, "sample_rate": sample_rate}
        with self._changed:
            if not self.ended:
                self._queue.append(change)
                self._changed.notify()

    def write(self, samples: np.ndarray, stream_index: int) -> None:
        """Record a copy of samples, complex (n,), the first of which has index `stream_index` in the stream."""
        with self._changed:
            if self.ended:
                return
            if len(samples) > self._room:
                self.samples_dropped += len(samples)
                return
            self._room -= len(samples)
            self._queue.append((samples.copy(), stream_index))
            self._changed.notify()

    def annotate(self, burst: BurstAnnotation) -> bool:
        """Annotate a burst, as `SigmfWriter.annotate` does."""
        return self.writer.annotate(burst)

    def close(self) -> None:
        """Write the queued samples and end the recording."""
        with self._changed:
            self._closing = True
            self._changed.notify()
        self._thread.join()
        try:
            self.writer.close()
        except Exception as error:
            self.error = self.error or error

    def _work(self) -> None:
        while True:
            with self._changed:
                self._changed.wait_for(lambda: self._queue or self._closing)
                if not self._queue:
                    return
                entry = self._queue.popleft()
            self._handle(entry)
            if isinstance(entry, tuple):
                with self._changed:
                    self._room += len(entry[0])

    def _handle(self, entry: dict | tuple[np.ndarray, int]) -> None:
        if self.ended:
            return
        try:
            if isinstance(entry, dict):
                self.writer.start_capture(**entry)
            else:
                self.writer.write(*entry)
        except Exception as error:
            # Raised in the thread, it would go unnoticed.
            self.error = error
