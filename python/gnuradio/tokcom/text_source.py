import socket
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pmt
from gnuradio import gr

from tokcom import keys
from tokcom.errors import ParameterError, TextError
from tokcom.packets.header_fields import FRAME_IDS
from tokcom.tokenizers.text import MAX_CHARACTERS, MODALITY, bounded_lines, pieces

from ._pdu import make_pdu, open_pdu
from ._pdu_block import reason

STANDARD_INPUT, UDP = "-", "udp:"
LONGEST_DATAGRAM = 65_507
CHARACTER_BYTES = 4
"""Bytes of a character at most, in UTF-8."""
POLL = 0.2
"""Seconds after which a source that waits for a line looks whether it is to stop."""


class text_source(gr.basic_block):
    """Send lines of text, one PDU each.

    A line may come from a file, from standard input, as a UDP datagram, or as a message from any block. Empty lines
    are left out; longer lines than `characters` are cut behind white space while they are read, and nothing of them is
    lost. What is not UTF-8 is logged and counted in `lines_refused`.

    Input: message port "lines": a symbol, or a PDU of u8 characters in UTF-8, for example of a QT GUI Message Edit Box.
    Output: message port "texts", PDUs of u8 characters in UTF-8 with modality, frame_id and stream_id.

    Parameters:
        path: a file of text; "-": standard input; "udp:PORT": datagrams to that port of this machine; empty: what comes
            at "lines" alone.
        interval: seconds from one line of a file to the next, at least 0.
        characters: of a text at most, 1 to 65536.
        stream_id: of several transmitters on one channel, 0 to 63: that of the transmitter behind.
    """

    LINES, TEXTS = pmt.intern("lines"), pmt.intern("texts")

    def __init__(self, path: str = "", interval: float = 0.0, characters: int = 2000, stream_id: int = 0):
        gr.basic_block.__init__(self, name="Text Source", in_sig=None, out_sig=None)
        if not interval >= 0:
            raise ParameterError(f"interval is {interval}; it must be at least 0 seconds")
        if not 1 <= characters <= MAX_CHARACTERS:
            raise ParameterError(f"characters is {characters}; it must be 1 to {MAX_CHARACTERS}")
        if not 0 <= stream_id <= 63:
            raise ParameterError(f"stream_id is {stream_id}; it must be 0 to 63")
        self._port = _udp_port(path)
        if path not in ("", STANDARD_INPUT) and self._port is None and not Path(path).is_file():
            raise TextError(f"{path}: no such file of text")
        self._path, self._interval, self._characters, self._stream_id = path, interval, characters, stream_id
        self.texts_sent = self.lines_refused = 0
        self._sending, self._stopping = threading.Lock(), threading.Event()
        self._thread: threading.Thread | None = None
        self._socket: socket.socket | None = None
        self.message_port_register_in(self.LINES)
        self.message_port_register_out(self.TEXTS)
        self.set_msg_handler(self.LINES, self._on_line)

    def start(self) -> bool:
        self._stopping.clear()
        if self._port is not None:
            self._socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
            self._socket.settimeout(POLL)
            try:
                self._socket.bind(("127.0.0.1", self._port))
            except OSError as error:
                self._socket.close()
                raise TextError(f"UDP port {self._port} cannot be listened to: {error.strerror}") from None
        if self._path:
            # Who reads standard input cannot be woken: the thread ends with the program.
            self._thread = threading.Thread(target=self._send_all, name="text_source", daemon=True)
            self._thread.start()
        return True

    def stop(self) -> bool:
        self._stopping.set()
        if self._thread is not None and self._path != STANDARD_INPUT:
            self._thread.join()
        if self._socket is not None:
            self._socket.close()
            self._socket = None
        return True

    def _on_line(self, message: object) -> None:
        try:
            if pmt.is_symbol(message):
                self._send(pmt.symbol_to_string(message).encode())
            else:
                self._send(open_pdu(message, "uint8")[1].tobytes())
        except Exception as error:
            self._refuse(error)

    def _send_all(self) -> None:
        try:
            for line in self._lines():
                if self._stopping.is_set():
                    return
                try:
                    self._send(line)
                except TextError as error:
                    self._refuse(error)
        except OSError as error:
            self.logger.error(f"{self._path}: {error.strerror or error}; nothing more is sent")

    def _lines(self) -> Iterator[bytes]:
        if self._socket is not None:
            while not self._stopping.is_set():
                try:
                    yield self._socket.recv(LONGEST_DATAGRAM)
                except TimeoutError:
                    continue
        elif self._path == STANDARD_INPUT:
            yield from bounded_lines(sys.stdin.buffer, CHARACTER_BYTES * self._characters)
        else:
            with Path(self._path).open("rb") as file:
                for line in bounded_lines(file, CHARACTER_BYTES * self._characters):
                    yield line
                    if self._stopping.wait(self._interval):
                        return

    def _send(self, line: bytes) -> None:
        try:
            text = line.decode().rstrip("\r\n")
        except UnicodeDecodeError as error:
            raise TextError(f"byte {error.start} of a line is not UTF-8") from None
        # Lines of two origins may come at once.
        with self._sending:
            for piece in pieces(text, self._characters):
                meta = {
                    keys.FRAME_ID: self.texts_sent % FRAME_IDS,
                    keys.STREAM_ID: self._stream_id,
                    keys.MODALITY: MODALITY,
                }
                self.texts_sent += 1
                characters = np.frombuffer(piece.encode(), np.uint8)
                self.message_port_pub(self.TEXTS, make_pdu(pmt.make_dict(), meta, characters))

    def _refuse(self, error: Exception) -> None:
        self.lines_refused += 1
        self.logger.warn(f"line refused ({self.lines_refused} so far): {reason(error)}")


def _udp_port(path: str) -> int | None:
    """The port that a path names; None where it names none.

    Raises:
        ParameterError: it is no port.
    """
    if not path.startswith(UDP):
        return None
    port = path.removeprefix(UDP)
    if not port.isdecimal() or not 1 <= int(port) <= 65535:
        raise ParameterError(f"path is {path!r}; behind udp: stands a port, 1 to 65535")
    return int(port)
