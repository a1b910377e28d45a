import json
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import pmt
from gnuradio import gr

from tokcom import keys
from tokcom.errors import PictureError
from tokcom.metrics.frame_panels import caption_text
from tokcom.metrics.frame_report import frame_report, reception_report, seconds_of
from tokcom.recording.pictures import file_name, save_picture
from tokcom.tokenizers.pictures import square

from ._frame_keys import picture_of
from ._pdu import open_pdu, required
from ._pdu_block import reason
from ._recent import FrameKey, RecentFrames, frame_key

STAGES = ("sent", "tokenized", "lost", "recovered")
PENDING, PENDING_BYTES = 256, 256 << 20
"""Limits on frames that wait for their other pictures."""
FIGURES = "figures.jsonl"


class image_sink(gr.basic_block):
    """Save received pictures as PNG files and the link's figures as figures.jsonl, one JSON object per line.

    With `compare`, a frame is complete when all four of its pictures have arrived. They are named FRAME-NAME-STAGE.png,
    those of streams other than 0 sSTREAM-FRAME-NAME-STAGE.png, and each run starts over.

    The text that belongs to a picture, where Caption Join has added it, is among the figures.

    Without `compare`, each recovered picture is saved alone, with the receiver's figures. They are named
    NUMBER-sSTREAM-fFRAME-recovered.png, with numbers that continue from run to run, so that no file is overwritten.

    A file that cannot be written is logged and counted in `write_errors`; its frame is delivered nevertheless.

    Input: message ports "sent", "tokenized", "lost" and "recovered": PDUs of u8 RGB values. Only "recovered" is needed
    without `compare`; all four with it (a loopback).
    Output: message port "delivered": one PDU per complete frame, with its figures as metadata: frame_id and stream_id,
        files by stage, and error if they could not be written.

    Parameters:
        folder: folder for the files, created if missing.
        compare: wait for all four pictures of a frame and compute figures.
    """

    DELIVERED = pmt.intern("delivered")

    def __init__(self, folder: str = "out/pictures", compare: bool = True):
        gr.basic_block.__init__(self, name="Image Sink", in_sig=None, out_sig=None)
        self._folder, self._compare = Path(folder), compare
        self._make_folder()
        self._pending = RecentFrames(PENDING, PENDING_BYTES, self._give_up)
        self._number = 0
        self.frames_delivered = self.frames_refused = self.frames_incomplete = self.write_errors = 0
        for stage, handler in zip(
            STAGES, (self._on_sent, self._on_tokenized, self._on_lost, self._on_recovered), strict=True
        ):
            self.message_port_register_in(pmt.intern(stage))
            self.set_msg_handler(pmt.intern(stage), handler)
        self.message_port_register_out(self.DELIVERED)

    def start(self) -> bool:
        try:
            if self._compare:
                (self._folder / FIGURES).unlink(missing_ok=True)
            else:
                numbers = (path.name.partition("-")[0] for path in self._folder.glob("*-recovered.png"))
                self._number = max((int(number) for number in numbers if number.isdecimal()), default=-1) + 1
        except OSError as error:
            self._count_write_error(error)
        return True

    def _make_folder(self) -> None:
        try:
            self._folder.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise PictureError(f"{self._folder}: pictures cannot be saved here: {error.strerror}") from None

    def _on_sent(self, pdu: object) -> None:
        self._take("sent", pdu)

    def _on_tokenized(self, pdu: object) -> None:
        self._take("tokenized", pdu)

    def _on_lost(self, pdu: object) -> None:
        self._take("lost", pdu)

    def _on_recovered(self, pdu: object) -> None:
        self._take("recovered", pdu)

    def _take(self, stage: str, pdu: object) -> None:
        if not self._compare and stage != "recovered":
            return
        try:
            meta, data = open_pdu(pdu, "uint8")
            picture, key = picture_of(meta, data), frame_key(meta)
            stages = {stage: (meta, picture)}
            if self._compare:
                stages = self._pending.put(key, stage, (meta, picture), picture.nbytes)
                if len(stages) < len(STAGES):
                    return
                self._pending.pop(key)
            self._deliver(key, stages)
        except Exception as error:
            self.frames_refused += 1
            self.logger.warn(f"picture refused ({self.frames_refused} so far): {reason(error)}")

    def _give_up(self, key: FrameKey, stages: dict) -> None:
        self.frames_incomplete += 1
        # Log whenever their number has doubled.
        if self.frames_incomplete.bit_count() == 1:
            missing = ", ".join(stage for stage in STAGES if stage not in stages)
            self.logger.warn(f"frame {key[1]} given up ({self.frames_incomplete} so far): no {missing} picture arrived")

    def _deliver(self, key: FrameKey, stages: dict[str, tuple[Mapping, np.ndarray]]) -> None:
        (stream_id, frame_id), meta = key, stages["recovered"][0]
        pictures = {stage: picture for stage, (_, picture) in stages.items()}
        if self._compare:
            # Names are not sent over the air: only the sent picture has one.
            name = str(stages["sent"][0].get(keys.NAME, "picture"))
            number = f"s{stream_id}-{frame_id:04d}" if stream_id else f"{frame_id:04d}"
            pictures["sent"] = square(pictures["sent"], pictures["recovered"].shape[0])
            figures = self._figures(name, stages, pictures)
        else:
            name, number = "", f"{self._number:06d}-s{stream_id}-f{frame_id:04d}"
            figures = {"time": datetime.now(UTC).isoformat(timespec="milliseconds")} | reception_report(meta)
        if keys.CAPTION in meta:
            figures["caption"] = caption_text(meta)
        files = {stage: file_name(number, name, stage) for stage in pictures}
        told = {keys.FRAME_ID: frame_id, keys.STREAM_ID: stream_id, "files": files} | figures
        try:
            self._make_folder()  # it may have been deleted meanwhile
            for stage, picture in pictures.items():
                save_picture(picture, self._folder / files[stage])
            with (self._folder / FIGURES).open("a", encoding="utf-8") as file:
                file.write(json.dumps(figures if self._compare else figures | {"file": files["recovered"]}) + "\n")
        except (OSError, PictureError) as error:
            self._count_write_error(error)
            told["error"] = reason(error)
        self._number += 1
        self.frames_delivered += 1
        self.message_port_pub(self.DELIVERED, pmt.cons(pmt.to_pmt(told), pmt.init_u8vector(0, [])))

    def _count_write_error(self, error: Exception) -> None:
        self.write_errors += 1
        # Log whenever their number has doubled: a full disk stays full.
        if self.write_errors.bit_count() == 1:
            self.logger.error(f"picture not saved ({self.write_errors} so far): {reason(error)}")

    def _figures(self, name: str, stages: dict[str, tuple[Mapping, np.ndarray]], pictures: dict) -> dict:
        meta = stages["recovered"][0]
        # The transmitter's stages are known from the picture that was not sent over the air.
        return frame_report(
            image=name,
            esn0_db=required(meta, keys.ESN0_DB, float),
            packets=required(meta, keys.PACKETS, int),
            packets_lost=required(meta, keys.PACKETS_LOST, int),
            codebook_size=required(meta, keys.CODEBOOK_SIZE, int),
            cmi=meta.get(keys.CMI_NAME),
            sent_tokens=required(stages["tokenized"][0], keys.TOKENS, np.ndarray),
            received_tokens=required(stages["lost"][0], keys.TOKENS, np.ndarray),
            recovered_tokens=required(meta, keys.TOKENS, np.ndarray),
            **pictures,
            seconds=seconds_of({**stages["tokenized"][0], **meta}),
        )
