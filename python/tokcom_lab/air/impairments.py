"""What an air interface meets beside echoes: noise, foreign signals, and faults of radios. NumPy alone."""

import numpy as np

from tokcom_lab.air.paths import at_times


def noise(n: int, variance: float | np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """complex128 (n,): white Gaussian noise of a power, or of a power (n,) of each sample."""
    return np.sqrt(np.asarray(variance) / 2) * (rng.standard_normal((n, 2)) @ np.array([1, 1j]))


def tone(n: int, power: float, frequency: float, phase: float = 0.0, start: int = 0) -> np.ndarray:
    """complex128 (n,): a continuous wave of a power, from sample `start` on; frequency in rad/sample."""
    wave = np.sqrt(power) * np.exp(1j * (frequency * np.arange(n) + phase))
    wave[:start] = 0
    return wave


def impulse_power(n: int, rate: float, length: int, power: float, rng: np.random.Generator) -> np.ndarray:
    """float64 (n,): power of impulses at each sample; `noise` makes them heard.

    Args:
        n: samples.
        rate: impulses a sample on average; they come independently of each other (Poisson).
        length: of an impulse in samples.
        power: of each; where two meet, powers add.
        rng: draws where they are.
    """
    out = np.zeros(n)
    for start in rng.integers(0, n, rng.poisson(rate * n)):
        out[start : start + length] += power
    return out


def jammed(n: int, starts: np.ndarray, length: int, share: float, power: float, rng: np.random.Generator) -> np.ndarray:
    """float64 (n,): power of noise over a share of the stretches of `length` samples from each of `starts`."""
    out = np.zeros(n)
    for start in rng.permutation(starts)[: round(share * len(starts))]:
        out[start : start + length] = power
    return out


def in_band(samples: np.ndarray, highest: float) -> np.ndarray:
    """complex128 (n,): the part of white noise (n,) within +-`highest` rad/sample, scaled to the power of the whole."""
    spectrum = np.fft.fft(samples)
    outside = np.abs(2 * np.pi * np.fft.fftfreq(len(samples))) > highest
    spectrum[outside] = 0
    return np.fft.ifft(spectrum) / np.sqrt(1 - outside.mean())


def without(samples: np.ndarray, start: int, count: int) -> np.ndarray:
    """The samples as a host delivers them that lost `count` of them at `start`."""
    return np.delete(samples, slice(start, start + count))


def with_step(samples: np.ndarray, start: int, gain_db: float) -> np.ndarray:
    """The samples with another gain from `start` on."""
    out = samples.copy()
    out[start:] *= 10 ** (gain_db / 20)
    return out


def with_silence(samples: np.ndarray, start: int) -> np.ndarray:
    """The samples of a transmitter that runs dry at `start`."""
    out = samples.copy()
    out[start:] = 0
    return out


def with_burst(samples: np.ndarray, burst: np.ndarray, start: int) -> np.ndarray:
    """The samples with a burst added from `start` on; as long as both need."""
    out = np.zeros(max(len(samples), start + len(burst)), np.complex128)
    out[: len(samples)] = samples
    out[start : start + len(burst)] += burst
    return out


def with_frequency_offset(samples: np.ndarray, offset: float, phase: float = 0.0) -> np.ndarray:
    """The samples turned by `offset` rad/sample."""
    return samples * np.exp(1j * (offset * np.arange(len(samples)) + phase))


def with_clock_offset(samples: np.ndarray, ppm: float, delay: float = 0.0) -> np.ndarray:
    """The samples by a clock that is slow by `ppm` parts per million and starts `delay` samples late: what it takes
    comes early."""
    step = 1 + ppm * 1e-6
    return at_times(samples, delay + np.arange(int(len(samples) / step) - 2) * step)
