"""Faults of oscillators: carrier frequency offset, phase noise, sampling clock offset."""

import math

import numpy as np

from tokcom.channel.interpolation import DELAY, TAPS, fractional_delay
from tokcom.kernels import kernel

TURN = 256
"""Samples rotated by a table before the phase is recomputed."""
FRACTIONS = 128
"""Steps of the interpolator's table; linear interpolation between them has an error below -80 dB."""


class Rotator:
    """Frequency shift of a stream, with continuous phase where the frequency changes.

    Args:
        frequency: frequency in cycles per sample.
        phase: initial phase in cycles.
    """

    def __init__(self, frequency: float = 0.0, phase: float = 0.0):
        self._phase, self._place = phase % 1, 0
        self._use(frequency)

    def _use(self, frequency: float) -> None:
        self._frequency = frequency
        self._table = np.exp(2j * np.pi * ((frequency * np.arange(TURN)) % 1)).astype(np.complex64)

    def set_frequency(self, frequency: float) -> None:
        """Set the frequency in cycles per sample, from the next sample on."""
        if frequency != self._frequency:
            self._phase, self._place = (self._phase + self._frequency * self._place) % 1, 0
            self._use(frequency)

    def process(self, samples: np.ndarray) -> np.ndarray:
        """Rotate the next samples of the stream, complex64 (n,), in place."""
        if self._frequency or self._phase:
            step = self._frequency * TURN % 1
            self._phase, self._place = _rotate(samples, self._table, step, self._phase, self._place)
        return samples


class PhaseNoise:
    """Phase noise of a free-running oscillator: a Wiener process whose variance grows by 2 pi times the linewidth per
    sample.

    Args:
        rng: generator of the steps.
    """

    def __init__(self, rng: np.random.Generator):
        self._rng, self._deviation, self._phase = rng, 0.0, 0.0

    def set_linewidth(self, linewidth: float) -> None:
        """Set the full width at half maximum of the Lorentzian spectrum, in cycles per sample."""
        self._deviation = math.sqrt(2 * math.pi * linewidth)

    def process(self, samples: np.ndarray) -> np.ndarray:
        """Rotate the next samples of the stream, complex64 (n,), in place."""
        if self._deviation:
            steps = self._rng.standard_normal(len(samples), dtype=np.float32)
        elif self._phase:
            steps = np.zeros(len(samples), np.float32)
        else:
            return samples
        self._phase = _wander(samples, steps, self._deviation, self._phase)
        return samples


class Resampler:
    """Resampler of a stream for a sampling clock offset, by interpolation (`fractional_delay`).

    From the first non-zero offset on, the stream is delayed by `delay` samples; before, it passes unchanged.
    """

    def __init__(self) -> None:
        self._table = fractional_delay(1 - np.arange(FRACTIONS + 1) / FRACTIONS).astype(np.float32)
        self._history = np.zeros(TAPS, np.complex64)
        self._offset, self._fraction, self._ahead = 0.0, 0.0, 0
        self.delay = 0

    def set_offset(self, offset: float) -> None:
        """Set the number of input samples per output sample, minus 1: -0.1 to 0.1."""
        self._offset = offset
        if offset:
            self.delay = DELAY + 1

    def most_outputs(self, n_inputs: int) -> int:
        """Upper bound on the number of output samples for n_inputs input samples."""
        if not self.delay:
            return n_inputs
        return n_inputs + math.ceil(n_inputs * abs(self._offset) / (1 - abs(self._offset))) + 1

    def process(self, samples: np.ndarray) -> np.ndarray:
        """Resample the next samples of the stream, complex64 (n,), to complex64 (m,)."""
        if not self.delay:
            return samples
        padded = np.concatenate([self._history, samples])
        self._history = padded[len(samples) :].copy()
        out = np.empty(self.most_outputs(len(samples)), np.complex64)
        length, self._ahead, self._fraction = _resample(
            padded, self._table, self._offset, self._ahead, self._fraction, out
        )
        return out[:length]


@kernel
def _rotate(samples, table, step, phase, place):
    """Rotate samples by a table; `phase` is the phase of its first entry."""
    position = 0
    while position < samples.shape[0]:
        if place == TURN:
            phase += step
            phase -= math.floor(phase)
            place = 0
        base = np.complex64(complex(math.cos(2 * math.pi * phase), math.sin(2 * math.pi * phase)))
        run = min(TURN - place, samples.shape[0] - position)
        for i in range(run):
            samples[position + i] *= base * table[place + i]
        position += run
        place += run
    return phase, place


@kernel
def _wander(samples, steps, deviation, phase):
    for i in range(samples.shape[0]):
        phase += deviation * steps[i]
        if abs(phase) > math.pi:
            phase -= 2 * math.pi * np.round(phase / (2 * math.pi))
        samples[i] *= np.complex64(complex(math.cos(phase), math.sin(phase)))
    return phase


@kernel
def _resample(padded, table, offset, ahead, fraction, out):
    """Interpolate outputs, the first at input `ahead` + fraction; padded begins with as many earlier samples as
    taps."""
    taps = table.shape[1]
    index, length = taps + ahead, 0
    while index < padded.shape[0]:
        place = fraction * FRACTIONS
        row = int(place)
        weight = np.float32(place - row)
        value = np.complex64(0)
        for k in range(taps):
            tap = table[row, k] + weight * (table[row + 1, k] - table[row, k])
            value += tap * padded[index - k]
        out[length] = value
        length += 1
        fraction += offset
        carry = math.floor(fraction)
        fraction -= carry
        index += 1 + int(carry)
        if fraction >= 1:
            # A tiny negative number plus 1 rounds to 1.
            fraction = 0.0
            index += 1
    return length, index - padded.shape[0], fraction
