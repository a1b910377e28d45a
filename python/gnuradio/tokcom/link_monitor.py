import threading
import time
from collections.abc import Callable, Mapping
from datetime import UTC, datetime

import numpy as np
import pmt
from gnuradio import gr

from tokcom import keys
from tokcom.errors import FrameError, ParameterError, TokcomError
from tokcom.metrics.figures_csv import FiguresFile
from tokcom.metrics.link_figures import LinkFigures, frame_figures
from tokcom.metrics.tokens import token_error_rate

from ._pdu import Metadata, open_pdu, required
from ._pdu_block import reason
from ._recent import RecentFrames, frame_key

REMEMBERED, REMEMBERED_BYTES = 256, 64 << 20
"""Limits on frames whose tokens wait for their counterpart, sent or received."""


class link_monitor(gr.basic_block):
    """Watch a link: its running figures as messages, in a CSV file, and as Prometheus metrics.

    Input: message ports "recovered": PDUs of received frames, tokens from Token Recovery or pictures made of them;
    "tokenized": the frames as they were sent, tokens or pictures made of them, where they are known: without, there is
    no token error rate; "counters": PDUs whose metadata tells of queues and drops elsewhere (the framer's "sent").
    Output: message port "figures": a PDU whose metadata holds frames, frames_missed, frames_per_second, per,
    per_recovered, ter, ter_expected, esn0_db, cfo_hz, clock_offset_ppm, evm_db, mcs and rx_time, of all frames and,
    under "streams", of each stream by its number as text; hint, queued and dropped; what is not known is left out.

    Parameters:
        sample_rate: in Hz; it turns the frequency offset into Hz.
        window: frames at most over which rates and means go, at least 1.
        interval: seconds from one report to the next, at least 0; 0: one for each frame.
        csv_file: file to which each report adds a row for each stream; empty for none.
        http_port: port of http://127.0.0.1:PORT/metrics, where Prometheus finds the figures; 0 for none.
    """

    FIGURES, RECOVERED = pmt.intern("figures"), pmt.intern("recovered")
    SYSTEM, END = pmt.intern("system"), pmt.intern("end of run")

    def __init__(
        self, sample_rate: float = 1e6, window: int = 100, interval: float = 1.0, csv_file: str = "", http_port: int = 0
    ):
        gr.basic_block.__init__(self, name="Link Monitor", in_sig=None, out_sig=None)
        if not interval >= 0:
            raise ParameterError(f"interval is {interval}; it must be at least 0 seconds")
        self._link, self._interval = LinkFigures(sample_rate, window), interval
        self._recent = RecentFrames(REMEMBERED, REMEMBERED_BYTES)
        self._file = FiguresFile(csv_file) if csv_file else None
        self._port, self._server = http_port, None
        self._serve()
        self._stopping, self._thread = threading.Event(), None
        self.frames_refused = self.write_errors = 0
        for port, handler in (
            ("recovered", self._on_recovered), ("tokenized", self._on_tokenized), ("counters", self._on_counters),
        ):  # fmt: skip
            self.message_port_register_in(pmt.intern(port))
            self.set_msg_handler(pmt.intern(port), handler)
        self.message_port_register_out(self.FIGURES)
        self.set_msg_handler(self.SYSTEM, self._on_system)

    def figures(self) -> dict:
        """Return the current figures, as `tokcom.metrics.link_figures.LinkFigures.figures`."""
        return self._link.figures(time.monotonic())

    def start(self) -> bool:
        try:
            self._serve()
        except TokcomError as error:
            self.logger.error(str(error))
        if self._interval:
            self._stopping.clear()
            self._thread = threading.Thread(target=self._report_regularly, name="link_monitor", daemon=True)
            self._thread.start()
        return True

    def stop(self) -> bool:
        self._stopping.set()
        if self._thread is not None:
            self._thread.join()
            self._thread = None
        if self._server is not None:
            self._server.close()
            self._server = None
        return True

    def _serve(self) -> None:
        """Serve metrics if requested, from construction on, so that a port in use is reported at once."""
        if self._port and self._server is None:
            from tokcom.metrics.figures_server import FiguresServer  # prometheus_client is needed only here

            self._server = FiguresServer(self.figures, self._port)

    def _on_system(self, message: object) -> None:
        """Queue the announcement of the end behind the frames waiting at the input port."""
        self.to_basic_block()._post(self.RECOVERED, pmt.cons(self.END, message))

    def _on_recovered(self, pdu: object) -> None:
        if pmt.is_pair(pdu) and pmt.eq(pmt.car(pdu), self.END):
            self._report()
            self.gateway.system_handler(pmt.cdr(pdu))
            return
        self._take(pdu, self._add)

    def _on_tokenized(self, pdu: object) -> None:
        self._take(pdu, self._remember)

    def _on_counters(self, pdu: object) -> None:
        self._take(pdu, lambda meta, _: self._link.note_counters(meta))

    def _take(self, pdu: object, use: Callable[[Metadata, object], None]) -> None:
        try:
            if not pmt.is_pair(pdu) or not pmt.is_dict(pmt.car(pdu)):
                raise FrameError("the message is not a PDU (a pair of a dictionary and a vector)")
            use(Metadata(pmt.car(pdu)), pdu)
        except Exception as error:
            self.frames_refused += 1
            self.logger.warn(f"frame refused ({self.frames_refused} so far): {reason(error)}")

    def _remember(self, meta: Metadata, pdu: object) -> None:
        key, tokens = frame_key(meta), _tokens(meta, pdu)
        received = self._recent.put(key, "sent", tokens, tokens.nbytes).get("received")
        if received is not None:
            self._link.amend(*key, token_error_rate(tokens, received))

    def _add(self, meta: Metadata, pdu: object) -> None:
        tokens = _tokens(meta, pdu)
        sent = self._recent.put(frame_key(meta), "received", tokens, tokens.nbytes).get("sent")
        self._link.note_counters(meta)
        self._link.add(frame_figures(meta, tokens, sent), time.monotonic())
        if not self._interval:
            self._report()

    def _report_regularly(self) -> None:
        while not self._stopping.wait(self._interval):
            self._report()

    def _report(self) -> None:
        figures = self.figures()
        known = pmt.to_pmt(_known(figures))
        self.message_port_pub(self.FIGURES, pmt.cons(known, pmt.init_u8vector(0, [])))
        if self._file is None:
            return
        try:
            self._file.write(figures, datetime.now(UTC))
        except Exception as error:
            self.write_errors += 1
            # Log whenever their number has doubled: a full disk stays full.
            if self.write_errors.bit_count() == 1:
                self.logger.error(f"row not written ({self.write_errors} so far): {reason(error)}")


def _tokens(meta: Metadata, pdu: object) -> np.ndarray:
    """Return a PDU's tokens: its content, or the tokens from which a picture was made."""
    if pmt.is_s32vector(pmt.cdr(pdu)):
        return open_pdu(pdu, "int32")[1]
    return np.asarray(required(meta, keys.TOKENS, np.ndarray))


def _known(figures: Mapping) -> dict:
    """Figures without those that are not known."""
    return {
        key: _known(value) if isinstance(value, Mapping) else value
        for key, value in figures.items()
        if value is not None
    }
