"""All impairments at once, in successive stretches of an unbounded stream, for long runs."""

import numpy as np

from tokcom_lab.air import impairments
from tokcom_lab.air.paths import Paths

WALKING_PACE = 2e-5
"""Maximum Doppler shift in cycles per sample: 5 Hz at 250 kS/s, 0.6 m/s at 2.45 GHz."""
FARTHEST_ECHO = 16
LATE = 64
"""Largest delay of a path in samples."""
IMPULSES = (5e-4, 10, 100.0)
"""Impulses per sample, their length in samples, and their power relative to that of a burst."""
BAND = 2.55
"""Frequency of the outermost carriers in rad/sample."""
TONE_SHARE, LOSS_SHARE, COLLISION_SHARE = 0.25, 0.1, 0.1
"""Shares of the stretches with a tone, with samples lost silently, and with a collision."""
SIR_DB = (0.0, 15.0)
LOST = (2, 300)


class Everything:
    """Hostile channel for a stream, which changes from stretch to stretch.

    Each stretch has an echo or two fading paths at walking pace, and impulses; some have a tone from the middle on,
    lack samples, or collide with the previous stretch at equal power.

    Args:
        seed: seed of everything.
    """

    def __init__(self, seed: int):
        self._rng = np.random.default_rng(seed)
        self._tail = np.zeros(LATE, np.complex128)
        self._before = np.zeros(0, np.complex64)

    def __call__(self, samples: np.ndarray) -> np.ndarray:
        """Pass samples (n,) through the channel, complex64; fewer are returned if some are lost."""
        rng, n = self._rng, len(samples)
        out = self._paths(n + LATE).through(np.pad(samples, (0, LATE)))
        out[:LATE] += self._tail[: n + LATE]
        out, self._tail = out[:n], out[n:]
        out = out + impairments.noise(n, impairments.impulse_power(n, *IMPULSES, rng), rng)
        if rng.random() < COLLISION_SHARE:
            start = int(rng.integers(n))
            out = impairments.with_burst(out, self._before[: n - start], start)
        if rng.random() < TONE_SHARE:
            power = 10 ** (-rng.uniform(*SIR_DB) / 10)
            out = out + impairments.tone(n, power, rng.uniform(-BAND, BAND), rng.uniform(0, 2 * np.pi), n // 2)
        if rng.random() < LOSS_SHARE:
            count = int(rng.choice(LOST))
            out = impairments.without(out, int(rng.integers(max(1, n - count))), count)
        self._before = samples
        return out.astype(np.complex64)

    def _paths(self, n: int) -> Paths:
        if self._rng.random() < 0.5:
            echo = 10 ** (-3 / 20) * np.exp(2j * np.pi * self._rng.random())
            return Paths.still([0, self._rng.integers(FARTHEST_ECHO + 1)], [1, echo])
        return Paths.rayleigh([0, 4], [0, -3], WALKING_PACE, n, self._rng)
