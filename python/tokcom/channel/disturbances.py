"""What comes on top of the signal, and what is lost of it: noise, an interferer, impulses, gaps."""

import math

import numpy as np

from tokcom.channel.oscillator import Rotator


def _add_noise(samples: np.ndarray, power: float, rng: np.random.Generator) -> None:
    noise = rng.standard_normal((len(samples), 2), dtype=np.float32)
    noise *= np.float32(math.sqrt(power / 2))
    samples += noise.view(np.complex64)[:, 0]


class Noise:
    """White Gaussian noise.

    Args:
        rng: its source.
    """

    def __init__(self, rng: np.random.Generator):
        self._rng, self.power = rng, 0.0

    def process(self, samples: np.ndarray) -> np.ndarray:
        """The next samples of the stream, complex64 (n,), noise of `power` added in place."""
        if self.power:
            _add_noise(samples, self.power, self._rng)
        return samples


class Interferer:
    """A continuous wave beside or within the signal.

    Args:
        rng: source of its phase.
    """

    def __init__(self, rng: np.random.Generator):
        self._tone, self.power = Rotator(phase=rng.random()), 0.0

    def set_frequency(self, frequency: float) -> None:
        """Cycles per sample from here on."""
        self._tone.set_frequency(frequency)

    def process(self, samples: np.ndarray) -> np.ndarray:
        """The next samples of the stream, complex64 (n,), a tone of `power` added in place."""
        if self.power:
            samples += self._tone.process(np.full(len(samples), math.sqrt(self.power), np.complex64))
        return samples


class Stretches:
    """Stretches of a stream that begin at random, as a Poisson process does, and last so many samples.

    Where one begins within another, the two are one.

    Args:
        rng: source of the beginnings.
    """

    def __init__(self, rng: np.random.Generator):
        self._rng, self._rate, self._length = rng, 0.0, 1
        # Indices from the beginning of the stream.
        self._now, self._until, self._arrival = 0, 0, math.inf

    def set(self, rate: float, length: int) -> None:
        """So many begin per sample on average, of so many samples each, from here on."""
        self._length = length
        if rate != self._rate:
            self._rate = rate
            self._arrival = self._now + self._wait() if rate else math.inf

    def _wait(self) -> float:
        return self._rng.exponential() / self._rate

    def next(self, n_samples: int) -> list[tuple[int, int]]:
        """First index, and index after the last, of what lies within the next samples of the stream."""
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
    """Bursts of Gaussian noise, as engines and switches make them.

    Args:
        when: source of their beginnings.
        what: source of the noise.
    """

    def __init__(self, when: np.random.Generator, what: np.random.Generator):
        self.stretches, self._what, self.power = Stretches(when), what, 0.0

    def process(self, samples: np.ndarray) -> np.ndarray:
        """The next samples of the stream, complex64 (n,), bursts of `power` added in place."""
        for first, end in self.stretches.next(len(samples)):
            _add_noise(samples[first:end], self.power, self._what)
        return samples


class Gaps:
    """Samples lost, as a receiver loses them that cannot keep up (an overflow).

    Args:
        rng: source of their beginnings.
    """

    def __init__(self, rng: np.random.Generator):
        self.stretches = Stretches(rng)

    def process(self, samples: np.ndarray) -> np.ndarray:
        """What is left, complex64 (m,), of the next samples of the stream, complex64 (n,)."""
        stretches = self.stretches.next(len(samples))
        if not stretches:
            return samples
        kept = np.ones(len(samples), bool)
        for first, end in stretches:
            kept[first:end] = False
        return samples[kept]
