"""Encoding of the packets' MCS in a header: one for all, two groups, or packet by packet."""

import numpy as np

from tokcom.errors import HeaderError

MCS_COUNT = 15
MCS_NOT_SENT = 15
"""MCS of a packet that is not sent; in the base of a header, a reference to the MCS map."""
LIGHTER = (1, 2, 3, 4, 5, 6, 7, 8, 10, 10, 11, 12, 13, 14, MCS_NOT_SENT)
"""MCS of the second group by that of the first."""
SHARES = 1 << 5
"""Resolution of the first group's share of the packets."""
LONGEST_RUN = 256


def two_groups(first: int, share: int, n_packets: int) -> np.ndarray:
    """Compute the MCS of every packet from a header's base, uint8 (n_packets,).

    Args:
        first: MCS of the first group, 0 to MCS_COUNT - 1.
        share: its share of the packets in units of 1 / SHARES, rounded down to whole packets; 0 if all have that MCS.
        n_packets: packets of the frame.
    """
    mcs = np.full(n_packets, first, np.uint8)
    if share:
        mcs[n_packets * share // SHARES :] = LIGHTER[first]
    return mcs


def share_of(mcs: np.ndarray) -> int | None:
    """Find the smallest share with which `two_groups` gives the MCS, uint8 (n_packets,); None if there is none."""
    first, n_packets = int(mcs[0]), len(mcs)
    if first == MCS_NOT_SENT:
        return None
    other = mcs != first
    length = int(other.argmax())
    if not other[length]:
        return 0
    share = -(-length * SHARES // n_packets)
    fits = share < SHARES and n_packets * share // SHARES == length and (mcs[length:] == LIGHTER[first]).all()
    return share if fits else None


def map_of(mcs: np.ndarray) -> bytes:
    """Encode the MCS of packets, uint8 (n_packets,), as a map: runs if they take fewer bytes, else one nibble per
    packet."""
    starts = np.flatnonzero(np.r_[True, mcs[1:] != mcs[:-1]])
    runs, by_packet = [], -(-len(mcs) // 2)
    lengths = np.diff(np.r_[starts, len(mcs)]).tolist()
    for value, length in zip(mcs[starts[:-1]].tolist(), lengths, strict=False):
        for first in range(0, length, LONGEST_RUN):
            run = min(LONGEST_RUN, length - first) - 1
            runs += [value, run >> 4, run & 15]
    runs.append(int(mcs[-1]))
    nibbles = runs if -(-len(runs) // 2) < by_packet else mcs.tolist()
    nibbles = nibbles + [0] * (len(nibbles) % 2)
    return bytes(16 * high + low for high, low in zip(nibbles[::2], nibbles[1::2], strict=True))


def mcs_of(value: bytes, n_packets: int) -> np.ndarray:
    """Decode a map to MCS, uint8 (n_packets,).

    Raises:
        HeaderError: the map is not one of n_packets packets.
    """
    nibbles = [part for byte in value for part in (byte >> 4, byte & 15)]
    if len(value) == -(-n_packets // 2):
        return np.array(nibbles[:n_packets], np.uint8)
    # Three nibbles per run, and one for all remaining packets.
    runs, spare = divmod(len(nibbles) - 1, 3)
    told = [(nibbles[3 * i], 16 * nibbles[3 * i + 1] + nibbles[3 * i + 2] + 1) for i in range(max(runs, 0))]
    rest = n_packets - sum(length for _, length in told)
    if spare > 1 or runs < 0 or rest < 1:
        raise HeaderError("contents", f"an MCS map of {len(value)} bytes does not fit {n_packets} packets")
    told.append((nibbles[3 * runs], rest))
    return np.repeat(np.array([run[0] for run in told], np.uint8), [run[1] for run in told])
