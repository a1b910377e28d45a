"""Detection of preambles in an endless stream, in constant memory.

The short training repeats every 16 samples: where the correlation of the signal with itself 16 samples earlier makes up
more than a threshold of its energy, a burst may begin (Schmidl and Cox, IEEE Trans. Commun. 45(12), 1997). There the
long training is sought by matched filters, whose products from one long symbol to the next add up whatever the
frequency offset; this tells time, profile and frequency, and turns away carriers, hum and noise.
"""

from dataclasses import dataclass

import numba
import numpy as np

from tokcom.phy.numerology import CYCLIC_PREFIX, FFT_SIZE, SHORT_PERIOD
from tokcom.phy.profile import Profile
from tokcom.phy.synchronization import Synchronization

BLOCK = 8
"""Samples that share one value of the metric."""
LONG_THRESHOLD = 0.11
"""Share of the energy that a long training shows at least."""
BACKOFF = 4
"""Samples by which windows begin before the first path: the estimate of the first path errs."""
PATH_SHARE = 0.1
"""Power of the weakest path, relative to the strongest, that may be the first."""
ALIASES = (-1, 0, 1)
"""Frequencies that the short training cannot tell apart lie 2 pi / 16 rad/sample from each other."""
TONE_RATIO = 0.64
"""Squared correlation at 8 samples, relative to that at 16, from which a short training is taken for a tone: its own is
near 0, a carrier's is 1."""


@dataclass(frozen=True)
class Candidate:
    """A place where a short training may end.

    Attributes:
        end: index of the sample after the detector's window.
        frequency: in rad/sample, up to a multiple of 2 pi / 16.
        known_at: index of the sample after those that it took to tell.
    """

    end: int
    frequency: float
    known_at: int


class ShortTrainingDetector:
    """Finds short trainings of one profile in a stream.

    Args:
        profile: whose window and threshold to use.
    """

    def __init__(self, profile: Profile):
        self._blocks = profile.window // BLOCK
        self._threshold = profile.threshold
        self._longest = 2 * self._blocks
        self.reset()

    def reset(self) -> None:
        """Forget the stream."""
        self._sums = np.zeros((5, self._blocks))
        self._window = np.zeros(6)
        self._state = np.zeros(4)

    def push(self, sums: np.ndarray, first: int) -> list[Candidate]:
        """Candidates that end within the next blocks.

        Args:
            sums: float64 (5, n) from `block_sums`.
            first: index of the sample at which the first block begins.
        """
        history = np.concatenate([self._sums, sums], axis=1)
        found = np.empty((sums.shape[1] // 2 + 2, 3))
        count = _scan(history, self._blocks, self._threshold, self._longest, self._window, self._state, found)
        self._sums = history[:, -self._blocks :].copy()
        return [
            Candidate(first + BLOCK * int(at + 1), float(angle) / SHORT_PERIOD, first + BLOCK * int(known_at + 1))
            for at, angle, known_at in found[:count]
        ]


def block_sums(samples: np.ndarray) -> np.ndarray:
    """Sums over blocks of 8 samples.

    Args:
        samples: complex64 (16 + 8 n,): 16 samples of history, then n blocks.

    Returns:
        float64 (5, n): real and imaginary part of the correlation at 16 samples, energy, and the correlation at 8.
    """
    out = np.empty((5, (len(samples) - SHORT_PERIOD) // BLOCK))
    _block_sums(samples.view(np.float32), out)
    return out


@numba.njit(cache=True, nogil=True, fastmath=True)
def _block_sums(x, out):
    """x holds real and imaginary parts in turn."""
    half = SHORT_PERIOD // 2
    for b in range(out.shape[1]):
        start = 2 * (SHORT_PERIOD + b * BLOCK)
        pr, pi, e, qr, qi = np.float32(0), np.float32(0), np.float32(0), np.float32(0), np.float32(0)
        for i in range(BLOCK):
            k = start + 2 * i
            a, c = x[k], x[k + 1]
            u, v = x[k - 2 * SHORT_PERIOD], x[k - 2 * SHORT_PERIOD + 1]
            pr += a * u + c * v
            pi += c * u - a * v
            e += a * a + c * c + u * u + v * v
            s, t = x[k - 2 * half], x[k - 2 * half + 1]
            qr += a * s + c * t
            qi += c * s - a * t
        out[0, b], out[1, b], out[2, b], out[3, b], out[4, b] = pr, pi, e / 2, qr, qi


@numba.njit(cache=True, nogil=True)
def _scan(sums, window, threshold, longest, p, state, found):
    """p: sums over the window, and blocks since they were made afresh. state: blocks since the metric rose over the
    threshold (0: it has not), the greatest correlation since, blocks since that, and its angle."""
    count = 0
    for b in range(window, sums.shape[1]):
        p[5] += 1
        if p[5] == 64:
            # Afresh now and then: what a loud moment leaves behind by rounding must not stay.
            p[5] = 0
            for i in range(5):
                p[i] = 0
                for j in range(b - window + 1, b + 1):
                    p[i] += sums[i, j]
        else:
            for i in range(5):
                p[i] += sums[i, b] - sums[i, b - window]
        correlation = p[0] * p[0] + p[1] * p[1]
        above = correlation > threshold * p[2] * p[2] and p[2] > 0
        above = above and p[3] * p[3] + p[4] * p[4] < TONE_RATIO * correlation
        if state[0] > 0:
            state[0] += 1
            state[2] += 1
        if above:
            if state[0] == 0:
                state[0], state[1] = 1, 0
            if correlation > state[1]:
                state[1], state[2], state[3] = correlation, 0, np.arctan2(p[1], p[0])
        over = state[0] > 0 and (not above or correlation < 0.5 * state[1] or state[0] > longest)
        if over and state[2] > 0:
            found[count, 0] = b - window - state[2]
            found[count, 1] = state[3]
            found[count, 2] = b - window
            count += 1
            state[0] = 0
    return count


def long_training(samples: np.ndarray, first: int, profile: Profile, frequency: float) -> Synchronization | None:
    """Seek the long training.

    Args:
        samples: complex64; from each place sought they must reach to the last long symbol's end.
        first: index of the first place at which the first long symbol may begin; all are `samples` allow.
        profile: whose long training to seek.
        frequency: offset in rad/sample, up to a multiple of 2 pi / 16.

    Returns:
        Where the burst is, or None where there is no long training.
    """
    span = (len(profile.long_signs) - 1) * profile.long_spacing + FFT_SIZE
    places = len(samples) - first - span + 1
    if places < 1:
        return None
    signs = np.array(profile.long_signs, np.float64)
    share, offset, turn, path = _seek(
        samples[first:], profile.long_symbol, frequency, profile.long_spacing, signs[1:] * signs[:-1], places
    )
    if share < LONG_THRESHOLD:
        return None
    residual = np.angle(turn * np.exp(-1j * offset * profile.long_spacing)) / profile.long_spacing
    return Synchronization(profile, first + max(path - BACKOFF, -first), float(offset + residual), min(share, 1.0))


@numba.njit(cache=True, nogil=True)
def _seek(samples, symbol, frequency, spacing, steps, places):
    """The best of all places and aliases of the frequency: metric, frequency and product, and the place of the first
    path, which is not always the strongest."""
    length = symbol.shape[0]
    metric, best_metric = np.empty(places), np.empty(places)
    product = np.empty(places, np.complex128)
    best, at, offset, turn = -1.0, 0, 0.0, 0j
    reference = np.empty(length, np.complex64)
    for alias in ALIASES:
        tried = frequency + alias * 2 * np.pi / SHORT_PERIOD
        for k in range(length):
            reference[k] = np.conj(symbol[k]) * np.exp(-1j * tried * k)
        _match(samples, reference, spacing, steps, metric, product)
        place = np.argmax(metric)
        if metric[place] > best:
            best, at, offset, turn = metric[place], place, tried, product[place]
            best_metric[:] = metric
    # Products are of power, twice: a path's share of the strongest's power is the root's.
    path = max(0, at - CYCLIC_PREFIX + BACKOFF)
    while path < at and best_metric[path] <= PATH_SHARE * best:
        path += 1
    return best, offset, turn, path


@numba.njit(cache=True, nogil=True, fastmath=True)
def _match(samples, reference, spacing, steps, metric, product):
    places, length = metric.shape[0], reference.shape[0]
    n_outputs = places + spacing * steps.shape[0]
    filtered = np.empty(n_outputs, np.complex64)
    energy = np.empty(n_outputs, np.float32)
    for n in range(n_outputs):
        real, imag, total = np.float32(0), np.float32(0), np.float32(0)
        for k in range(length):
            s, r = samples[n + k], reference[k]
            real += s.real * r.real - s.imag * r.imag
            imag += s.real * r.imag + s.imag * r.real
            total += s.real * s.real + s.imag * s.imag
        filtered[n] = complex(real, imag)
        energy[n] = total
    for n in range(places):
        total, power = 0j, 1e-30
        for j in range(steps.shape[0]):
            a, b = filtered[n + j * spacing], filtered[n + (j + 1) * spacing]
            total += steps[j] * b * np.conj(a)
            power += 0.5 * (energy[n + j * spacing] + energy[n + (j + 1) * spacing])
        product[n] = total
        metric[n] = abs(total) / (power * length)
