"""Relations between a known preamble and another candidate: which of them are the same burst."""

from tokcom.phy.detector import BLOCK, Candidate
from tokcom.phy.profile import Profile
from tokcom.phy.synchronization import Synchronization

SAME_PREAMBLE = 32
"""Distance in samples within which two long trainings are paths of one."""
SIDELOBE = 0.7
"""Relative metric below which a second preamble within the span of the first is its sidelobe."""


def explains(known: Synchronization, candidate: Candidate, sought: Profile) -> bool:
    """Tell whether a candidate of the long detector is the shorter preamble of a burst with a decoded header."""
    end = known.long_start - known.profile.long_guard
    return known.profile.window < sought.window and candidate.end - sought.window < end <= candidate.end + BLOCK


def overlaps(known: Synchronization, long_start: int, sought: Profile) -> bool:
    """Tell whether a known preamble overlaps the long training that begins at `long_start`."""
    first = known.long_start - known.profile.long_start
    stop = long_start + sought.preamble_length - sought.long_start
    return first < stop and long_start < first + known.profile.preamble_length


def is_edge(candidate: Candidate, long_start: int, known: Synchronization) -> bool:
    """Tell whether a candidate is the edge of a known preamble: a long training there would be its sidelobe."""
    near = abs(long_start - known.long_start) < known.profile.preamble_length
    return near and not candidate.tonal and candidate.metric < SIDELOBE * known.metric


def is_sidelobe(sync: Synchronization, known: Synchronization) -> bool:
    """Tell whether a preamble is merely a sidelobe, in the detector, of a known one."""
    apart = sync.long_start - known.long_start
    span = known.profile.preamble_length
    return abs(apart) < SAME_PREAMBLE or (abs(apart) < span and sync.metric < SIDELOBE * known.metric)
