"""Rayleigh and Rician fading with the classical Doppler spectrum (Clarke's model, often named after Jakes)."""

import math

import numpy as np

from tokcom.kernels import kernel

WAVES = 32
"""Plane waves summed to one path's gain."""
LARGEST_TURN = 0.06
"""Radians that a wave's phase may turn between points joined by a straight line: an error of -67 dB at most."""
LONGEST_INTERVAL = 1024
LOS_DOPPLER = 0.7
"""Doppler shift of the line of sight, relative to the largest (3GPP TR 38.901, 7.7.2)."""


def rician_share(rician_k_db: float) -> float:
    """Share of the line of sight in a path's power, K / (K + 1); 0 for a K of -inf dB."""
    return 1 / (1 + 10 ** (-rician_k_db / 10)) if rician_k_db > -300 else 0.0


def draw_gains(powers: np.ndarray, rician_k_db: float, rng: np.random.Generator) -> np.ndarray:
    """Gains of paths at one instant: complex Gaussian, the first path with a line of sight of random phase.

    Args:
        powers: mean powers, linear, (paths,).
        rician_k_db: K-factor of the first path in dB; -inf for none.
        rng: source of the draws.

    Returns:
        complex128 array (paths,).
    """
    share = np.zeros(len(powers))
    share[0] = rician_share(rician_k_db)
    scattered = rng.standard_normal((len(powers), 2)) @ [1, 1j] * np.sqrt(0.5)
    phase = np.exp(2j * np.pi * rng.random())
    return np.sqrt(powers) * (np.sqrt(1 - share) * scattered + np.sqrt(share) * phase)


class FadingGains:
    """Gains of paths that fade, at every `interval`-th sample.

    A gain is a sum of WAVES plane waves of equal power and random phase. Each comes from an angle drawn from a sector
    of its own, so the mean autocorrelation is exactly J0(2 pi f t), the classical spectrum's (TS 36.104, B.2).

    Args:
        powers: mean powers, linear, (paths,).
        doppler: largest Doppler shift in cycles per sample, above 0.
        rician_k_db: K-factor of the first path in dB; -inf for none.
        rng: source of the angles and phases.
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
        """complex128 gains (paths,), one interval after those before."""
        gains = np.empty(len(self.phasors), np.complex128)
        _advance(self.phasors, self.steps, self.amplitudes, gains)
        return gains


class FadingFilter:
    """FIR filter for a stream, made of paths that fade. Its taps run in straight lines between points of the gains.

    Args:
        gains: of the paths.
        offsets: of the taps in samples, int64 (taps,).
        filters: what each path adds to the taps, float64 (paths, taps).
    """

    def __init__(self, gains: FadingGains, offsets: np.ndarray, filters: np.ndarray):
        self._gains, self._offsets, self._filters = gains, offsets, filters
        self._place = gains.interval
        self._starts, self._slopes = np.zeros(len(offsets), np.complex64), np.zeros(len(offsets), np.complex64)
        self._ends = (gains.next() @ filters).astype(np.complex64)

    def process(self, padded: np.ndarray, out: np.ndarray) -> None:
        """Adds what comes out to `out`.

        Args:
            padded: complex64 array (m,): the last samples before, as many as the largest offset, and the next n.
            out: complex64 array (n,).
        """
        gains, memory = self._gains, len(padded) - len(out)
        self._place = _fade(
            padded, memory, self._offsets, self._filters, gains.interval, self._place, self._starts, self._ends,
            self._slopes, gains.phasors, gains.steps, gains.amplitudes, out,
        )  # fmt: skip


@kernel
def _advance(phasors, steps, amplitudes, gains):
    """Writes the gains, (paths,), and turns the waves on by one interval."""
    for path in range(phasors.shape[0]):
        gain = 0j
        for wave in range(phasors.shape[1]):
            phasor = phasors[path, wave]
            gain += amplitudes[path, wave] * phasor
            phasor *= steps[path, wave]
            # One step of Newton's method back to magnitude 1.
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
    """Taps run from starts to ends within an interval; returns the place within it."""
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
