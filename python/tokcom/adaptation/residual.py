"""Prediction of the tokens that are still wrong after context decoding, before anything is sent."""

from dataclasses import dataclass

import numpy as np

from tokcom.errors import ParameterError
from tokcom.mcs import USUAL_BITS, mcs_table

NOT_SENT = len(mcs_table())
"""Column of packets that are not sent."""


@dataclass(frozen=True)
class ResidualModel:
    """Model of the share of wrong tokens in a packet, from Es/N0, MCS and bits of predictability.

    If nothing of a packet is received, a token is wrong with probability *guess*, a logistic function of its bits. With
    Es/N0 that probability falls along a logistic curve, whose midpoint is higher for surprising tokens, both in the
    packet itself and in the frame around it, which is its context. A small share falls more slowly: frames whose
    context fails, and packets that are accepted although wrong.

    Args:
        middle_db: (n_mcs,), Es/N0 in dB at the midpoint of the curve, for tokens of 0 bits.
        slope: (n_mcs,), slope of the logistic curve, per dB.
        packet_db: shift of the midpoint in dB per bit of the packet's mean bits per token.
        frame_db: the same for the mean bits per token of the whole frame.
        guess: constant and slope per bit, in log-odds, for a token of which nothing is received.
        tail: share that falls more slowly, and its slope relative to `slope`.
        command: command that fitted the model.
        following: the model for frames that the receiver predicts from the one before; None: the same.

    Raises:
        ParameterError: the table does not have one row per MCS.
    """

    middle_db: tuple[float, ...]
    slope: tuple[float, ...]
    packet_db: float
    frame_db: float
    guess: tuple[float, float]
    tail: tuple[float, float] = (0.0, 1.0)
    command: str = ""
    following: "ResidualModel | None" = None

    def __post_init__(self) -> None:
        for name in ("middle_db", "slope"):
            if len(getattr(self, name)) != NOT_SENT:
                raise ParameterError(f"{name} has {len(getattr(self, name))} values; there are {NOT_SENT} MCS")
        for name in ("middle_db", "slope", "packet_db", "frame_db", "guess", "tail"):
            if not np.isfinite(getattr(self, name)).all():
                raise ParameterError(f"{name} is {getattr(self, name)}; it must be finite")

    def token_error_rates(
        self, packet_bits: np.ndarray, frame_bits: float, esn0_db: np.ndarray, payload_bits: int = USUAL_BITS
    ) -> np.ndarray:
        """Predict the share of wrong tokens.

        Args:
            packet_bits: float (..., n_packets), mean bits per token of each packet.
            frame_bits: mean bits per token of the frame.
            esn0_db: float (n_mcs,), effective Es/N0 for each MCS.
            payload_bits: bits of tokens per packet. The model was fitted at USUAL_BITS; for other sizes the curves are
                shifted as the thresholds of the Viterbi decoder are.

        Returns:
            float64 (..., n_packets, n_mcs + 1); the last column is for packets that are not sent.
        """
        bits = np.asarray(packet_bits, float)[..., None]
        middle = np.array(self.middle_db) + self.frame_db * frame_bits + self.packet_db * bits
        guess = _logistic(self.guess[0] + self.guess[1] * bits)
        larger = [row.thresholds_db(payload_bits)[0] - row.per10_esn0_db for row in mcs_table()]
        below = np.array(self.slope) * (middle + larger - np.asarray(esn0_db, float))
        share, slower = self.tail
        sent = guess * ((1 - share) * _logistic(below) + share * _logistic(slower * below))
        return np.concatenate([sent, guess], axis=-1)


def _logistic(value: np.ndarray) -> np.ndarray:
    return 1 / (1 + np.exp(-np.clip(value, -700, 700)))
