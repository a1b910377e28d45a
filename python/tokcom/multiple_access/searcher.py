"""From an endless stream of samples to bursts of several transmitters, in constant memory."""

from dataclasses import dataclass
from functools import lru_cache

import numpy as np

from tokcom.multiple_access.burst import training_symbol
from tokcom.multiple_access.plan import (
    PORT_BOOST,
    PORTS,
    REPETITIONS,
    TRAINING_GUARD,
    TRAINING_LENGTH,
    MultiUserPlan,
    pilot_values,
    port_places,
)
from tokcom.phy import grid
from tokcom.phy.numerology import CARRIERS, CYCLIC_PREFIX, FFT_SIZE

WINDOW = (REPETITIONS - 1) * FFT_SIZE
THRESHOLD = 0.25
"""Correlation of 192 samples with those 64 later; noise alone seldom reaches it, and has no training."""
LEAST_SHARE = 0.08
"""Share of the training's energy that one instant must explain; of noise it is about 4 / 256."""
SEARCHED = WINDOW + TRAINING_GUARD + FFT_SIZE
"""Samples after the first rise of the correlation among which the training begins."""
MARGIN = 64
"""Samples kept on either side of a burst."""
CHUNK = 1 << 16
LARGEST_SAMPLE = 1e6
USABLE = CYCLIC_PREFIX - 3
"""Samples over which paths may spread, behind the window's backoff."""
TIE = 0.01


@dataclass(frozen=True)
class FoundMultiUserBurst:
    """A burst cut out of the stream.

    Attributes:
        samples: complex64, with a margin of 64 samples on either side.
        start: index among them of the first sample of the training's guard.
        frequency: mean carrier offset in rad/sample, within pi/64.
        position: index of the burst's first sample in the stream.
        metric: correlation, 0 to 1.
    """

    samples: np.ndarray
    start: int
    frequency: float
    position: int
    metric: float


class MultiUserSearcher:
    """Finds bursts of a plan.

    Args:
        plan: what is agreed upon.
    """

    def __init__(self, plan: MultiUserPlan):
        self.plan = plan
        self.reset()

    def reset(self, position: int = 0) -> None:
        """Begin again; the next sample has this number."""
        self._kept = np.zeros(0, np.complex64)
        self._first = self._next = position

    def push(self, samples: np.ndarray) -> list[FoundMultiUserBurst]:
        """Bursts that end with the next samples, complex (n,), of the stream."""
        found = []
        for start in range(0, len(samples), CHUNK):
            piece = np.array(samples[start : start + CHUNK], np.complex64)
            bad = ~(np.abs(piece) < LARGEST_SAMPLE)
            piece[bad] = 0
            self._kept = np.concatenate([self._kept, piece])
            found += self._search()
        return found

    def _search(self) -> list[FoundMultiUserBurst]:
        found = []
        whole = self.plan.length + SEARCHED + 2 * MARGIN
        while True:
            begin = self._next - self._first
            metric, product = _correlation(self._kept[begin:])
            rises = np.flatnonzero(metric > THRESHOLD)
            if not len(rises):
                self._drop(begin + max(len(metric), 0))
                return found
            rise = begin + int(rises[0])
            if rise + whole > len(self._kept):
                self._drop(rise)
                return found
            burst = self._burst(rise, metric[rises[0] :][:SEARCHED], product[rises[0] :][:SEARCHED])
            if burst is None:
                self._next = self._first + rise + FFT_SIZE
                continue
            found.append(burst)
            self._next = burst.position + self.plan.length

    def _drop(self, index: int) -> None:
        """Forget what lies more than a margin before an index of the samples kept."""
        self._next = self._first + index
        cut = max(0, index - 2 * MARGIN)
        self._kept, self._first = self._kept[cut:], self._first + cut

    def _burst(self, rise: int, metric: np.ndarray, product: np.ndarray) -> FoundMultiUserBurst | None:
        best = int(np.argmax(metric))
        frequency = float(np.angle(product[best]) / FFT_SIZE)
        low = max(rise - MARGIN, 0)
        part = self._kept[low : rise + SEARCHED + TRAINING_LENGTH]
        turned = part * np.exp(-1j * frequency * np.arange(len(part)))
        matched, energy = _trainings_in(turned)
        peak = int(np.argmax(matched))
        if matched[peak] < LEAST_SHARE * energy[peak]:
            return None
        start = low + peak - TRAINING_GUARD
        start += _refinement(self.plan, self._kept, start, frequency)
        first = max(start - MARGIN, 0)
        samples = self._kept[first : start + self.plan.length + MARGIN].copy()
        return FoundMultiUserBurst(samples, start - first, frequency, self._first + start, float(metric[best]))


def _correlation(samples: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Metric, 0 to 1, and lag product of every place that is followed by samples enough."""
    count = len(samples) - WINDOW - FFT_SIZE
    if count <= 0:
        return np.zeros(0), np.zeros(0, complex)
    lagged = samples[:-FFT_SIZE].conj().astype(np.complex128) * samples[FFT_SIZE:]
    energy = np.abs(samples.astype(np.complex128)) ** 2
    sums = np.concatenate([[0], np.cumsum(lagged)])
    energies = np.concatenate([[0], np.cumsum(energy)])
    product = sums[WINDOW : WINDOW + count] - sums[:count]
    one = energies[WINDOW : WINDOW + count] - energies[:count]
    two = energies[WINDOW + FFT_SIZE :][:count] - energies[FFT_SIZE:][:count]
    return np.abs(product) / np.maximum((one + two) / 2, 1e-30), product


def _trainings_in(samples: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Energy that all ports' trainings match in the 256 samples from each position on, and its upper bound."""
    length = REPETITIONS * FFT_SIZE
    energy = np.concatenate([[0], np.cumsum(np.abs(samples) ** 2)])
    matched = sum(np.abs(np.correlate(samples, np.tile(each, REPETITIONS), "valid")) ** 2 for each in _trainings())
    return matched, length * (energy[length:] - energy[:-length])


def _refinement(plan: MultiUserPlan, samples: np.ndarray, start: int, frequency: float) -> int:
    """Samples by which the burst starts later than thought, negative where earlier: so that the windows hold what most
    of all ports' paths bring."""
    first = start + TRAINING_GUARD - CYCLIC_PREFIX
    if first < 0:
        return 0
    starts = first + np.concatenate([[FFT_SIZE, 2 * FFT_SIZE, 3 * FFT_SIZE], plan.starts[: PORTS - 1]])
    spectra = grid.carriers_of(samples, starts, frequency)[:, CARRIERS % FFT_SIZE]
    symbols = np.concatenate([spectra[:3].mean(axis=0, keepdims=True), spectra[3:]])
    profile = np.zeros(FFT_SIZE)
    for port in range(PORTS):
        response = np.zeros(FFT_SIZE, np.complex128)
        for row, symbol in enumerate(range(-1, PORTS - 1)):
            places = port_places(port, symbol)
            response[CARRIERS[places] % FFT_SIZE] = symbols[row, places] * pilot_values(symbol)[places] / PORT_BOOST
        profile += np.abs(np.fft.ifft(response)) ** 2
    profile = np.maximum(profile - np.median(profile), 0)
    held = np.array(
        [profile.take(range(shift, shift + USABLE), mode="wrap").sum() for shift in range(2 * CYCLIC_PREFIX)]
    )
    good = np.flatnonzero(held >= held.max() - TIE * profile.sum())
    return round(float(good.mean())) - CYCLIC_PREFIX


@lru_cache(maxsize=1)
def _trainings() -> tuple[np.ndarray, ...]:
    return tuple(training_symbol(port) for port in range(PORTS))
