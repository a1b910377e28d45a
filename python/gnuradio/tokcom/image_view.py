import threading
import time
from collections.abc import Mapping
from dataclasses import replace

import numpy as np
import pmt
from gnuradio import gr

from tokcom import keys
from tokcom.metrics.frame_panels import frame_panels
from tokcom.metrics.link_figures import LinkFigures, frame_figures
from tokcom.metrics.tokens import token_error_rate
from tokcom.tokenizers.pictures import square

from ._frame_keys import picture_of
from ._pdu import open_pdu
from ._pdu_block import reason
from ._qt import require_qt
from ._queue import BoundedQueue
from ._recent import RecentFrames, frame_key

REMEMBERED, REMEMBERED_BYTES = 64, 64 << 20
"""Limits on frames that wait for their other pictures."""
SHOWN_SIDE = 512
"""Side in pixels to which larger pictures are reduced."""
LATE_LOOKS = 3
"""Number of polls for which an incomplete frame is deferred."""


class image_view(gr.basic_block):
    """Show pictures as they arrive, and the link's running figures, in a window.

    Sent, received (lost tokens outlined), recovered, and confidence as heat; error rates, Es/N0, offset, MCS, queues,
    drops and what the receiver noticed, of the last frame and over the last ones. Pictures wait for the window in a
    bounded queue, so that the flowgraph never waits for it; those dropped there are counted, and their figures count
    all the same. Where several streams come, the window lets one choose which is shown: all, or one with its figures.

    Input: message ports "sent", "tokenized", "lost" and "recovered": PDUs of u8 RGB values, as for the Image Sink; only
    "recovered" is needed. "tokenized" provides the token error rate. "counters": PDUs whose metadata contain queues and
    drops of other blocks (the framer's "sent"), or hints (the receiver's "hints").

    Parameters:
        title: heading of the window.
        sample_rate: sample rate in Hz, used to convert the frequency offset to Hz.
        window: number of latest frames over which rates and means are computed, at least 1.
        queue_size: largest number of pictures waiting to be shown, at least 1; beyond it the oldest are dropped.
    """

    def __init__(
        self, title: str = "Token communications", sample_rate: float = 1e6, window: int = 100, queue_size: int = 16
    ):
        gr.basic_block.__init__(self, name="Image View", in_sig=None, out_sig=None)
        self._link = LinkFigures(sample_rate, window)
        self._queue, self._turn = BoundedQueue(queue_size, "oldest"), threading.Lock()
        self._recent = RecentFrames(REMEMBERED, REMEMBERED_BYTES)
        self._seen, self._waits = set(), LATE_LOOKS
        self._stream: int | None = None
        self.frames_shown = self.frames_dropped = self.frames_refused = 0
        for port, handler in (
            ("sent", self._on_sent), ("tokenized", self._on_tokenized), ("lost", self._on_lost),
            ("recovered", self._on_recovered), ("counters", self._on_counters),
        ):  # fmt: skip
            self.message_port_register_in(pmt.intern(port))
            self.set_msg_handler(pmt.intern(port), handler)
        self.widget = _window(title, self)

    def next_panels(self) -> list | None:
        """Return the panels of the next frame for the window, from `tokcom.metrics.frame_panels`; None to try again
        later."""
        while True:
            with self._turn:
                if not self._queue:
                    return None
                # The pictures of a frame are made in parallel: the last one may be slightly late.
                if self._seen - self._queue[0].keys() and len(self._queue) <= self._queue.size // 4 and self._waits:
                    self._waits -= 1
                    return None
                self._waits = LATE_LOOKS
                parts = dict(self._queue.popleft())
            try:
                stream, _ = frame_key(parts["recovered"][0])
                if self._stream not in (None, stream):
                    continue
                panels = frame_panels(parts)
            except Exception as error:
                self._refuse(error)
                continue
            self.frames_shown += 1
            if len(self.streams) > 1:
                panels[0] = replace(panels[0], caption=f"stream {stream} · {panels[0].caption}")
            return panels

    @property
    def queue_length(self) -> int:
        """Number of pictures waiting."""
        return len(self._queue)

    @property
    def streams(self) -> list[int]:
        """For the window: the streams that have come so far."""
        return self._link.streams

    def show_stream(self, stream_id: int | None) -> None:
        """From the window: show one stream from now on, its pictures and its figures; None: all of them."""
        self._stream = stream_id

    def figures(self) -> dict:
        """For the window: the running figures of the stream that is shown, or of all, this block's own queue and drops
        among them."""
        figures = self._link.figures(time.monotonic())
        figures |= figures["streams"].get(str(self._stream), {})
        figures["queued"]["view"], figures["dropped"]["view"] = len(self._queue), self.frames_dropped
        return figures

    def latest_figures(self) -> dict:
        """For the window: rates and channel of the latest frame alone."""
        return self._link.latest(self._stream)

    def recent_figures(self) -> list:
        """For the window: the figures of each of the last frames."""
        return self._link.frames(self._stream)

    def _on_sent(self, pdu: object) -> None:
        self._take("sent", pdu)

    def _on_tokenized(self, pdu: object) -> None:
        self._take("tokenized", pdu)

    def _on_lost(self, pdu: object) -> None:
        self._take("lost", pdu)

    def _on_recovered(self, pdu: object) -> None:
        self._take("recovered", pdu)

    def _on_counters(self, pdu: object) -> None:
        try:
            self._link.note_counters(open_pdu(pdu, "uint8")[0])
        except Exception as error:
            self._refuse(error)

    def _take(self, stage: str, pdu: object) -> None:
        try:
            meta, data = open_pdu(pdu, "uint8")
            picture, key = _shown(picture_of(meta, data)), frame_key(meta)
            with self._turn:
                self._seen.add(stage)
                parts = self._recent.put(key, stage, (meta, picture), picture.nbytes)
            sent, received = (_tokens(parts, name) for name in ("tokenized", "recovered"))
            if stage == "tokenized" and sent is not None and received is not None:
                self._link.amend(*key, token_error_rate(sent, received))
            if stage != "recovered":
                return
            self._link.note_counters(meta)
            self._link.add(frame_figures(meta, received, sent), time.monotonic())
            with self._turn:
                self.frames_dropped += self._queue.put(parts)
        except Exception as error:
            self._refuse(error)

    def _refuse(self, error: Exception) -> None:
        self.frames_refused += 1
        self.logger.warn(f"picture refused ({self.frames_refused} so far): {reason(error)}")


def _tokens(parts: Mapping, stage: str) -> np.ndarray | None:
    """Return the tokens from which a picture was made, if known."""
    return parts[stage][0].get(keys.TOKENS) if stage in parts else None


def _shown(picture: np.ndarray) -> np.ndarray:
    """Return a picture, reduced for display if it is large."""
    return square(picture, SHOWN_SIDE) if min(picture.shape[:2]) > SHOWN_SIDE else picture


def _window(title: str, view: image_view) -> object:
    """Make the widget."""
    require_qt("Image View", "use a Link Monitor", "watch with a Link Monitor and an Image Sink")
    from ._view_window import ViewWindow

    return ViewWindow(title, view)
