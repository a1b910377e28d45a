"""Impulses: found by their energy, against a level that neither they nor a burst's beginning can move.

An impulse (ignition, a switch, a radar's pulse) is short: a block of 8 samples that is far louder than what lies before
it and also than what lies behind it. A burst that rises from silence is as loud behind, one that ends was as loud
before; the peaks of OFDM stay below the ratio (a block of 8 noise-like samples exceeds it once in 10**9).
"""

import numpy as np

from tokcom.kernels import kernel

BLOCK = 8
"""Samples whose energy is taken together."""
GUARD = 2
"""Blocks beside the one in question that may be part of the same impulse."""
SIDE = 8
"""Blocks on each side that say what level is usual."""
QUIET = 5
"""Blocks of these that must be quieter by the ratio: others may hold an impulse, too."""
RATIO = 6.0
"""Energy of a block, relative to quiet ones, from which it holds an impulse."""
PEAK = 8.0
"""Power of a sample, relative to the usual, from which it is blanked: those near an impulse that are not part of it
stay."""
AHEAD = GUARD + SIDE
"""Blocks that must be known behind the one in question."""


class ImpulseFinder:
    """Finds impulses in a stream of block energies."""

    def __init__(self) -> None:
        self.reset()

    def reset(self) -> None:
        """Forget the stream."""
        self._energies = np.zeros(2 * AHEAD)

    def push(self, energies: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Blocks that hold an impulse.

        Args:
            energies: float64 (n,), of the next blocks.

        Returns:
            int64 (k,): which blocks do, counted from the first one pushed now; those that are decided by now end
            `AHEAD` blocks before the last one, so that they may be negative; and float64 (k,): the usual power of a
            sample beside each.
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
            # Two loud blocks more than may be are enough to know; nearly always the first three are.
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
    """int64 (k,): places of the samples, complex (n,), that stand out of a usual power."""
    return np.flatnonzero(samples.real**2 + samples.imag**2 > PEAK * power)
