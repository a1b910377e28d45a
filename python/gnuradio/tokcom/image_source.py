import os
import threading
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
import pmt
from gnuradio import gr

from tokcom import keys
from tokcom.errors import ParameterError, PictureError
from tokcom.packets.header_fields import FRAME_IDS
from tokcom.tokenizers.camera import PREFIX, open_camera
from tokcom.tokenizers.captions import load_caption
from tokcom.tokenizers.pictures import find_pictures, load_picture, sample_pictures
from tokcom.tokenizers.text import MODALITY as TEXT
from tokcom.tokenizers.video_file import is_video, load_av, video_frames

from ._pdu import Metadata, make_pdu
from ._pdu_block import reason

MODALITY = "image"


class image_source(gr.basic_block):
    """Send pictures, one PDU per picture.

    With a window, the source waits for confirmation of delivery before it sends more, so that no later queue overflows,
    and it ends the flowgraph after the last picture. For that, connect the sink's "delivered" port to the source's.
    Pictures of more than a megapixel are reduced to one.

    Input: message port "delivered", one message of any kind per delivered picture; PDUs of another stream or not of a
        picture are ignored.
    Output: message port "pictures", PDUs of u8 RGB values with height, width, name, frame_id and stream_id, and
    sentence if `sentences` is set. Message port "captions", for Text Tokenizer: PDUs of u8 characters in UTF-8, each
    ahead of its picture and numbered with the pictures; the picture's companion tells how far back its caption is.

    Parameters:
        path: a picture, a video (needs PyAV), a folder of pictures, or a list of these; "camera:0" or
            "camera:/dev/video0" for a camera (needs OpenCV), which runs until it is stopped; "camera:pan" for a view
            that pans over the sample photographs; empty for these photographs themselves.
        repeat: start again after the last picture.
        interval: seconds from one picture to the next, at least 0.
        window: largest number of pictures under way; 0 for no limit, in which case "delivered" need not be connected
            and the flowgraph continues after the last picture.
        patience: seconds to wait for a confirmation before the pictures under way count as lost.
        stream_id: stream number, for channels shared by several transmitters, 0 to 63, as in the Burst Framer.
        captions: send the text beside each picture, if there is one: of photo.jpg, that in photo.txt, on one line and
            of at most 2000 characters.
        sentences: put that text into the picture's metadata as its sentence, by which Image Tokenizer describes the
            picture to the receiver's context model.
    """

    DELIVERED = pmt.intern("delivered")
    PICTURES, CAPTIONS = pmt.intern("pictures"), pmt.intern("captions")

    def __init__(
        self, path: str | Sequence[str] = "", repeat: bool = False, interval: float = 0.0, window: int = 4,
        patience: float = 60.0, stream_id: int = 0, captions: bool = False,
        sentences: bool = False,
    ):  # fmt: skip
        gr.basic_block.__init__(self, name="Image Source", in_sig=None, out_sig=None)
        if interval < 0:
            raise ParameterError(f"interval is {interval}; it must be at least 0 seconds")
        if window < 0:
            raise ParameterError(f"window is {window}; it must be at least 0")
        if patience <= 0:
            raise ParameterError(f"patience is {patience}; it must be above 0 seconds")
        if not 0 <= stream_id <= 63:
            raise ParameterError(f"stream_id is {stream_id}; it must be 0 to 63")
        self._camera_name, self._camera = _camera_name(path), None
        if self._camera_name:
            open_camera(self._camera_name).close()
            repeat = True
        self._files = [Path("camera")] if self._camera_name else _picture_files(path)
        self._stream_id, self._captions, self._sentences = stream_id, captions, sentences
        self._repeat, self._interval, self._window, self._patience = repeat, interval, window, patience
        self.frames_sent = self.frames_delivered = self.frames_missing = self.files_refused = self.captions_sent = 0
        self._under_way: dict[int, None] = {}
        self._changed = threading.Condition()
        self._stopping = threading.Event()
        self._thread: threading.Thread | None = None
        self.message_port_register_in(self.DELIVERED)
        self.message_port_register_out(self.PICTURES)
        self.message_port_register_out(self.CAPTIONS)
        self.set_msg_handler(self.DELIVERED, self._on_delivered)

    def start(self) -> bool:
        self._stopping.clear()
        if self._camera_name:
            self._camera = open_camera(self._camera_name)
        self._under_way.clear()
        self._thread = threading.Thread(target=self._send_all, name="image_source", daemon=True)
        self._thread.start()
        return True

    def stop(self) -> bool:
        self._stopping.set()
        with self._changed:
            self._changed.notify_all()
        if self._thread is not None:
            self._thread.join()
        if self._camera is not None:
            self._camera.close()
            self._camera = None
        return True

    def _on_delivered(self, message: object) -> None:
        meta = Metadata(pmt.car(message) if pmt.is_pair(message) else pmt.PMT_NIL)
        others = meta.get(keys.STREAM_ID, self._stream_id) != self._stream_id
        if others or meta.get(keys.MODALITY, MODALITY) != MODALITY:
            return
        with self._changed:
            self.frames_delivered += 1
            # A message for a frame already given up is ignored; one without a frame number counts for the oldest frame.
            frame_id = meta.get(keys.FRAME_ID)
            if not isinstance(frame_id, int):
                frame_id = next(iter(self._under_way), 0)
            self._under_way.pop(frame_id % FRAME_IDS, None)
            self._changed.notify_all()

    def _send_all(self) -> None:
        while True:
            sent_before = self.frames_sent
            for file in self._files:
                if not self._send_file(file):
                    return
            if self.frames_sent == sent_before:
                self.logger.error(f"none of {len(self._files)} pictures can be read; there is nothing to send")
                break
            if not self._repeat:
                break
        if self._window:
            self._wait_until_under_way_below(1)
            if not self._stopping.is_set():
                self.to_basic_block()._post(pmt.intern("system"), pmt.cons(pmt.intern("done"), pmt.from_long(1)))

    def _send_file(self, file: Path) -> bool:
        """Send a picture, or the frames of a video; return False once the source is to stop."""
        frames = video_frames(file) if self._camera is None and is_video(file) else None
        while True:
            if self._window:
                self._wait_until_under_way_below(self._window)
            if self._stopping.is_set():
                return False
            sent = self._send(file, frames)
            if sent and self._stopping.wait(self._interval):
                return False
            if not sent or frames is None:
                return True

    def _send(self, file: Path, frames: Iterator[np.ndarray] | None) -> bool:
        """Send one picture; return False if there is none, or it cannot be read."""
        try:
            if frames is not None:
                picture = next(frames, None)
                if picture is None:
                    return False
            else:
                picture = load_picture(file) if self._camera is None else self._camera.read()
            text = self._caption(file) if frames is None and self._camera is None else ""
            caption = text if self._captions else ""
            # Numbers wrap as on the air, so that both ends agree on them.
            number = self.frames_sent + self.captions_sent
            frame_id = (number + bool(caption)) % FRAME_IDS
            meta = {
                keys.FRAME_ID: frame_id,
                keys.STREAM_ID: self._stream_id,
                keys.NAME: file.stem.encode("utf-8", "replace").decode(),
                keys.HEIGHT: picture.shape[0],
                keys.WIDTH: picture.shape[1],
            }
            if caption:
                meta[keys.COMPANION] = 1
            if text and self._sentences:
                meta[keys.SENTENCE] = text
            pdu = make_pdu(pmt.make_dict(), meta, picture)
        except Exception as error:
            self.files_refused += 1
            self.logger.warn(f"picture skipped ({self.files_refused} so far): {reason(error)}")
            return False
        if self._window:
            with self._changed:
                self._under_way[frame_id] = None
        self.frames_sent += 1
        if caption:
            self._send_caption(caption, number % FRAME_IDS)
            self.captions_sent += 1
        self.message_port_pub(self.PICTURES, pdu)
        return True

    def _caption(self, file: Path) -> str:
        """Read the text beside a picture; empty if it is not wanted, there is none, or it cannot be read."""
        if not (self._captions or self._sentences):
            return ""
        try:
            return load_caption(file)
        except PictureError as error:
            self.logger.warn(f"{error}; the picture goes without it")
            return ""

    def _send_caption(self, caption: str, frame_id: int) -> None:
        meta = {keys.FRAME_ID: frame_id, keys.STREAM_ID: self._stream_id, keys.MODALITY: TEXT}
        characters = np.frombuffer(caption.encode(), np.uint8)
        self.message_port_pub(self.CAPTIONS, make_pdu(pmt.make_dict(), meta, characters))

    def _wait_until_under_way_below(self, limit: int) -> None:
        with self._changed:
            while len(self._under_way) >= limit and not self._stopping.is_set():
                delivered = self.frames_delivered
                if not self._changed.wait(self._patience) and self.frames_delivered == delivered:
                    missing = len(self._under_way)
                    self._under_way.clear()
                    self.frames_missing += missing
                    self.logger.warn(
                        f"no confirmation of {missing} pictures for {self._patience} s: they count as lost "
                        f"({self.frames_missing} so far); is the sink's 'delivered' port connected?"
                    )


def _camera_name(path: str | Sequence[str]) -> str:
    """Return the camera that a path names; empty if it names files."""
    return path.removeprefix(PREFIX) if isinstance(path, str) and path.startswith(PREFIX) else ""


def _picture_files(path: str | Sequence[str]) -> list[Path]:
    if not path:
        files = sample_pictures()
    elif not isinstance(path, str | os.PathLike):
        entries = [Path(entry) for entry in path]
        files = [file for entry in entries for file in (find_pictures(entry) if entry.is_dir() else [entry])]
    elif Path(path).is_dir():
        return find_pictures(path)
    else:
        files = [Path(path)]
    for file in files:
        if not file.is_file():
            raise PictureError(f"{file}: no such picture or folder")
        if is_video(file):
            load_av(f"{file}, a video,")
    return files
