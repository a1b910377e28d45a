import json
from pathlib import Path

import numpy as np
import pmt
from gnuradio import gr
from PIL import Image

from tokcom import keys
from tokcom.errors import PictureError
from tokcom.metrics.frame_report import frame_report
from tokcom.tokenizers.pictures import square

from ._pdu import open_pdu, picture_of, reason, required

STAGES = ("sent", "tokenized", "lost", "recovered")
PENDING = 256
"""Frames that may wait for the rest of their pictures."""


class image_sink(gr.basic_block):
    """Save received pictures as PNG files and, where the sent ones are known, the link's figures.

    Pictures are named FRAME-NAME-STAGE.png. With `compare`, a frame is complete when all four of its pictures are here;
    its figures go to figures.jsonl, one JSON object a line, begun anew with each run. Without, each recovered picture
    stands alone.

    Input: message ports "sent", "tokenized", "lost" and "recovered": PDUs of u8 RGB values. Only "recovered" is needed
    without `compare`; all four with it (a loopback).
    Output: message port "delivered": one PDU for each complete frame, its figures as metadata.

    Parameters:
        folder: where files go; it is created where there is none.
        compare: wait for all four pictures of a frame and compute figures.
    """

    DELIVERED = pmt.intern("delivered")

    def __init__(self, folder: str = "out/pictures", compare: bool = True):
        gr.basic_block.__init__(self, name="Image Sink", in_sig=None, out_sig=None)
        self._folder, self._compare = Path(folder), compare
        try:
            self._folder.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise PictureError(f"{folder}: pictures cannot be saved here: {error.strerror}") from None
        self._pending: dict[int, dict[str, tuple[dict, np.ndarray]]] = {}
        self.frames_delivered = self.frames_refused = self.frames_incomplete = 0
        for stage, handler in zip(
            STAGES, (self._on_sent, self._on_tokenized, self._on_lost, self._on_recovered), strict=True
        ):
            self.message_port_register_in(pmt.intern(stage))
            self.set_msg_handler(pmt.intern(stage), handler)
        self.message_port_register_out(self.DELIVERED)

    def start(self) -> bool:
        (self._folder / "figures.jsonl").unlink(missing_ok=True)
        return True

    def _on_sent(self, pdu: object) -> None:
        self._take("sent", pdu)

    def _on_tokenized(self, pdu: object) -> None:
        self._take("tokenized", pdu)

    def _on_lost(self, pdu: object) -> None:
        self._take("lost", pdu)

    def _on_recovered(self, pdu: object) -> None:
        self._take("recovered", pdu)

    def _take(self, stage: str, pdu: object) -> None:
        try:
            meta, data = open_pdu(pdu, "uint8")
            picture, frame_id = picture_of(meta, data), required(meta, keys.FRAME_ID, int)
            stages = self._pending.setdefault(frame_id, {})
            stages[stage] = meta, picture
            if len(stages) == len(STAGES) or (stage == "recovered" and not self._compare):
                del self._pending[frame_id]
                self._deliver(frame_id, stages)
            elif not self._compare:
                del self._pending[frame_id]
            elif len(self._pending) > PENDING:
                self._give_up(next(iter(self._pending)))
        except Exception as error:
            self.frames_refused += 1
            self.logger.warn(f"picture refused ({self.frames_refused} so far): {reason(error)}")

    def _give_up(self, frame_id: int) -> None:
        stages = self._pending.pop(frame_id)
        self.frames_incomplete += 1
        missing = ", ".join(stage for stage in STAGES if stage not in stages)
        self.logger.warn(f"frame {frame_id} given up ({self.frames_incomplete} so far): no {missing} picture came")

    def _deliver(self, frame_id: int, stages: dict[str, tuple[dict, np.ndarray]]) -> None:
        # Names do not travel over the air: only who has the sent picture knows it.
        meta = stages["sent" if self._compare else "recovered"][0]
        name = Path(str(meta.get(keys.NAME, "picture"))).name
        figures: dict = {"image": name}
        pictures = {stage: picture for stage, (_, picture) in stages.items()}
        if self._compare:
            pictures["sent"] = square(pictures["sent"], pictures["recovered"].shape[0])
            figures = self._figures(name, stages, pictures)
            with (self._folder / "figures.jsonl").open("a", encoding="utf-8") as file:
                file.write(json.dumps(figures) + "\n")
        for stage, picture in pictures.items():
            Image.fromarray(picture).save(self._folder / f"{frame_id:04d}-{name}-{stage}.png")
        self.frames_delivered += 1
        meta = pmt.to_pmt({keys.FRAME_ID: frame_id} | figures)
        self.message_port_pub(self.DELIVERED, pmt.cons(meta, pmt.init_u8vector(0, [])))

    def _figures(self, name: str, stages: dict[str, tuple[dict, np.ndarray]], pictures: dict[str, np.ndarray]) -> dict:
        meta = stages["recovered"][0]
        # The transmitter's stages are known from the picture that never was on the air.
        timed = {**stages["tokenized"][0], **meta}
        beginning = keys.SECONDS
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
            seconds={key.removeprefix(beginning): value for key, value in timed.items() if key.startswith(beginning)},
        )
