import sys
from pathlib import Path

import numpy as np
import pmt
from gnuradio import gr

from tokcom import keys
from tokcom.errors import TextError
from tokcom.tokenizers.text import marked_parts
from tokcom.tokenizers.visible import visible

from ._pdu import open_pdu
from ._pdu_block import reason

STANDARD_OUTPUT = "-"


class text_sink(gr.basic_block):
    """Write received texts, a line each, with words that are not sure in brackets: [word?].

    Control characters and marks that turn the direction of writing are spelled out, as in "\\x1b", so that no received
    text commands the terminal. A text that cannot be written is logged and counted in `write_errors`.

    Input: message port "texts", PDUs of u8 characters in UTF-8, with unsure where it is known.
    Output: message port "delivered": the metadata of each text that has come.

    Parameters:
        path: a file, to which lines are added; "-": the terminal.
        mark: put words that are not sure in brackets.
    """

    TEXTS, DELIVERED = pmt.intern("texts"), pmt.intern("delivered")

    def __init__(self, path: str = STANDARD_OUTPUT, mark: bool = True):
        gr.basic_block.__init__(self, name="Text Sink", in_sig=None, out_sig=None)
        if path != STANDARD_OUTPUT and not Path(path).parent.is_dir():
            raise TextError(f"{path}: there is no folder {Path(path).parent}")
        self._path, self._mark = path, mark
        self.texts_received = self.texts_refused = self.write_errors = 0
        self.message_port_register_in(self.TEXTS)
        self.message_port_register_out(self.DELIVERED)
        self.set_msg_handler(self.TEXTS, self._on_text)

    def _on_text(self, pdu: object) -> None:
        try:
            meta, data = open_pdu(pdu, "uint8")
            unsure = np.asarray(meta.get(keys.UNSURE, np.zeros(0, np.int32)), np.int64)
            line = _marked(data.tobytes(), unsure if self._mark else unsure[:0])
        except Exception as error:
            self.texts_refused += 1
            self.logger.warn(f"text refused ({self.texts_refused} so far): {reason(error)}")
            return
        self.texts_received += 1
        try:
            self._write(line)
        except OSError as error:
            self.write_errors += 1
            self.logger.warn(f"{self._path}: {error.strerror or error} ({self.write_errors} texts not written so far)")
        self.message_port_pub(self.DELIVERED, pmt.cons(pmt.car(pdu), pmt.PMT_NIL))

    def _write(self, line: str) -> None:
        if self._path == STANDARD_OUTPUT:
            known = sys.stdout.encoding or "utf-8"
            print(line.encode(known, "backslashreplace").decode(known), file=sys.stdout, flush=True)
            return
        with Path(self._path).open("a", encoding="utf-8") as file:
            file.write(line + "\n")


def _marked(text: bytes, unsure: np.ndarray) -> str:
    """A text with words in brackets, fit for a terminal: `unsure` holds first byte and length of each."""
    parts = ((visible(part), sure) for part, sure in marked_parts(text, unsure))
    return "".join(part if sure else f"[{part}?]" for part, sure in parts)
