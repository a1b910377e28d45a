import threading
from collections.abc import Mapping

import numpy as np
import pmt
from gnuradio import gr

from tokcom import keys
from tokcom.errors import ParameterError
from tokcom.packets.header_fields import FRAME_IDS

from ._pdu import open_pdu, required, vector_of
from ._pdu_block import reason
from ._recent import FrameKey, RecentFrames, frame_key

REMEMBERED, REMEMBERED_BYTES = 64, 64 << 20
"""Limits on texts, and on pictures that wait for theirs."""


class caption_join(gr.basic_block):
    """Join received pictures and the texts that belong to them: the header of a picture's burst tells which one.

    A picture waits for its text at most `patience` seconds, then goes on without it and is counted in
    `captions_missing`; a picture without one goes on at once.

    Input: message port "pictures", PDUs of any content with frame_id, and companion where a text belongs to them.
    Message port "texts", PDUs of u8 characters in UTF-8 with frame_id, as from Text Detokenizer.
    Output: message port "pictures", the same pictures, with caption added: for Image View and Image Sink.

    Parameters:
        patience: seconds for which a picture waits for its text, at least 0.
    """

    PICTURES, TEXTS = pmt.intern("pictures"), pmt.intern("texts")

    def __init__(self, patience: float = 2.0):
        gr.basic_block.__init__(self, name="Caption Join", in_sig=None, out_sig=None)
        if not 0 <= patience <= threading.TIMEOUT_MAX:
            raise ParameterError(f"patience is {patience}; it must be at least 0 seconds")
        self._patience, self._turn = patience, threading.Lock()
        self._texts = RecentFrames(REMEMBERED, REMEMBERED_BYTES)
        self._pictures = RecentFrames(REMEMBERED, REMEMBERED_BYTES, self._forgotten)
        self._timers: dict[FrameKey, threading.Timer] = {}
        self.captions_joined = self.captions_missing = self.frames_refused = 0
        for port, handler in ((self.PICTURES, self._on_picture), (self.TEXTS, self._on_text)):
            self.message_port_register_in(port)
            self.set_msg_handler(port, handler)
        self.message_port_register_out(self.PICTURES)

    def stop(self) -> bool:
        with self._turn:
            for key in list(self._timers):
                self._release(key, None)
        return True

    def _on_picture(self, pdu: object) -> None:
        try:
            meta, _ = open_pdu(pdu, None)
            key = None if keys.COMPANION not in meta else companion_key(meta)
        except Exception as error:
            self._refuse(error)
            return
        with self._turn:
            if key is None:
                self.message_port_pub(self.PICTURES, pdu)
                return
            text = self._texts.get(key).get("text")
            self._pictures.put(key, "picture", pdu, 4 * pmt.length(pmt.cdr(pdu)))
            if text is not None or not self._patience:
                self._release(key, text)
                return
            self._timers[key] = threading.Timer(self._patience, self._too_late, [key])
            self._timers[key].daemon = True
            self._timers[key].start()

    def _on_text(self, pdu: object) -> None:
        try:
            meta, data = open_pdu(pdu, "uint8")
            key = frame_key(meta)
        except Exception as error:
            self._refuse(error)
            return
        with self._turn:
            # Not as a symbol: those are never given back.
            text = vector_of(data.astype(np.uint8))
            self._texts.put(key, "text", text, len(data))
            self._release(key, text)

    def _too_late(self, key: FrameKey) -> None:
        with self._turn:
            self._release(key, None)

    def _forgotten(self, key: FrameKey, parts: dict) -> None:
        """A picture that others push out goes on as it is."""
        self._publish(key, parts["picture"], None)

    def _release(self, key: FrameKey, text: object | None) -> None:
        """Send on the picture that waits for a text, if one does."""
        picture = self._pictures.get(key).get("picture")
        if picture is not None:
            self._pictures.pop(key)
            self._publish(key, picture, text)

    def _publish(self, key: FrameKey, picture: object, text: object | None) -> None:
        timer = self._timers.pop(key, None)
        if timer is not None:
            timer.cancel()
        self.captions_joined += text is not None
        self.captions_missing += text is None
        if text is None and self.captions_missing.bit_count() == 1:  # log whenever their number has doubled
            self.logger.warn(f"frame {key[1]} is missing: its picture has no caption ({self.captions_missing} so far)")
        meta = pmt.car(picture)
        if text is not None:
            meta = pmt.dict_add(meta, pmt.intern(keys.CAPTION), text)
        self.message_port_pub(self.PICTURES, pmt.cons(meta, pmt.cdr(picture)))

    def _refuse(self, error: Exception) -> None:
        self.frames_refused += 1
        self.logger.warn(f"frame refused ({self.frames_refused} so far): {reason(error)}")


def companion_key(meta: Mapping) -> FrameKey:
    """Extract the key of the frame that belongs to a frame.

    Raises:
        FrameError: a number is missing or has another type.
    """
    stream, number = frame_key(meta)
    return stream, (number - required(meta, keys.COMPANION, int)) % FRAME_IDS
