"""Propagation paths: echoes and fading, with their exact response."""

from dataclasses import dataclass

import numpy as np

from tokcom.kernels import kernel

WAVES = 64
"""Plane waves per fading path."""
HALF_WIDTH = 32
PHASES = 2048
_OFFSETS = np.arange(PHASES + 1)[:, None] / PHASES - np.arange(1 - HALF_WIDTH, HALF_WIDTH + 1)
_WINDOW = np.i0(9 * np.sqrt(np.maximum(0, 1 - (_OFFSETS / HALF_WIDTH) ** 2))) / np.i0(9)
SINC = np.sinc(_OFFSETS) * _WINDOW
"""Sinc under a Kaiser window, by fraction of a sample, float64 (phases, taps)."""

PROFILES = {
    "EPA": ((0, 30, 70, 90, 110, 190, 410), (0, -1, -2, -3, -8, -17.2, -20.8)),
    "EVA": ((0, 30, 150, 310, 370, 710, 1090, 1730, 2510), (0, -1.5, -1.4, -3.6, -0.6, -9.1, -7, -12, -16.9)),
}  # fmt: skip
"""Delays in ns and mean powers in dB (3GPP TS 36.104, annex B.2)."""


@dataclass(frozen=True)
class Paths:
    """Paths between transmitter and receiver.

    Attributes:
        delays: float64 (n_paths,), delays in samples, at least 0.
        gains: complex128 (n_paths, n_samples), gain at each received sample; (n_paths, 1) for static paths.
    """

    delays: np.ndarray
    gains: np.ndarray

    @classmethod
    def still(cls, delays: np.ndarray, gains: np.ndarray) -> "Paths":
        """Make static paths with gains complex (n_paths,), scaled to unit total power."""
        gains = np.asarray(gains, np.complex128)
        return cls(np.asarray(delays, np.float64), (gains / np.linalg.norm(gains))[:, None])

    @classmethod
    def rayleigh(
        cls, delays: np.ndarray, powers_db: np.ndarray, doppler: float, n_samples: int, rng: np.random.Generator
    ) -> "Paths":
        """Make Rayleigh fading paths of given mean powers, scaled to unit total mean power.

        Args:
            delays: float (n_paths,), delays in samples.
            powers_db: float (n_paths,), mean powers in dB.
            doppler: maximum Doppler shift in cycles per sample.
            n_samples: length of the gains.
            rng: generator of the waves.
        """
        powers = 10 ** (np.asarray(powers_db, np.float64) / 10)
        gains = np.stack([jakes(n_samples, doppler, rng) for _ in powers])
        return cls(np.asarray(delays, np.float64), gains * np.sqrt(powers / powers.sum())[:, None])

    def through(self, samples: np.ndarray) -> np.ndarray:
        """Pass samples (n,), preceded by silence, through the paths, complex128 (n,)."""
        received = np.zeros(len(samples), np.complex128)
        for delay, gain in zip(self.delays, self.gains, strict=True):
            received += gain * delayed(samples, delay)
        return received

    def gains_at(self, times: np.ndarray) -> np.ndarray:
        """Return the gains at samples (n,), complex128 (n_paths, n)."""
        if self.gains.shape[1] == 1:
            return np.broadcast_to(self.gains, (len(self.gains), len(times)))
        return self.gains[:, np.clip(times, 0, self.gains.shape[1] - 1)]


def jakes(n: int, doppler: float, rng: np.random.Generator) -> np.ndarray:
    """Draw the gain of a path of unit mean power with isotropic scattering (W. C. Jakes, 1974), complex128 (n,).

    It is a sum of plane waves of random direction and complex Gaussian amplitude: Rayleigh at every sample, with the
    autocorrelation J0(2 pi doppler lag) averaged over draws.

    Args:
        n: number of samples.
        doppler: maximum shift in cycles per sample.
        rng: generator of the waves.
    """
    turns = 2 * np.pi * doppler * np.cos(rng.uniform(0, 2 * np.pi, WAVES))
    amplitudes = rng.standard_normal((WAVES, 2)) @ np.array([1, 1j]) / np.sqrt(2 * WAVES)
    return _sum_of_waves(n, turns, amplitudes)


@kernel
def _sum_of_waves(n, turns, amplitudes):
    out = np.zeros(n, np.complex128)
    for k in range(len(turns)):
        step = np.exp(1j * turns[k])
        value = amplitudes[k]
        for i in range(n):
            out[i] += value
            value *= step
    return out


def delayed(samples: np.ndarray, delay: float) -> np.ndarray:
    """Delay samples (n,), preceded by silence, by `delay` samples, complex128 (n,)."""
    if float(delay).is_integer():
        return np.concatenate([np.zeros(int(delay)), samples])[: len(samples)].astype(np.complex128)
    return at_times(samples, np.arange(len(samples)) - delay)


def at_times(samples: np.ndarray, times: np.ndarray) -> np.ndarray:
    """Interpolate band-limited samples (n,), surrounded by silence, at times (m,) in samples, complex128 (m,)."""
    return _at_times(samples.astype(np.complex128), np.asarray(times, np.float64), SINC)


@kernel
def _at_times(samples, times, table):
    out = np.zeros(len(times), np.complex128)
    for i in range(len(times)):
        whole = int(np.floor(times[i]))
        place = (times[i] - whole) * PHASES
        row = min(int(place), PHASES - 1)
        share = place - row
        for j in range(2 * HALF_WIDTH):
            k = whole + j - HALF_WIDTH + 1
            if 0 <= k < len(samples):
                out[i] += samples[k] * (table[row, j] * (1 - share) + table[row + 1, j] * share)
    return out
