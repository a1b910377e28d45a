import threading
import time
from pathlib import Path

import numpy as np
import pmt
from gnuradio import gr

from tokcom import keys
from tokcom.errors import ParameterError, SpeechError
from tokcom.packets.header_fields import FRAME_IDS
from tokcom.tokenizers.pitch import FRAME, RATE
from tokcom.tokenizers.sounds import read_sound
from tokcom.tokenizers.speech import MODALITY

from ._pdu import make_pdu


class audio_source(gr.basic_block):
    """Send a sound file piece by piece, as a microphone would.

    The file (WAV, FLAC, Ogg; any sampling rate) becomes mono at 8 kHz; behind its end comes a piece of silence, which
    lets the tokenizer finish. For a microphone, use GNU Radio's Audio Source, Stream to Tagged Stream and Tagged Stream
    to PDU in place of this block.

    Output: message port "sounds", PDUs of f32 samples within ±1 at 8 kHz, with modality, name, frame_id and stream_id.

    Parameters:
        path: the file; empty: a spoken sample.
        frames: frames of 40 ms per PDU, 1 to 250.
        repeat: start again after the end.
        real_time: send each piece when its last sample is due; otherwise as fast as possible.
        stream_id: stream number, for channels shared by several transmitters, 0 to 63.
    """

    SOUNDS = pmt.intern("sounds")

    def __init__(
        self, path: str = "", frames: int = 4, repeat: bool = False, real_time: bool = True, stream_id: int = 0
    ):  # fmt: skip
        gr.basic_block.__init__(self, name="Audio Source", in_sig=None, out_sig=None)
        if not 1 <= frames <= 250:
            raise ParameterError(f"frames is {frames}; it must be 1 to 250")
        if not 0 <= stream_id <= 63:
            raise ParameterError(f"stream_id is {stream_id}; it must be 0 to 63")
        if path and not Path(path).is_file():
            raise SpeechError(f"{path}: no such sound file")
        self._path, self._frames, self._repeat = path, frames, repeat
        self._real_time, self._stream_id = real_time, stream_id
        self.frames_sent = 0
        self._stopping = threading.Event()
        self._thread: threading.Thread | None = None
        self.message_port_register_out(self.SOUNDS)

    def start(self) -> bool:
        self._stopping.clear()
        sound = read_sound(self._path)
        self._thread = threading.Thread(target=self._send_all, args=(sound,), name="audio_source", daemon=True)
        self._thread.start()
        return True

    def stop(self) -> bool:
        self._stopping.set()
        if self._thread is not None:
            self._thread.join()
        return True

    def _send_all(self, sound: np.ndarray) -> None:
        size = self._frames * FRAME
        pieces = np.pad(sound, (0, size + -len(sound) % size)).reshape(-1, size)
        due = time.monotonic()
        while True:
            for piece in pieces:
                due += size / RATE
                if self._stopping.wait(max(due - time.monotonic(), 0) if self._real_time else 0):
                    return
                meta = {
                    keys.FRAME_ID: self.frames_sent % FRAME_IDS,
                    keys.STREAM_ID: self._stream_id,
                    keys.MODALITY: MODALITY,
                    keys.NAME: Path(self._path).stem or "sample",
                }
                self.frames_sent += 1
                self.message_port_pub(self.SOUNDS, make_pdu(pmt.make_dict(), meta, piece))
            if not self._repeat:
                break
        self.to_basic_block()._post(pmt.intern("system"), pmt.cons(pmt.intern("done"), pmt.from_long(1)))
