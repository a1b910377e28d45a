"""Latest samples of a stream in constant memory, without their running mean and without impulses."""

import numpy as np

from tokcom.kernels import kernel
from tokcom.phy.demodulator import LARGEST_SAMPLE
from tokcom.phy.detector import BLOCK
from tokcom.phy.impulses import AHEAD, ImpulseFinder, loud_samples
from tokcom.phy.numerology import SYMBOL_LENGTH

CHUNK = 8192
"""Samples processed at a time."""
LONGEST_LAG = SYMBOL_LENGTH
"""Longest lag of the detectors in samples: a long symbol with its guard."""
HISTORY = LONGEST_LAG + BLOCK
"""Samples of history: that lag plus the predictor's, in whole blocks."""
DC_SHARE = 1.0 / 4096
"""Weight of each sample in the running mean, which is subtracted to remove DC and the local oscillator's leakage."""
LARGEST_STEP = 8.0
"""Magnitude, relative to the usual, to which samples are limited in the mean: an impulse must not move it for long."""
LARGEST_GROWTH = 2.0
"""Magnitude, relative to the usual, to which samples are limited in the usual magnitude itself: a strong burst must not
shift the mean either, or a weak one after it would suffer from a DC offset that is not there."""


class RecentSamples:
    """Latest samples of a stream that comes in pieces of at most CHUNK samples.

    Args:
        reach: number of samples to keep.

    Attributes:
        origin: index in the stream of the first sample present.
        measured: index in the stream after the last block whose impulses are known.
    """

    def __init__(self, reach: int):
        self._reach = reach
        self._buffer = np.zeros(2 * reach + 2 * CHUNK, np.complex64)
        self.reset(0)

    def reset(self, position: int) -> None:
        """Begin with a stream that continues at sample `position`."""
        self._used = HISTORY  # zeros before the first sample
        self._buffer[: self._used] = 0
        self.origin = position - HISTORY
        self.measured = position
        self._mean = np.zeros(9)
        self._impulses = ImpulseFinder()
        self._blanks = np.zeros((2, 0), np.int64)

    @property
    def end(self) -> int:
        """Index in the stream after the last sample present."""
        return self.origin + self._used

    def push(self, samples: np.ndarray) -> tuple[int, np.ndarray]:
        """Append samples, complex64 (n,), n at most CHUNK, without their running mean.

        Returns:
            Number of samples that were NaN, infinite or impossibly large, replaced by 0; and the energies of the blocks
            of BLOCK samples that they complete, float64.
        """
        self._make_room(len(samples))
        place = self._buffer[self._used : self._used + len(samples)]
        energies = np.empty(len(samples) // BLOCK + 1)
        bad, blocks = _subtract_mean(samples, place, self._mean, energies, LARGEST_SAMPLE, DC_SHARE)
        self._used += len(samples)
        return bad, energies[:blocks]

    def _make_room(self, count: int) -> None:
        if self._used + count > len(self._buffer):
            drop = self._used - self._reach
            self._buffer[: self._reach] = self._buffer[drop : self._used]
            self.origin += drop
            self._used = self._reach
            self._blanks = self._blanks[:, self._blanks[0] >= self.origin]

    def find_impulses(self, energies: np.ndarray) -> int:
        """Find the impulses in the blocks after `measured`, of these energies; return the number of their samples."""
        found = 0
        for block, power in zip(*self._impulses.push(energies), strict=True):
            start = self.measured + int(block) * BLOCK
            first = max(start - BLOCK, self.origin)
            # The block's neighbours may hold the impulse's edges.
            places = first + loud_samples(self.view(first, start + 2 * BLOCK), power)
            places = np.setdiff1d(places, self._blanks[0])
            known_at = np.full(len(places), start + (AHEAD + 1) * BLOCK)
            self._blanks = np.concatenate([self._blanks, [places, known_at]], axis=1)
            found += len(places)
        self.measured += len(energies) * BLOCK
        return found

    def view(self, first: int, stop: int, known: int = -1) -> np.ndarray:
        """Return samples without the impulses known when the stream has reached `known`; possibly a view of the
        buffer."""
        view = self._buffer[first - self.origin : stop - self.origin]
        if self._blanks.size:
            places, known_at = self._blanks
            inside = places[(places >= first) & (places < stop) & (known_at <= known)]
            if inside.size:
                view = view.copy()
                view[inside - first] = 0
        return view

    def impulses_within(self, first: int, stop: int, known: int) -> bool:
        """Tell whether impulses within these samples became known after the stream had reached `stop`, and before it
        reached `known`."""
        places, known_at = self._blanks
        return bool(np.any((places >= first) & (places < stop) & (known_at > stop) & (known_at <= known)))


@kernel
def _subtract_mean(samples, out, state, energies, largest, share):
    """Copy samples minus their running mean, which is constant over a block; return the number of invalid ones and the
    number of completed blocks, whose energies are filled in.

    state: real and imaginary part of the mean; usual magnitude of the result, which limits the influence of samples;
        and, for the block in progress, its number of samples, their energy, the sums of their limited components and
        magnitudes, and their largest magnitude.
    """
    bad = blocks = i = 0
    real, imag, usual = state[0], state[1], state[2]
    inside, energy, sum_real, sum_imag, sum_size, most = int(state[3]), state[4], state[5], state[6], state[7], state[8]
    while i < samples.shape[0]:
        stop = min(i + BLOCK - inside, samples.shape[0])
        # Nothing is known of the first non-zero samples: they move the mean without limit.
        limit = LARGEST_STEP * usual if usual > 0 else np.inf
        growth = LARGEST_GROWTH * usual
        mean_real, mean_imag = np.float32(real), np.float32(imag)
        for k in range(i, stop):
            a, b = samples[k].real, samples[k].imag
            if not (abs(a) <= largest and abs(b) <= largest):
                a, b = np.float32(0), np.float32(0)
                bad += 1
            a, b = a - mean_real, b - mean_imag
            out[k] = complex(a, b)
            energy += a * a + b * b
            size = max(abs(a), abs(b))
            sum_real += min(max(a, -limit), limit)
            sum_imag += min(max(b, -limit), limit)
            sum_size += min(size, growth)
            most = max(most, size)
        inside += stop - i
        i = stop
        if inside == BLOCK:
            energies[blocks] = energy
            blocks += 1
            real += share * sum_real
            imag += share * sum_imag
            usual = usual + share * (sum_size - BLOCK * usual) if usual > 0 else most
            inside, energy, sum_real, sum_imag, sum_size, most = 0, 0.0, 0.0, 0.0, 0.0, 0.0
    state[:] = real, imag, usual, float(inside), energy, sum_real, sum_imag, sum_size, most
    return bad, blocks
