"""Burst that the search has cut out of the stream."""

from dataclasses import dataclass

import numpy as np

from tokcom.packets.header import BurstHeader
from tokcom.phy.synchronization import Synchronization


@dataclass(frozen=True)
class FoundBurst:
    """Burst cut out of the stream.

    Attributes:
        samples: complex64, from a little before the preamble to the burst's end.
        sync: position of the burst in these samples.
        position: index, in the stream, of the burst's first sample.
        header: header of the burst; None if still to be decoded.
        tones: number of tones removed, each counted once per thousand samples.
        clipped: share of the samples at the receiver's limits.
    """

    samples: np.ndarray
    sync: Synchronization
    position: int
    header: BurstHeader | None = None
    tones: int = 0
    clipped: float = 0.0

    @property
    def length(self) -> int:
        """Length of the burst itself in samples."""
        return len(self.samples) - (self.sync.long_start - self.sync.profile.long_start)
