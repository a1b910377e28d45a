from collections.abc import Mapping

import numpy as np

from tokcom import keys
from tokcom.errors import ParameterError
from tokcom.packets.feedback import Feedback

from ._frame_keys import frame_of
from ._pdu import vector_of
from ._pdu_block import PduBlock


class feedback_decoder(PduBlock):
    """Decode a receiver's reports on the bursts of this transmitter.

    Input: message port "tokens", PDUs of s32 tokens from the port "feedback" of packet_decoder. Those on other streams
        are ignored; reports lost on the channel are counted in `reports_lost`.
    Output: message port "reports", PDUs without content, for both ports "cqi" and "reports" of semantic_mcs, with
    stream_id, frame_id, packets, packets_lost, packets_open if known, and carrier_esn0_db by band.

    Parameters:
        stream_id: stream number of this transmitter, 0 to 63, as in burst_framer; -1 for any.
    """

    INPUT, OUTPUT, INPUT_KIND, STAGE = "tokens", "reports", "int32", "feedback_decoder"
    FORWARDS = False

    def __init__(self, stream_id: int = 0):
        PduBlock.__init__(self, "Feedback Decoder")
        if not -1 <= stream_id <= 63:
            raise ParameterError(f"stream_id is {stream_id}; it must be 0 to 63, or -1 for any")
        self._stream_id = stream_id
        self.reports_received = self.reports_lost = 0

    def process(self, meta: Mapping, data: np.ndarray) -> tuple[dict, np.ndarray] | None:
        frame = frame_of(meta, data)
        if frame.lost.any():
            self.reports_lost += 1
            return None
        report = Feedback.from_frame(frame)
        if self._stream_id not in (-1, report.stream_id):
            return None
        self.reports_received += 1
        said = {
            keys.STREAM_ID: report.stream_id,
            keys.FRAME_ID: report.frame_id,
            keys.PACKETS: report.packets,
            keys.PACKETS_LOST: report.packets_lost,
            keys.CARRIER_ESN0_DB: vector_of(report.carrier_esn0_db),
        }
        if report.packets_open is not None:
            said[keys.PACKETS_OPEN] = report.packets_open
        return said, np.zeros(0, np.uint8)
