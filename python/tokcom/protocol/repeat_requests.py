"""Context-aware repeat requests: of a frame's missing packets, those that the receiver cannot predict."""

from collections.abc import Hashable
from threading import Lock
from weakref import WeakSet

import numpy as np

from tokcom.context.prior import Prior
from tokcom.errors import ModelError, ParameterError
from tokcom.frame import TokenFrame
from tokcom.link.assembly import Assembly
from tokcom.packets.layout import PADDING
from tokcom.protocol.repeat_risk import GROUPS, RepeatRisk, group_of

MEMORY = 64
"""Frames over which the share of missing packets is averaged, approximately."""


def packet_doubts(prior: Prior, frame: TokenFrame, positions: np.ndarray, missing: np.ndarray) -> np.ndarray:
    """float64 (n,): expected share of wrong tokens in each missing packet, if they were predicted now.

    Args:
        prior: the receiver's.
        frame: with LOST tokens.
        positions: int (n_packets, tokens_per_packet), which tokens each packet carries.
        missing: int (n,), the missing packets.

    Raises:
        ModelError: the prior does not fit the frame.
    """
    condition = prior.told_with(frame)
    prior.require_fit(frame, condition)
    lost = frame.lost
    logs = prior.predict(frame.tokens[None], lost[None], [condition]).log_probability
    doubt = np.zeros(len(frame.tokens))
    doubt[lost] = 1 - np.exp(logs.max(axis=-1).astype(np.float64))
    places = positions[missing]
    used = places != PADDING
    return np.where(used, doubt[places], 0.0).sum(axis=1) / np.maximum(used.sum(axis=1), 1)


class RepeatPolicy:
    """Says which packets of frames are wanted; any number of threads may ask.

    Args:
        prior: the receiver's.
        risk: the calibration of its doubts.
        alpha: share of a frame's tokens that may be wrong because nobody asked for them, on average over frames.

    Raises:
        ParameterError: alpha is out of its range.
    """

    def __init__(self, prior: Prior, risk: RepeatRisk, alpha: float = 0.1):
        if not 0 < alpha < 1:
            raise ParameterError(f"alpha is {alpha}; it must lie between 0 and 1")
        self.prior, self.risk, self.alpha = prior, risk, alpha
        self._weights, self._noted, self._lock = np.zeros(GROUPS), WeakSet(), Lock()

    def note(self, frame: Hashable, lost_share: float) -> np.ndarray:
        """Record the share of a frame's packets that were lost; frames without loss count as well.

        Args:
            frame: the same object whenever it is the same frame: it counts once, for its packets come later if they
                were requested.
            lost_share: lost packets / packets.

        Returns:
            float64 (GROUPS,): recent frames by their share of lost packets.
        """
        with self._lock:
            if frame not in self._noted:
                self._noted.add(frame)
                self._weights *= 1 - 1 / MEMORY
                if lost_share > 0:
                    self._weights[group_of(lost_share)] += 1
            return self._weights.copy()

    def wanted(self, assembly: Assembly) -> np.ndarray:
        """int (n,): packets of a frame to request; all missing ones if the prior does not fit the frame.

        Args:
            assembly: what has come of the frame.
        """
        missing = assembly.missing
        if not len(missing):
            return missing
        lost_share = len(missing) / len(assembly.positions)
        weights = self.note(assembly, lost_share)
        frame = assembly.frame
        if not isinstance(frame, TokenFrame) or not self.risk.covers(lost_share):
            return missing
        try:
            doubts = packet_doubts(self.prior, frame, assembly.positions, missing)
        except ModelError:
            return missing
        return missing[doubts > self.risk.threshold(self.alpha, weights)]
