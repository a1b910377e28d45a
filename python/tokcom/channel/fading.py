"""Rayleigh and Rician fading with the classical Doppler spectrum (Clarke's model, often named after Jakes)."""

import math

import numpy as np

from tokcom.kernels import kernel

WAVES = 32
"""Plane waves summed per path."""
LARGEST_TURN = 0.06
"""Largest rotation of a wave's phase, in radians, between linearly interpolated points: an error of at most -67 dB."""
LONGEST_INTERVAL = 1024
LOS_DOPPLER = 0.7
"""Doppler shift of the line of sight, relative to the maximum (3GPP TR 38.901, 7.7.2)."""


def rician_share(rician_k_db: float) -> float:
    """Compute the line of sight's share of a path's power, K / (K + 1); 0 for a K of -inf dB."""
    return 1 / (1 + 10 ** (-rician_k_db / 10)) if rician_k_db > -300 else 0.0


def draw_gains(powers: np.ndarray, rician_k_db: float, rng: np.random.Generator) -> np.ndarray:
    """Draw gains of paths at one instant: complex Gaussian, the first path with a line of sight of random phase.

    Args:
        powers: mean powers, linear, (paths,).
        rician_k_db: K-factor of the first path in dB; -inf for no line of sight.
        rng: generator of the draws.

    Returns:
        complex128 array (paths,).
    """
    share = np.zeros(len(powers))
    share[0] = rician_share(rician_k_db)
    scattered = rng.standard_normal((len(powers), 2)) @ [1, 1j] * np.sqrt(0.5)
    phase = np.exp(2j * np.pi * rng.random())
    return np.sqrt(powers) * (np.sqrt(1 - share) * scattered + np.sqrt(share) * phase)


class FadingGains:
    """Gains of fading paths, one value every `interval` samples.

    A gain is a sum of WAVES plane waves of equal power and random phase. Each arrives from an angle drawn within its
    own sector, so the mean autocorrelation is exactly J0(2 pi f t), that of the classical spectrum (TS 36.104, B.2).

    Args:
        powers: mean powers, linear, (paths,).
        doppler: maximum Doppler shift in cycles per sample, above 0.
        rician_k_db: K-factor of the first path in dB; -inf for no line of sight.
        rng: generator of the angles and phases.
    """

    def __init__(self, powers: np.ndarray, doppler: float, rician_k_db: float, rng: np.random.Generator):
        paths = len(powers)
        self.interval = int(np.clip(math.floor(LARGEST_TURN / (2 * np.pi * doppler)), 1, LONGEST_INTERVAL))
        angles = 2 * np.pi * (np.arange(WAVES) + rng.random((paths, WAVES))) / WAVES
        shifts = np.concatenate([np.cos(angles), np.full((paths, 1), LOS_DOPPLER)], axis=1)
        share = np.zeros((paths, 1))
        share[0] = rician_share(rician_k_db)
        power = np.concatenate([np.repeat((1 - share) / WAVES, WAVES, axis=1), share], axis=1)
        self.amplitudes = np.sqrt(np.asarray(powers)[:, None] * power)
        self.phasors = np.exp(2j * np.pi * rng.random(shifts.shape))
        self.steps = np.exp(2j * np.pi * doppler * self.interval * shifts)

    def next(self) -> np.ndarray:
        """Advance by one interval and return the gains, complex128 (paths,)."""
        gains = np.empty(len(self.phasors), np.complex128)
        _advance(self.phasors, self.steps, self.amplitudes, gains)
        return gains


class FadingFilter:
    """FIR filter with fading paths for a stream; its taps are interpolated linearly between values of the gains.

    Args:
        gains: gains of the paths.
        offsets: offsets of the taps in samples, int64 (taps,).
        filters: contribution of each path to the taps, float64 (paths, taps).
    """

    def __init__(self, gains: FadingGains, offsets: np.ndarray, filters: np.ndarray):
        self._gains, self._offsets, self._filters = gains, offsets, filters
        self._place = gains.interval
        self._starts, self._slopes = np.zeros(len(offsets), np.complex64), np.zeros(len(offsets), np.complex64)
        self._ends = (gains.next() @ filters).astype(np.complex64)

    def process(self, padded: np.ndarray, out: np.ndarray) -> None:
        """Filter samples and add the result to `out`.

        Args:
            padded: complex64 array (m,): as many earlier samples as the largest offset, then the next n samples.
            out: complex64 array (n,).
        """
        gains, memory = self._gains, len(padded) - len(out)
        self._place = _fade(
            padded, memory, self._offsets, self._filters, gains.interval, self._place, self._starts, self._ends,
            self._slopes, gains.phasors, gains.steps, gains.amplitudes, out,
        )  # fmt: skip


@kernel
def _advance(phasors, steps, amplitudes, gains):
    """Write the gains, (paths,), and advance the waves by one interval."""
    for path in range(phasors.shape[0]):
        gain = 0j
        for wave in range(phasors.shape[1]):
            phasor = phasors[path, wave]
            gain += amplitudes[path, wave] * phasor
            phasor *= steps[path, wave]
            # Renormalise to magnitude 1 by one step of Newton's method.
            phasors[path, wave] = phasor * (1.5 - 0.5 * (phasor.real**2 + phasor.imag**2))
        gains[path] = gain


@kernel
def _next_point(phasors, steps, amplitudes, filters, taps):
    gains = np.empty(phasors.shape[0], np.complex128)
    _advance(phasors, steps, amplitudes, gains)
    for k in range(filters.shape[1]):
        tap = 0j
        for path in range(filters.shape[0]):
            tap += gains[path] * filters[path, k]
        taps[k] = tap


@kernel
def _fade(
    padded, memory, offsets, filters, interval, place, starts, ends, slopes, phasors, steps, amplitudes, out
):  # fmt: skip
    """Filter with taps that run linearly from starts to ends within an interval; return the position within it."""
    position = 0
    while position < out.shape[0]:
        if place == interval:
            starts[:] = ends
            _next_point(phasors, steps, amplitudes, filters, ends)
            for k in range(offsets.shape[0]):
                slopes[k] = (ends[k] - starts[k]) / np.float32(interval)
            place = 0
        run = min(interval - place, out.shape[0] - position)
        for k in range(offsets.shape[0]):
            first = memory - offsets[k] + position
            for i in range(run):
                tap = starts[k] + slopes[k] * np.float32(place + i)
                out[position + i] += tap * padded[first + i]
        position += run
        place += run
    return place
