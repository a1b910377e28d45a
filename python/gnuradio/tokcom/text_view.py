import threading

import numpy as np
import pmt
from gnuradio import gr

from tokcom import keys
from tokcom.errors import ParameterError
from tokcom.tokenizers.text import marked_parts

from ._pdu import open_pdu
from ._pdu_block import reason
from ._qt import require_qt
from ._queue import BoundedQueue

MAX_LINES = 100_000


class text_view(gr.basic_block):
    """Show received texts in a window, with words that are not sure in red and underlined.

    Texts wait for the window in a bounded queue, so that the flowgraph never waits for it; of more, the oldest are
    dropped and counted in `texts_dropped`.

    Input: message port "texts", PDUs of u8 characters in UTF-8, with unsure where it is known.

    Parameters:
        title: heading of the window.
        lines: texts that the window keeps, and that may wait for it, 1 to 100000.
    """

    TEXTS = pmt.intern("texts")

    def __init__(self, title: str = "Received text", lines: int = 200):
        gr.basic_block.__init__(self, name="Text View", in_sig=None, out_sig=None)
        if not 1 <= lines <= MAX_LINES:
            raise ParameterError(f"lines is {lines}; it must be 1 to {MAX_LINES}")
        self._queue, self._turn = BoundedQueue(lines, "oldest"), threading.Lock()
        self.texts_received = self.texts_dropped = self.texts_refused = 0
        self.message_port_register_in(self.TEXTS)
        self.set_msg_handler(self.TEXTS, self._on_text)
        self.widget = _window(title, lines, self)

    def next_texts(self) -> list[list[tuple[str, bool]]]:
        """For the window: the texts that wait, as `tokcom.tokenizers.text.marked_parts`."""
        with self._turn:
            texts = list(self._queue)
            self._queue.clear()
        return texts

    def _on_text(self, pdu: object) -> None:
        try:
            meta, data = open_pdu(pdu, "uint8")
            unsure = np.asarray(meta.get(keys.UNSURE, np.zeros(0, np.int32)), np.int64)
            parts = marked_parts(data.tobytes(), unsure)
        except Exception as error:
            self.texts_refused += 1
            self.logger.warn(f"text refused ({self.texts_refused} so far): {reason(error)}")
            return
        with self._turn:
            self.texts_received += 1
            self.texts_dropped += self._queue.put(parts)


def _window(title: str, lines: int, view: text_view) -> object:
    """Make the widget."""
    require_qt("Text View", "use a Text Sink", "use a Text Sink")
    from ._text_window import TextWindow

    return TextWindow(title, lines, view)
