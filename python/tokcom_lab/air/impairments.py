"""Impairments other than echoes: noise, interference, and faults of radios, in NumPy alone."""

import numpy as np

from tokcom_lab.air.paths import at_times


def noise(n: int, variance: float | np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Draw white Gaussian noise of one power, or of one power per sample (n,), complex128 (n,)."""
    return np.sqrt(np.asarray(variance) / 2) * (rng.standard_normal((n, 2)) @ np.array([1, 1j]))


def tone(n: int, power: float, frequency: float, phase: float = 0.0, start: int = 0) -> np.ndarray:
    """Make a continuous wave from sample `start` on, complex128 (n,); frequency in rad/sample."""
    wave = np.sqrt(power) * np.exp(1j * (frequency * np.arange(n) + phase))
    wave[:start] = 0
    return wave


def impulse_power(n: int, rate: float, length: int, power: float, rng: np.random.Generator) -> np.ndarray:
    """Draw impulses and return their power at each sample, float64 (n,), for `noise`.

    Args:
        n: number of samples.
        rate: mean number of impulses per sample (a Poisson process).
        length: length of an impulse in samples.
        power: power of each; where two overlap, powers add.
        rng: generator of their positions.
    """
    out = np.zeros(n)
    for start in rng.integers(0, n, rng.poisson(rate * n)):
        out[start : start + length] += power
    return out


def jammed(n: int, starts: np.ndarray, length: int, share: float, power: float, rng: np.random.Generator) -> np.ndarray:
    """Jam a share of the stretches of `length` samples from each of `starts`; return the noise power, float64 (n,)."""
    out = np.zeros(n)
    for start in rng.permutation(starts)[: round(share * len(starts))]:
        out[start : start + length] = power
    return out


def in_band(samples: np.ndarray, highest: float) -> np.ndarray:
    """Limit white noise (n,) to +-`highest` rad/sample, scaled to its former power, complex128 (n,)."""
    spectrum = np.fft.fft(samples)
    outside = np.abs(2 * np.pi * np.fft.fftfreq(len(samples))) > highest
    spectrum[outside] = 0
    return np.fft.ifft(spectrum) / np.sqrt(1 - outside.mean())


def without(samples: np.ndarray, start: int, count: int) -> np.ndarray:
    """Remove `count` samples at `start`, as lost by a host."""
    return np.delete(samples, slice(start, start + count))


def with_step(samples: np.ndarray, start: int, gain_db: float) -> np.ndarray:
    """Change the gain from `start` on."""
    out = samples.copy()
    out[start:] *= 10 ** (gain_db / 20)
    return out


def with_silence(samples: np.ndarray, start: int) -> np.ndarray:
    """Silence the samples from `start` on, as in an underflow of the transmitter."""
    out = samples.copy()
    out[start:] = 0
    return out


def with_burst(samples: np.ndarray, burst: np.ndarray, start: int) -> np.ndarray:
    """Add a burst from `start` on, extending the samples if needed."""
    out = np.zeros(max(len(samples), start + len(burst)), np.complex128)
    out[: len(samples)] = samples
    out[start : start + len(burst)] += burst
    return out


def with_frequency_offset(samples: np.ndarray, offset: float, phase: float = 0.0) -> np.ndarray:
    """Rotate samples by `offset` rad/sample."""
    return samples * np.exp(1j * (offset * np.arange(len(samples)) + phase))


def with_clock_offset(samples: np.ndarray, ppm: float, delay: float = 0.0) -> np.ndarray:
    """Resample by a clock that is slow by `ppm` parts per million and starts `delay` samples late, so that the signal
    appears early."""
    step = 1 + ppm * 1e-6
    return at_times(samples, delay + np.arange(int(len(samples) / step) - 2) * step)
