"""Detection of impulses by their energy, relative to a level that neither impulses nor the start of a burst can raise.

An impulse (ignition, a switch, a radar pulse) is short: a block of 8 samples far louder than both the samples before
and those after it. A burst that rises from silence is as loud afterwards, one that ends was as loud before; the peaks
of OFDM stay below the ratio (a block of 8 noise-like samples exceeds it once in 10**9).
"""

import numpy as np

from tokcom.kernels import kernel

BLOCK = 8
"""Samples per value of energy."""
GUARD = 2
"""Neighbouring blocks that may be part of the same impulse."""
SIDE = 8
"""Blocks on each side that define the usual level."""
QUIET = 5
"""Number of these blocks that must be quieter by the ratio; the others may hold impulses, too."""
RATIO = 6.0
"""Energy of a block, relative to quiet ones, from which it counts as an impulse."""
PEAK = 8.0
"""Power of a sample, relative to the usual, from which it is blanked; others near an impulse are kept."""
AHEAD = GUARD + SIDE
"""Blocks needed after the one under test."""


class ImpulseFinder:
    """Detector of impulses in a stream of block energies."""

    def __init__(self) -> None:
        self.reset()

    def reset(self) -> None:
        """Forget the stream."""
        self._energies = np.zeros(2 * AHEAD)

    def push(self, energies: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Process the next blocks and return those that hold an impulse.

        Args:
            energies: float64 (n,), energies of the next blocks.

        Returns:
            Indices of the blocks, int64 (k,), counted from the first one pushed now; since blocks are decided `AHEAD`
            blocks late, they may be negative. And the usual power of a sample around each, float64 (k,).
        """
        known = np.concatenate([self._energies, energies])
        self._energies = known[-2 * AHEAD :].copy()
        found, power = np.empty(len(energies), np.int64), np.empty(len(energies))
        count = _find(known, found, power)
        return found[:count] - 2 * AHEAD, power[:count]


@kernel
def _find(energies, found, power):
    count = 0
    sides = np.empty((2, SIDE))
    for b in range(AHEAD, energies.shape[0] - AHEAD):
        limit = energies[b] / RATIO
        before, after = 0, 0
        for i in range(GUARD + 1, AHEAD + 1):
            before += energies[b - i] < limit
            # Stop once too many blocks are loud; nearly always the first three are.
            if i - GUARD - before > SIDE - QUIET:
                break
        if before < QUIET:
            continue
        for i in range(GUARD + 1, AHEAD + 1):
            after += energies[b + i] < limit
        if after < QUIET:
            continue
        for i in range(SIDE):
            sides[0, i], sides[1, i] = energies[b - GUARD - 1 - i], energies[b + GUARD + 1 + i]
        found[count] = b
        power[count] = max(np.sort(sides[0])[QUIET - 1], np.sort(sides[1])[QUIET - 1]) / BLOCK
        count += 1
    return count


def loud_samples(samples: np.ndarray, power: float) -> np.ndarray:
    """Find the samples, complex (n,), that stand out from a usual power; return their indices, int64 (k,)."""
    return np.flatnonzero(samples.real**2 + samples.imag**2 > PEAK * power)
