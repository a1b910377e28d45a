"""Narrow-band interference (carriers, hum, spurs): hidden from the detector and removed from bursts.

A tone can be predicted from the sample 4 samples earlier, a short training cannot: its twelve lines nearly cancel in
the correlation at 4 samples, which is below 0.58 of its energy for two paths at any distance. In the presence of a tone
the detector therefore works on the residual of the one-tap predictor (linear prediction: Makhoul, Proc. IEEE 63(4),
1975).

In a burst, a tone is a line far above its neighbours in the spectrum of about a thousand samples. Its best fit is
subtracted, which removes a thousandth of the signal.
"""

from functools import lru_cache

import numpy as np

from tokcom.kernels import kernel
from tokcom.scientific import fft

LAG = 4
"""Lag in samples of the prediction of a tone."""
WINDOWS = (18, 78)
"""Blocks over which the prediction is averaged: the first window for the onset of strong tones, the second for weak
ones."""
SHARES = (0.3, 0.12)
"""Correlation, relative to the energy, from which each window indicates a tone: noise reaches it once in about 10**5
blocks."""
LIKENESS = 0.45
"""Squared correlation at 4 samples, relative to that at 16, from which a periodic signal counts as a tone: for a short
training it is near 1/36, and over two paths at most a third."""
BOLDNESS = 1.25
"""Factor on the prediction of least error: the residual of a tone matters more than slightly more noise."""
RENEWAL = 256
"""Blocks after which running sums are recomputed, so that rounding errors of a loud moment do not persist."""
LEFT_OVER = 1e-4
"""Share of the energy that is never considered predictable: the residual of a steady tone is rounding, which may be
periodic."""
SEGMENT = 1024
"""Approximate number of samples over which a tone is assumed steady."""
MAX_TONES = 4
"""Largest number of tones subtracted per segment."""
NEAR, FAR = 5, 20
"""Range of bins beside a line with which it is compared, on the stronger side."""


class TonePredictor:
    """One-tap predictor of a stream from the sample 4 samples earlier."""

    def __init__(self) -> None:
        self.reset()

    def reset(self) -> None:
        """Forget the stream."""
        self._sums = np.zeros((5, max(WINDOWS)))
        self._state = np.zeros((len(WINDOWS), 6))

    def push(self, sums: np.ndarray) -> np.ndarray:
        """Compute the prediction coefficients of the next blocks.

        Args:
            sums: float64 (5, n): per block, real and imaginary part of the correlation at 16 samples, energy, and the
                correlation at 4.

        Returns:
            complex64 (n,): factor from a sample to the one 4 later, per block; 0 without a tone.
        """
        history = np.concatenate([self._sums, sums], axis=1)
        self._sums = history[:, -max(WINDOWS) :].copy()
        factors = np.zeros(sums.shape[1], np.complex64)
        for window, share, state in reversed(list(zip(WINDOWS, SHARES, self._state, strict=True))):
            _predict(history, window, share, state, factors)
        return factors


@kernel
def _predict(sums, window, share, p, factors):
    """Compute the factors of one window. p: sums over the window, and blocks since they were recomputed."""
    first = sums.shape[1] - factors.shape[0]
    u, v, energy, real, imag = p[0], p[1], p[2], p[3], p[4]
    age = int(p[5])
    for b in range(first, sums.shape[1]):
        age += 1
        if age == RENEWAL:
            age = 0
            u, v, energy, real, imag = 0.0, 0.0, 0.0, 0.0, 0.0
            for j in range(b - window + 1, b + 1):
                u, v, energy = u + sums[0, j], v + sums[1, j], energy + sums[2, j]
                real, imag = real + sums[3, j], imag + sums[4, j]
        else:
            u += sums[0, b] - sums[0, b - window]
            v += sums[1, b] - sums[1, b - window]
            energy += sums[2, b] - sums[2, b - window]
            real += sums[3, b] - sums[3, b - window]
            imag += sums[4, b] - sums[4, b - window]
        square = real * real + imag * imag
        if square > (share * energy) ** 2 and square > LIKENESS * (u * u + v * v) and energy > 0:
            size = np.sqrt(square)
            scale = min(1.0, BOLDNESS * np.sqrt(size / energy)) / size
            factors[b - first] = complex(real * scale, imag * scale)
    p[:] = u, v, energy, real, imag, float(age)


@kernel
def unforeseen(samples: np.ndarray, factors: np.ndarray, block: int) -> np.ndarray:
    """Compute the residual of samples after prediction.

    Args:
        samples: complex64 (4 + n,), the first four of which are history.
        factors: complex64 (n / block,), factor of each block.
        block: samples per block.

    Returns:
        complex64 (n,).
    """
    out = np.empty(samples.shape[0] - LAG, np.complex64)
    for b in range(factors.shape[0]):
        factor = factors[b]
        for n in range(b * block, (b + 1) * block):
            out[n] = samples[n + LAG] - factor * samples[n]
    return out


def find_tones(samples: np.ndarray, threshold_db: float) -> list[tuple[float, complex]]:
    """Find the tones in a segment.

    Args:
        samples: complex64 (n,), at least 64.
        threshold_db: power of a line relative to its neighbours, in a spectrum of n bins, from which it is a tone.

    Returns:
        Frequency in rad/sample and complex amplitude at the first sample of each tone, strongest first.
    """
    tones: list[tuple[float, complex]] = []
    left = samples
    while len(tones) < MAX_TONES:
        spectrum = _spectra(left[None])
        peak = int(_lines(spectrum, 10 ** (threshold_db / 10))[0])
        if peak < 0:
            break
        frequency, amplitude = _fit(left, 2 * np.pi * peak / spectrum.shape[1])
        tones.append(((frequency + np.pi) % (2 * np.pi) - np.pi, amplitude))
        left = without_tones(left, tones[-1:])
    return tones


@lru_cache(maxsize=64)
def _window(n: int) -> np.ndarray:
    return np.hanning(n).astype(np.float32)


def _spectra(rows: np.ndarray) -> np.ndarray:
    """Compute spectra, complex64 (k, m), of rows (k, n); m is at most slightly larger than n."""
    n = rows.shape[1]
    return fft.fft(rows * _window(n), fft.next_fast_len(n), axis=1)


@kernel
def _lines(spectra, threshold):
    """Find the strongest bin of each spectrum if it is a line, else -1, int64 (k,)."""
    count, size = spectra.shape
    peaks = np.full(count, -1)
    for row in range(count):
        most, peak = -1.0, 0
        for k in range(size):
            power = spectra[row, k].real ** 2 + spectra[row, k].imag ** 2
            if power > most:
                most, peak = power, k
        above = below = 0.0
        for off in range(NEAR, FAR):
            value = spectra[row, (peak + off) % size]
            above += value.real**2 + value.imag**2
            value = spectra[row, (peak - off) % size]
            below += value.real**2 + value.imag**2
        # At the edge of the band, and beside DC, one side is empty.
        if most > threshold * max(above, below) / (FAR - NEAR):
            peaks[row] = peak
    return peaks


@kernel
def _fit(samples, frequency):
    """Fit the tone near a frequency: frequency, from the phase between the halves of the samples, and amplitude."""
    n, half = samples.shape[0], samples.shape[0] // 2
    first, second = 0j, 0j
    for _ in range(4):
        first, second, turn, step = 0j, 0j, 1 + 0j, np.exp(-1j * frequency)
        for k in range(n):
            if k < half:
                first += samples[k] * turn
            else:
                second += samples[k] * turn
            turn *= step
        frequency += np.angle(second * np.conj(first)) / (n / 2)
    amplitude, turn, step = 0j, 1 + 0j, np.exp(-1j * frequency)
    for k in range(n):
        amplitude += samples[k] * turn
        turn *= step
    return frequency, amplitude / n


def without_tones(samples: np.ndarray, tones: list[tuple[float, complex]], offset: int = 0) -> np.ndarray:
    """Subtract tones from samples, complex64 (n,); their amplitudes refer to the sample `offset`."""
    out = samples.copy()
    for frequency, amplitude in tones:
        _subtract(out, frequency, amplitude * np.exp(-1j * frequency * offset))
    return out


@kernel
def _subtract(samples, frequency, amplitude):
    step = np.exp(1j * frequency)
    for k in range(samples.shape[0]):
        samples[k] -= np.complex64(amplitude)
        amplitude *= step


def excise(samples: np.ndarray, first: int, threshold_db: float) -> tuple[np.ndarray, int]:
    """Remove tones from a burst, in segments of about 1024 samples.

    Args:
        samples: complex64 (n,).
        first: start of the segments; the first segment's tones are removed from the samples before it.
        threshold_db: threshold of `find_tones`.

    Returns:
        complex64 (n,), the same array if there is no tone; and the number of tones removed, over all segments.
    """
    first = max(first, 0)
    count = max(1, round((len(samples) - first) / SEGMENT))
    length = (len(samples) - first) // count
    rows = samples[first : first + count * length].reshape(count, length)
    out, total = samples, 0
    for i in np.flatnonzero(_lines(_spectra(rows), 10 ** (threshold_db / 10)) >= 0):
        tones = find_tones(rows[i], threshold_db)
        out = samples.copy() if out is samples else out
        start = first + i * length
        begin, end = 0 if i == 0 else start, len(samples) if i == count - 1 else start + length
        out[begin:end] = without_tones(samples[begin:end], tones, int(start - begin))
        total += len(tones)
    return out, total
