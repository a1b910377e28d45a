import threading
from collections.abc import Mapping

import numpy as np
import pmt

from tokcom.context.recovery import Recovery, RecoverySettings
from tokcom.models.zoo import DEFAULT_MODEL, load_context

from ._pdu import PduBlock, frame_of
from ._queue import BoundedQueue


class token_recovery(PduBlock):
    """Fill in lost tokens with a masked transformer that knows the others and the class label.

    The transformer works in a thread of its own behind a bounded queue, so that the flowgraph never waits for it. At
    the end of a finite run the block ends when its queue is empty; stopped before, it counts what is left as dropped.

    Input: message port "tokens", PDUs of s32 tokens, -1 where lost.
    Output: message port "tokens_recovered", the same frames without losses.

    Parameters:
        model: a model of the zoo, by name or folder.
        steps: passes of the transformer at most, at least 1.
        temperature: of the tokens drawn; 0 takes the likeliest.
        choice_temperature: of the noise on the order in which tokens are settled, falling to 0 at the last step.
        guidance: weight of classifier-free guidance towards the label.
        seed: seed of the draws.
        queue_size: frames that may wait, at least 1.
        drop: "oldest" or "newest": which frame is dropped, logged and counted when the queue is full.
    """

    INPUT, OUTPUT, INPUT_KIND, STAGE = "tokens", "tokens_recovered", "int32", "recovery"
    SYSTEM, END = pmt.intern("system"), pmt.intern("end of run")

    def __init__(
        self, model: str = DEFAULT_MODEL, steps: int = 8, temperature: float = 0.0, choice_temperature: float = 0.0,
        guidance: float = 0.0, seed: int = 0, queue_size: int = 16, drop: str = "oldest",
    ):  # fmt: skip
        PduBlock.__init__(self, "Token Recovery")
        settings = RecoverySettings(steps, temperature, choice_temperature, guidance, seed)
        self._recovery = Recovery(load_context(model), settings)
        self._queue = BoundedQueue(queue_size, drop)
        self._changed = threading.Condition()
        self._stopping = self._busy = False
        self._ending: object | None = None
        self._thread: threading.Thread | None = None
        self.set_msg_handler(self.SYSTEM, self._on_system)
        self.frames_recovered = self.frames_dropped = 0

    @property
    def queue_length(self) -> int:
        """Frames that wait now."""
        return len(self._queue)

    def start(self) -> bool:
        self._stopping, self._ending = False, None
        self._thread = threading.Thread(target=self._work, name="token_recovery", daemon=True)
        self._thread.start()
        return True

    def stop(self) -> bool:
        with self._changed:
            self._stopping = True
            self._changed.notify_all()
        if self._thread is not None:
            self._thread.join()
        if self._queue:
            self.frames_dropped += len(self._queue)
            self.logger.warn(f"stopped: {len(self._queue)} frames dropped ({self.frames_dropped} so far)")
            self._queue.clear()
        return True

    def _on_system(self, message: object) -> None:
        """The scheduler announces the end: it takes its place behind the frames that wait at the input port."""
        self.to_basic_block()._post(self._input, pmt.cons(self.END, message))

    def _on_end(self, message: object) -> None:
        """End now, or leave it to the worker, which announces the end anew when the queue is empty."""
        with self._changed:
            self._ending = message
            if self._queue or self._busy:
                return
        self.gateway.system_handler(message)

    def _on_pdu(self, pdu: object) -> None:
        if pmt.is_pair(pdu) and pmt.eq(pmt.car(pdu), self.END):
            self._on_end(pmt.cdr(pdu))
            return
        with self._changed:
            if self._queue.put(pdu):
                self.frames_dropped += 1
                dropped = f"{self._queue.drop} dropped ({self.frames_dropped} so far)"
                self.logger.warn(f"queue of {self._queue.size} frames is full: {dropped}")
            self._changed.notify_all()

    def _work(self) -> None:
        while True:
            with self._changed:
                self._changed.wait_for(lambda: self._queue or self._stopping)
                if self._stopping:
                    return
                pdu = self._queue.popleft()
                self._busy = True
            super()._on_pdu(pdu)
            with self._changed:
                self._busy = False
                if self._ending is not None and not self._queue:
                    self.to_basic_block()._post(self.SYSTEM, self._ending)

    def process(self, meta: Mapping, data: np.ndarray) -> tuple[dict, np.ndarray] | None:
        frame, _ = self._recovery.recover(frame_of(meta, data), lambda: self._stopping)
        if frame.lost.any():
            self.frames_dropped += 1
            self.logger.warn(f"stopped: the frame in work is dropped ({self.frames_dropped} so far)")
            return None
        self.frames_recovered += 1
        return {}, frame.tokens
