"""Where in a stream of samples a burst is."""

from dataclasses import dataclass

from tokcom.phy.profile import Profile


@dataclass(frozen=True)
class Synchronization:
    """Where a burst is.

    Attributes:
        profile: what its preamble says.
        long_start: index of the first sample of the first long symbol's window.
        frequency: offset in rad/sample.
        metric: of the long training, 0 to 1: the share of the energy that looks like it.
    """

    profile: Profile
    long_start: int
    frequency: float
    metric: float
