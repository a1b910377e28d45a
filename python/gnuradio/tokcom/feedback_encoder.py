from collections.abc import Mapping

import numpy as np

from tokcom import keys
from tokcom.errors import ParameterError
from tokcom.link.transmitter import TransmitConfig, Transmitter
from tokcom.mcs import find_mcs
from tokcom.packets import feedback
from tokcom.packets.feedback import Feedback

from ._burst_keys import carriers_of
from ._frame_keys import frame_keys
from ._pdu import required, vector_of
from ._pdu_block import PduBlock


class feedback_encoder(PduBlock):
    """Report channel quality and packet losses of received bursts to their transmitter, as separate bursts to be sent
    by Packet Encoder, Token Mapper and Burst Framer.

    Input: message port "frames", PDUs of any kind whose metadata describe the reception of a burst: stream_id,
        frame_id, packets, packets_lost, carrier_esn0_db or esn0_db and, if known, packets_open; as from token_recovery
        or packet_decoder.
    Output: message port "packets", PDUs of s32 tokens, one packet each, with mcs in the metadata.

    Parameters:
        every: number of bursts per report, at least 1.
        mcs: modulation and coding of the reports, by name ("qpsk-1/2") or index (0 to 14).
    """

    INPUT, OUTPUT, INPUT_KIND, STAGE = "frames", "packets", None, "feedback_encoder"
    FORWARDS = False

    def __init__(self, every: int = 1, mcs: str = feedback.MCS):
        PduBlock.__init__(self, "Feedback Encoder")
        if every < 1:
            raise ParameterError(f"every is {every}; it must be at least 1 burst")
        self._every, self._mcs = every, np.array([find_mcs(mcs).index], np.uint8)
        self._transmitter = Transmitter(TransmitConfig(tokens_per_packet=feedback.TOKENS))
        self._heard = self.reports_sent = 0

    def process(self, meta: Mapping, data: np.ndarray) -> tuple[dict, np.ndarray] | None:
        numbers = (keys.STREAM_ID, keys.FRAME_ID, keys.PACKETS, keys.PACKETS_LOST)
        open_ = required(meta, keys.PACKETS_OPEN, int) if keys.PACKETS_OPEN in meta else None
        report = Feedback(*(required(meta, key, int) for key in numbers), open_, carriers_of(meta))
        self._heard += 1
        if self._heard % self._every:
            return None
        frame = report.to_frame(self.reports_sent)
        self.reports_sent += 1
        packets = self._transmitter.packetize(frame, 0)
        return frame_keys(frame) | {
            keys.PACKETS: len(packets),
            keys.TOKENS_PER_PACKET: packets.shape[1],
            keys.LAYOUT_SEED: 0,
            keys.MCS: vector_of(self._mcs),
        }, packets
