"""Blocks that work in a separate thread behind a bounded queue, however long one frame takes."""

import threading
import time
from collections.abc import Mapping

import numpy as np
import pmt

from ._pdu import open_pdu
from ._pdu_block import PduBlock
from ._queue import BoundedQueue


class BackgroundPduBlock(PduBlock):
    """PduBlock whose `process` runs in a thread behind a bounded queue.

    If a subclass sets `at_once` above 1, up to that many waiting PDUs are passed to `process_all` together. A subclass
    whose results wait for further PDUs says so by `holding`; after SILENCE, at the end of a finite run as well,
    `on_silence` is called.

    At the end of a finite run the block finishes when its queue is empty; if it is stopped before, the rest is counted
    in `inputs_dropped`.

    Parameters:
        name: name of the block in GNU Radio.
        queue_size: PDUs that may wait, at least 1.
        drop: "oldest" or "newest": which is dropped, logged and counted when the queue is full.
    """

    SYSTEM, END = pmt.intern("system"), pmt.intern("end of run")
    SILENCE = 0.5
    """Seconds without a PDU after which nothing is held any longer."""

    def __init__(self, name: str, queue_size: int, drop: str = "oldest"):
        PduBlock.__init__(self, name)
        self._queue = BoundedQueue(queue_size, drop)
        self.at_once = 1
        self._changed = threading.Condition()
        self._stopping = self._busy = False
        self._ending: object | None = None
        self._thread: threading.Thread | None = None
        self.set_msg_handler(self.SYSTEM, self._on_system)

    @property
    def queue_length(self) -> int:
        """Number of PDUs waiting."""
        return len(self._queue)

    def start(self) -> bool:
        self._stopping, self._ending = False, None
        self._thread = threading.Thread(target=self._work, name=self.STAGE, daemon=True)
        self._thread.start()
        return True

    def stop(self) -> bool:
        with self._changed:
            self._stopping = True
            self._changed.notify_all()
        if self._thread is not None:
            self._thread.join()
            self._thread = None
        if self._queue:
            self.inputs_dropped += len(self._queue)
            self.logger.warn(f"stopped: {len(self._queue)} {self.INPUT} dropped ({self.inputs_dropped} so far)")
            self._queue.clear()
        return True

    def counters(self) -> tuple[int, int]:
        return len(self._queue), self.inputs_dropped

    def _on_system(self, message: object) -> None:
        """Queue the scheduler's announcement of the end behind the PDUs waiting at the input port."""
        self.to_basic_block()._post(self._input, pmt.cons(self.END, message))

    def _on_pdu(self, pdu: object) -> None:
        if pmt.is_pair(pdu) and pmt.eq(pmt.car(pdu), self.END):
            # End now, or leave it to the thread, which announces the end again when the queue is empty.
            with self._changed:
                self._ending = pmt.cdr(pdu)
                if self._queue or self._busy or self.holding:
                    self._changed.notify_all()
                    return
            self.gateway.system_handler(pmt.cdr(pdu))
            return
        with self._changed:
            if self._queue.put(pdu):
                self.count_drop(self._queue.size, self._queue.drop)
            self._changed.notify_all()

    def _work(self) -> None:
        while True:
            with self._changed:
                self._changed.wait_for(self._has_work, self.SILENCE if self.holding else None)
                if self._stopping:
                    return
                pdus = [self._queue.popleft() for _ in range(min(len(self._queue), self.at_once))]
                self._busy = True
            if not pdus:
                self.on_silence()
            elif len(pdus) == 1:
                super()._on_pdu(pdus[0])
            else:
                self._on_pdus(pdus)
            with self._changed:
                self._busy = False
                if self._ending is not None and not self._queue and not self.holding:
                    self.to_basic_block()._post(self.SYSTEM, self._ending)

    def _has_work(self) -> bool:
        return bool(self._queue) or self._stopping or (self._ending is not None and self.holding)

    @property
    def holding(self) -> bool:
        """Whether results wait for further PDUs."""
        return False

    def on_silence(self) -> None:
        """Send what is held."""

    def process_all(
        self, frames: list[tuple[Mapping, np.ndarray]]
    ) -> list[tuple[dict, np.ndarray] | Exception | None]:  # fmt: skip
        """Process several PDUs; return the result of `process` for each, or its exception."""
        raise NotImplementedError

    def _on_pdus(self, pdus: list) -> None:
        started, opened = time.perf_counter(), []
        for pdu in pdus:
            try:
                opened.append((pmt.car(pdu), open_pdu(pdu, self.INPUT_KIND)))
            except Exception as error:
                self.refuse(error)
        try:
            results = self.process_all([each for _, each in opened])
        except Exception as error:
            results = [error] * len(opened)
        seconds = (time.perf_counter() - started) / max(len(opened), 1)
        for (received, _), result in zip(opened, results, strict=True):
            if isinstance(result, Exception):
                self.refuse(result)
            elif result is not None:
                self._publish(received, *result, seconds)
