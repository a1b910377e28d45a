"""Position of a burst in a stream of samples."""

from dataclasses import dataclass

from tokcom.phy.profile import Profile


@dataclass(frozen=True)
class Synchronization:
    """Position of a burst.

    Attributes:
        profile: profile of its preamble.
        long_start: index of the first sample of the first long symbol's window.
        frequency: offset in rad/sample.
        metric: metric of the long training, 0 to 1: its share of the energy.
    """

    profile: Profile
    long_start: int
    frequency: float
    metric: float
