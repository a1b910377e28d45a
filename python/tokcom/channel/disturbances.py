"""Disturbances added to the signal, and losses of samples: noise, an interferer, impulses, gaps."""

import math

import numpy as np

from tokcom.channel.oscillator import Rotator


def _add_noise(samples: np.ndarray, power: float, rng: np.random.Generator) -> None:
    noise = rng.standard_normal((len(samples), 2), dtype=np.float32)
    noise *= np.float32(math.sqrt(power / 2))
    samples += noise.view(np.complex64)[:, 0]


class Noise:
    """Source of white Gaussian noise.

    Args:
        rng: generator of the noise.
    """

    def __init__(self, rng: np.random.Generator):
        self._rng, self.power = rng, 0.0

    def process(self, samples: np.ndarray) -> np.ndarray:
        """Add noise of `power` in place to the next samples of the stream, complex64 (n,)."""
        if self.power:
            _add_noise(samples, self.power, self._rng)
        return samples


class Interferer:
    """Continuous wave beside or within the signal.

    Args:
        rng: generator of its phase.
    """

    def __init__(self, rng: np.random.Generator):
        self._tone, self.power = Rotator(phase=rng.random()), 0.0

    def set_frequency(self, frequency: float) -> None:
        """Set the frequency in cycles per sample, from the next sample on."""
        self._tone.set_frequency(frequency)

    def process(self, samples: np.ndarray) -> np.ndarray:
        """Add a tone of `power` in place to the next samples of the stream, complex64 (n,)."""
        if self.power:
            samples += self._tone.process(np.full(len(samples), math.sqrt(self.power), np.complex64))
        return samples


class Stretches:
    """Stretches of a stream that begin at random, as a Poisson process, and have a fixed length in samples.

    Overlapping stretches merge.

    Args:
        rng: generator of the beginnings.
    """

    def __init__(self, rng: np.random.Generator):
        self._rng, self._rate, self._length = rng, 0.0, 1
        # Sample indices count from the beginning of the stream.
        self._now, self._until, self._arrival = 0, 0, math.inf

    def set(self, rate: float, length: int) -> None:
        """Set the mean number of beginnings per sample and the length in samples, from the next sample on."""
        self._length = length
        if rate != self._rate:
            self._rate = rate
            self._arrival = self._now + self._wait() if rate else math.inf

    def _wait(self) -> float:
        return self._rng.exponential() / self._rate

    def next(self, n_samples: int) -> list[tuple[int, int]]:
        """Advance the stream by n_samples; return the start and stop index of each stretch, or its part, within
        them."""
        found = []
        first, begin, end = self._now, self._now, self._now + n_samples
        while True:
            if begin < min(self._until, end):
                found.append((begin - first, min(self._until, end) - first))
                begin = min(self._until, end)
            if self._arrival >= end:
                break
            arrived = math.floor(self._arrival)
            self._until = max(self._until, arrived + self._length)
            begin = max(begin, arrived)
            self._arrival += self._wait()
        self._now = end
        return found


class Impulses:
    """Impulsive noise: short bursts of Gaussian noise, as from engines and switches.

    Args:
        when: generator of their beginnings.
        what: generator of the noise.
    """

    def __init__(self, when: np.random.Generator, what: np.random.Generator):
        self.stretches, self._what, self.power = Stretches(when), what, 0.0

    def process(self, samples: np.ndarray) -> np.ndarray:
        """Add bursts of `power` in place to the next samples of the stream, complex64 (n,)."""
        for first, end in self.stretches.next(len(samples)):
            _add_noise(samples[first:end], self.power, self._what)
        return samples


class Gaps:
    """Gaps of lost samples, as in a receiver that cannot keep up (an overflow).

    Args:
        rng: generator of their beginnings.
    """

    def __init__(self, rng: np.random.Generator):
        self.stretches = Stretches(rng)

    def process(self, samples: np.ndarray) -> np.ndarray:
        """Drop gaps from the next samples of the stream, complex64 (n,); return the rest, complex64 (m,)."""
        stretches = self.stretches.next(len(samples))
        if not stretches:
            return samples
        kept = np.ones(len(samples), bool)
        for first, end in stretches:
            kept[first:end] = False
        return samples[kept]
