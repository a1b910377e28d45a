"""Narrow-band interference: carriers, hum and spurs, kept from the detector and taken out of bursts.

A tone is foreseen from what was 4 samples earlier, a short training is not: its twelve lines all but cancel in the
correlation at 4 samples, and two paths at any distance leave it below 0.58 of its energy. What the one-tap predictor
leaves over is, therefore, searched where a tone is there (linear prediction: Makhoul, Proc. IEEE 63(4), 1975).

In a burst, a tone is a line far above its neighbours in the spectrum of some thousand samples. Its best fit is taken
off, which costs the signal one part in a thousand.
"""

from functools import lru_cache

import numpy as np

from tokcom.kernels import kernel
from tokcom.scientific import fft

LAG = 4
"""Samples from which a tone is foreseen."""
WINDOWS = (18, 78)
"""Blocks over which the prediction is averaged: the first for strong tones that set in, the second for weak ones."""
SHARES = (0.3, 0.12)
"""Correlation, relative to the energy, from which each window speaks of a tone: noise gets there once in some 10**5
blocks."""
LIKENESS = 0.45
"""Squared correlation at 4 samples, relative to that at 16, from which what repeats is a tone: of a short training it
is near 1/36, and of one received over two paths at most a third."""
BOLDNESS = 1.25
"""The prediction goes beyond the one of least error: what is left of a tone matters more than a little more noise."""
RENEWAL = 256
"""Blocks after which running sums are made afresh: what a loud moment leaves behind by rounding must not stay."""
LEFT_OVER = 1e-4
"""Share of the energy that is never taken for foreseen: what is left of a steady tone is rounding, which may repeat."""
SEGMENT = 1024
"""Samples, about, over which a tone is taken to be steady."""
MAX_TONES = 4
"""Tones that are taken off in a segment."""
NEAR, FAR = 5, 20
"""A line is compared to what lies so many bins beside it, on the stronger side."""


class TonePredictor:
    """Tells, along a stream, how well a sample is foreseen from the one 4 samples earlier."""

    def __init__(self) -> None:
        self.reset()

    def reset(self) -> None:
        """Forget the stream."""
        self._sums = np.zeros((5, max(WINDOWS)))
        self._state = np.zeros((len(WINDOWS), 6))

    def push(self, sums: np.ndarray) -> np.ndarray:
        """Prediction coefficients.

        Args:
            sums: float64 (5, n): of blocks, real and imaginary part of the correlation at 16 samples, energy, and the
                correlation at 4.

        Returns:
            complex64 (n,): for each block, the factor from a sample to the one 4 later; 0 where there is no tone.
        """
        history = np.concatenate([self._sums, sums], axis=1)
        self._sums = history[:, -max(WINDOWS) :].copy()
        factors = np.zeros(sums.shape[1], np.complex64)
        for window, share, state in reversed(list(zip(WINDOWS, SHARES, self._state, strict=True))):
            _predict(history, window, share, state, factors)
        return factors


@kernel
def _predict(sums, window, share, p, factors):
    """p: sums over the window, and blocks since they were made afresh."""
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
    """What is left of samples without what is foreseen of them.

    Args:
        samples: complex64 (4 + n,), the first four of which are history.
        factors: complex64 (n / block,), of each block.
        block: samples of a block.

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
    """Tones in a segment.

    Args:
        samples: complex64 (n,), at least 64.
        threshold_db: power of a line, in a spectrum of n bins, over that of its neighbours, from which it is a tone.

    Returns:
        Frequency in rad/sample and complex amplitude, at the first sample, of each; the strongest first.
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
    """complex64 spectra (k, m) of rows (k, n), m being a little more than n at most."""
    n = rows.shape[1]
    return fft.fft(rows * _window(n), fft.next_fast_len(n), axis=1)


@kernel
def _lines(spectra, threshold):
    """int64 (k,): the strongest bin of each spectrum where it is a line, else -1."""
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
    """Frequency, from the phase of one half of the samples to the other, and amplitude of the tone near a frequency."""
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
    """complex64 (n,): samples without tones, whose amplitudes are those at the sample `offset`."""
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
    """Take tones out of a burst, in segments of about 1024 samples.

    Args:
        samples: complex64 (n,).
        first: where the segments begin; what lies before is freed of the first segment's tones.
        threshold_db: of `find_tones`.

    Returns:
        complex64 (n,), the very array where there is no tone; and how many tones were taken off, in all segments.
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
