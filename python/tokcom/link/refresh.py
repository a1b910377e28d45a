"""Refresh of tokens of videos that a receiver would otherwise predict from frame to frame.

A token that is not sent is predicted from the frame before, which may have been received wrong: the error then stays
until the token is sent. Sending each token at least once in a number of frames bounds how long.
"""

import numpy as np

from tokcom.errors import ParameterError
from tokcom.frame import TokenFrame
from tokcom.packets.layout import PADDING
from tokcom.packets.mcs_map import MCS_NOT_SENT
from tokcom.tokenizers.groups import frames_of


class TokenRefresh:
    """Memory of how many successive frames of a stream have left out the token of each place.

    Args:
        period: frames in each of whose runs every token is sent at least once, at least 1; damage to a frame is then
            over `period` frames later.

    Raises:
        ParameterError: `period` is below 1.
    """

    def __init__(self, period: int):
        if period < 1:
            raise ParameterError(f"refresh is {period}; it must be at least 1 frame")
        self.period = period
        self._left_out = np.zeros(0, np.int64)

    def due(self, frame: TokenFrame, positions: np.ndarray, mcs: np.ndarray) -> np.ndarray:
        """Find the packets of a frame or group that must be sent although they would be left out.

        Args:
            frame: the next one of the stream.
            positions: int (n_packets, tokens_per_packet), of its packets.
            mcs: uint8 (n_packets,), the MCS of each, or MCS_NOT_SENT.

        Returns:
            bool (n_packets,).
        """
        return self._after(frame, positions, mcs)[0]

    def keep(self, frame: TokenFrame, positions: np.ndarray, mcs: np.ndarray) -> None:
        """Remember what is sent of a frame; arguments as for `due`."""
        self._left_out = self._after(frame, positions, mcs)[1]

    def _after(self, frame: TokenFrame, positions: np.ndarray, mcs: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Return the packets that are due, and how many frames have left out each place's token once they are sent."""
        packet_of, (rows, slots) = np.empty(len(frame.tokens), np.int64), np.nonzero(positions != PADDING)
        packet_of[positions[rows, slots]] = rows
        due, sent = np.zeros(len(positions), bool), mcs != MCS_NOT_SENT
        by_frame = packet_of.reshape(len(frames_of(frame)), -1)
        # Errors do not reach a frame that stands alone from those before it.
        known = frame.follows and len(self._left_out) == by_frame.shape[1]
        left_out = self._left_out if known else np.zeros(by_frame.shape[1], np.int64)
        for packets in by_frame:
            late = ~sent[packets] & (left_out + 1 >= self.period)
            due[packets[late]] = True
            sent = sent | due
            left_out = np.where(sent[packets], 0, left_out + 1)
        return due, left_out
