from pathlib import Path

import pmt
from gnuradio import gr

from tokcom import keys
from tokcom.errors import RecordingError
from tokcom.recording.video import VideoWriter

from ._frame_keys import picture_of
from ._pdu import open_pdu
from ._pdu_block import reason


class video_sink(gr.basic_block):
    """Save received pictures as an MP4 file, one frame each.

    The file is finished when the flowgraph stops. A frame that cannot be used is logged and counted in
    `frames_refused`; if the file cannot be written, that is logged once, and frames are counted and delivered
    nevertheless.

    Input: message port "pictures": PDUs of u8 RGB values with height and width, of one stream.
    Output: message port "delivered": one PDU per frame, with its frame_id and stream_id as metadata.

    Parameters:
        path: the file, which is replaced; folders are created.
        fps: frames per second of the file, 0.1 to 1000.
        scale: pixels of the file per picture's pixel in each direction, at least 1.
    """

    PICTURES, DELIVERED = pmt.intern("pictures"), pmt.intern("delivered")

    def __init__(self, path: str = "out/video.mp4", fps: float = 12.0, scale: int = 4):
        gr.basic_block.__init__(self, name="Video Sink", in_sig=None, out_sig=None)
        self._settings = Path(path), fps, scale
        self._writer: VideoWriter | None = VideoWriter(*self._settings)
        self.frames_delivered = self.frames_refused = 0
        self.write_error = ""
        self.message_port_register_in(self.PICTURES)
        self.message_port_register_out(self.DELIVERED)
        self.set_msg_handler(self.PICTURES, self._on_picture)

    def start(self) -> bool:
        if self._writer is None and not self.write_error:
            self._writer = VideoWriter(*self._settings)
        return True

    def stop(self) -> bool:
        if self._writer is not None:
            writer, self._writer = self._writer, None
            try:
                writer.close()
            except RecordingError as error:
                self._fail(error)
        return True

    def _on_picture(self, pdu: object) -> None:
        try:
            meta, data = open_pdu(pdu, "uint8")
            if self._writer is not None:
                self._writer.write(picture_of(meta, data))
        except RecordingError as error:
            self._fail(error)
        except Exception as error:
            self.frames_refused += 1
            self.logger.warn(f"frame refused ({self.frames_refused} so far): {reason(error)}")
            return
        self.frames_delivered += 1
        told = {name: meta[name] for name in (keys.FRAME_ID, keys.STREAM_ID) if name in meta}
        self.message_port_pub(self.DELIVERED, pmt.cons(pmt.to_pmt(told), pmt.init_u8vector(0, [])))

    def _fail(self, error: RecordingError) -> None:
        self.write_error, self._writer = str(error), None
        self.logger.error(f"nothing more is saved: {error}")
