import pmt
from gnuradio import gr

from tokcom.tokenizers.sounds import SoundWriter

from ._pdu import open_pdu
from ._pdu_block import reason


class audio_sink(gr.basic_block):
    """Write received speech into a sound file, piece after piece.

    Pieces that cannot be written are logged and counted in `sounds_refused` or `write_errors`.

    Input: message port "sounds", PDUs of f32 samples at 8 kHz within ±1.
    Output: message port "delivered": the metadata of each piece.

    Parameters:
        path: the file, .wav, .flac or .ogg; an earlier one is replaced.
    """

    SOUNDS, DELIVERED = pmt.intern("sounds"), pmt.intern("delivered")

    def __init__(self, path: str = "received.wav"):
        gr.basic_block.__init__(self, name="Audio Sink", in_sig=None, out_sig=None)
        SoundWriter.check(path)
        self._path, self._writer = path, None
        self.sounds_received = self.sounds_refused = self.write_errors = 0
        self.message_port_register_in(self.SOUNDS)
        self.message_port_register_out(self.DELIVERED)
        self.set_msg_handler(self.SOUNDS, self._on_sound)

    def start(self) -> bool:
        self._writer = SoundWriter(self._path)
        return True

    def stop(self) -> bool:
        if self._writer is not None:
            self._writer.close()
            self._writer = None
        return True

    def _on_sound(self, pdu: object) -> None:
        try:
            _, samples = open_pdu(pdu, "float32")
        except Exception as error:
            self.sounds_refused += 1
            self.logger.warn(f"sound refused ({self.sounds_refused} so far): {reason(error)}")
            return
        if self._writer is None:
            return
        self.sounds_received += 1
        try:
            self._writer.write(samples)
        except Exception as error:
            self.write_errors += 1
            self.logger.warn(f"{self._path}: {reason(error)} ({self.write_errors} pieces not written so far)")
        self.message_port_pub(self.DELIVERED, pmt.cons(pmt.car(pdu), pmt.PMT_NIL))
