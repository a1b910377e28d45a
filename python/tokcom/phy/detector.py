"""Detection of preambles in an unbounded stream, in constant memory.

The short training repeats every 16 samples: where the correlation of the signal with itself 16 samples earlier exceeds
a threshold relative to its energy, a burst may begin (Schmidl and Cox, IEEE Trans. Commun. 45(12), 1997). Tones repeat,
too: their prediction is subtracted first. An echo of opposite sign, 16 samples late, cancels the short training, but
not the long one, whose symbols repeat, too: a second detector looks for those.

Around each candidate, matched filters search for the long training. Products of their outputs from one long symbol to
the next add up coherently at any frequency offset; this yields time, profile and frequency, and rejects noise and other
periodic signals.
"""

from dataclasses import dataclass
from math import ceil

import numpy as np

from tokcom.kernels import kernel
from tokcom.phy.narrowband import LAG, RENEWAL
from tokcom.phy.numerology import FFT_SIZE, SHORT_PERIOD, SYMBOL_LENGTH
from tokcom.phy.profile import Profile
from tokcom.phy.synchronization import Synchronization

BLOCK = 8
"""Samples per value of the metric."""
BACKOFF = 4
"""Samples by which windows begin before the estimated first path, to allow for its error."""
LOOKBACK = 20
"""Samples before the strongest path in which the first path is searched for."""
PATH_SHARE = 0.1
"""Smallest power, relative to the strongest path, of a path that may be the first."""
PATH_FLOOR = 5.0 / FFT_SIZE
"""Smallest share of the energy in a first path, with two long symbols; noise has 1/64."""
LARGEST_FREQUENCY = 0.5
"""Largest offset in rad/sample at which a long training is searched for. Six carriers further, one with an inverted
spectrum looks valid."""
NOT_SHORT = 2.0
"""Factor by which a long training's squared correlation at its spacing must exceed that at 16 samples. Tones and short
trainings correlate equally at both; an equal echo 16 samples late leaves a quarter."""
LEAST_SETTLED = 2 * SYMBOL_LENGTH // BLOCK
"""Blocks without a further rise after which a long training's correlation has peaked: by then the short training,
nearly always the more informative, has been processed."""
LONG_REACH = 40
"""Samples on each side of the peak of its correlation in which a long training may end: the peak is broad, and echoes
have their own."""


@dataclass(frozen=True)
class Candidate:
    """Position at which a training may end.

    Attributes:
        end: index of the sample after the detector's window.
        frequency: in rad/sample, up to a multiple of 2 pi / lag.
        known_at: index of the sample after the last one needed for the detection.
        metric: share of the energy that repeats, 0 to 1.
        tonal: whether a tone was subtracted for the detection.
        lag: period in samples: 16 in a short training, the profile's `long_spacing` in a long one.
    """

    end: int
    frequency: float
    known_at: int
    metric: float
    tonal: bool
    lag: int = SHORT_PERIOD


class ShortTrainingDetector:
    """Detector of one profile's short trainings in a stream.

    Args:
        profile: the profile, which sets window and threshold.
    """

    def __init__(self, profile: Profile):
        self._blocks = profile.window // BLOCK
        self._threshold = profile.threshold
        self._longest = 2 * self._blocks
        self.reset()

    def reset(self) -> None:
        """Forget the stream."""
        self._sums = np.zeros((4, self._blocks))
        self._window = np.zeros(5)
        self._state = np.zeros(6)

    def push(self, sums: np.ndarray, first: int) -> list[Candidate]:
        """Process the next blocks and return the candidates that end within them.

        Args:
            sums: float64 (4, n): the first three rows of `block_sums`, and 1 for blocks from which a tone was
                subtracted, else 0.
            first: index of the first block's first sample.
        """
        history = np.concatenate([self._sums, sums], axis=1)
        found = np.empty((sums.shape[1] // 2 + 2, 5))
        count = _scan(history, self._blocks, self._threshold, self._longest, self._window, self._state, found)
        self._sums = history[:, -self._blocks :].copy()
        return _candidates(found[:count], first, SHORT_PERIOD)


class LongTrainingDetector:
    """Detector of one profile's long trainings in a stream, by a correlation at the spacing of their symbols that is
    absent at 16 samples.

    Args:
        profile: the profile.
    """

    def __init__(self, profile: Profile):
        signs = np.array(profile.long_signs, np.float64)
        # The last 16 samples of a symbol's guard, which echoes do not disturb, repeat with it.
        weights = np.repeat(signs[1:] * signs[:-1], SYMBOL_LENGTH // BLOCK)
        self._weights = weights[::-1].copy()
        padded = np.concatenate([[0.0], self._weights, [0.0]])
        self._edges = np.flatnonzero(np.diff(padded))
        self._steps = np.diff(padded)[self._edges]
        # Shifted by whole symbols, a part still repeats.
        self._settled = max(len(weights), LEAST_SETTLED)
        self._lag = profile.long_spacing
        self._threshold = profile.repeat_threshold
        self.reset()

    def reset(self) -> None:
        """Forget the stream."""
        self._sums = np.zeros((6, len(self._weights) + self._lag // BLOCK))
        self._window = np.zeros(7)
        self._state = np.zeros(7)

    def push(self, sums: np.ndarray, repeated: np.ndarray, first: int) -> list[Candidate]:
        """Process the next blocks and return the candidates that end within them.

        Args:
            sums: float64 (4, n), as `ShortTrainingDetector.push` takes it.
            repeated: float64 (2, n), `lag_sums` at the profile's spacing.
            first: index of the first block's first sample.
        """
        kept = self._sums.shape[1]
        history = np.empty((6, kept + sums.shape[1]))
        history[:, :kept], history[:4, kept:], history[4:, kept:] = self._sums, sums, repeated
        found = np.empty((sums.shape[1] // LEAST_SETTLED + 2, 5))
        count = _scan_long(
            history, self._weights, self._edges, self._steps, self._lag // BLOCK, self._threshold,
            self._settled, self._window, self._state, found,
        )  # fmt: skip
        self._sums = history[:, -kept:].copy()
        return _candidates(found[:count], first, self._lag)


def _candidates(found: np.ndarray, first: int, lag: int) -> list[Candidate]:
    return [
        Candidate(
            end=first + BLOCK * int(at + 1),
            frequency=float(angle) / lag,
            known_at=first + BLOCK * int(known_at + 1),
            metric=min(float(metric), 1.0),
            tonal=bool(tonal),
            lag=lag,
        )
        for at, angle, known_at, metric, tonal in found
    ]


def block_sums(samples: np.ndarray) -> np.ndarray:
    """Sum correlations and energy over blocks of 8 samples.

    Args:
        samples: complex64 (16 + 8 n,): 16 samples of history, then n blocks.

    Returns:
        float64 (5, n): real and imaginary part of the correlation at 16 samples, energy, and the correlation at 4.
    """
    out = np.empty((5, (len(samples) - SHORT_PERIOD) // BLOCK))
    _block_sums(samples.view(np.float32), out)
    return out


@kernel(fastmath=True)
def _block_sums(x, out):
    """Sum blocks of x, which holds real and imaginary parts alternately."""
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
            s, t = x[k - 2 * LAG], x[k - 2 * LAG + 1]
            qr += a * s + c * t
            qi += c * s - a * t
        out[0, b], out[1, b], out[2, b], out[3, b], out[4, b] = pr, pi, e / 2, qr, qi


def lag_sums(samples: np.ndarray, lags: np.ndarray) -> np.ndarray:
    """Correlate samples with earlier samples at given lags, summed over blocks of 8 samples.

    Args:
        samples: complex64 (most + 8 n,): as many samples of history as the longest lag, then n blocks.
        lags: int64 (k,), in samples.

    Returns:
        float64 (k, 2, n): real and imaginary part of each correlation.
    """
    history = int(lags.max())
    out = np.empty((len(lags), 2, (len(samples) - history) // BLOCK))
    for first in range(0, len(lags) - 1, 2):
        _lag_sums_of_two(samples.view(np.float32), history, lags[first], lags[first + 1], out[first], out[first + 1])
    if len(lags) % 2:
        _lag_sums_of_two(samples.view(np.float32), history, lags[-1], lags[-1], out[-1], out[-1])
    return out


@kernel(fastmath=True)
def _lag_sums_of_two(x, history, one, other, out, also):
    """Sum two lags of x, which holds real and imaginary parts alternately; two at once, since reading x dominates."""
    for b in range(out.shape[1]):
        start = 2 * (history + b * BLOCK)
        pr, pi, qr, qi = np.float32(0), np.float32(0), np.float32(0), np.float32(0)
        for i in range(BLOCK):
            k = start + 2 * i
            a, c = x[k], x[k + 1]
            u, v = x[k - 2 * one], x[k - 2 * one + 1]
            pr += a * u + c * v
            pi += c * u - a * v
            s, t = x[k - 2 * other], x[k - 2 * other + 1]
            qr += a * s + c * t
            qi += c * s - a * t
        out[0, b], out[1, b] = pr, pi
        also[0, b], also[1, b] = qr, qi


@kernel
def _scan(sums, window, threshold, longest, p, state, found):
    """Scan blocks for peaks of the metric. p: sums over the window, and blocks since they were recomputed. state:
    blocks since the metric rose above the threshold (0: it has not), the largest correlation since, blocks since that,
    its angle, its metric, and 1 if a tone was subtracted from most of its window."""
    count = 0
    real, imag, energy, tonal = p[0], p[1], p[2], p[3]
    age, risen = int(p[4]), int(state[0])
    for b in range(window, sums.shape[1]):
        age += 1
        if age == RENEWAL:
            age = 0
            real, imag, energy, tonal = 0.0, 0.0, 0.0, 0.0
            for j in range(b - window + 1, b + 1):
                real, imag, energy = real + sums[0, j], imag + sums[1, j], energy + sums[2, j]
                tonal += sums[3, j]
        else:
            real += sums[0, b] - sums[0, b - window]
            imag += sums[1, b] - sums[1, b - window]
            energy += sums[2, b] - sums[2, b - window]
            tonal += sums[3, b] - sums[3, b - window]
        correlation = real * real + imag * imag
        above = correlation > threshold * energy * energy and energy > 0
        if not above and risen == 0:
            continue
        if risen > 0:
            risen += 1
            state[2] += 1
        if above:
            if risen == 0:
                risen, state[1] = 1, 0
            if correlation > state[1]:
                state[1], state[2], state[3] = correlation, 0, np.arctan2(imag, real)
                state[4], state[5] = np.sqrt(correlation) / energy, 1.0 if 2 * tonal > window else 0.0
        over = not above or correlation < 0.5 * state[1] or risen > longest
        if over and state[2] > 0:
            found[count, 0] = b - window - state[2]
            found[count, 1] = state[3]
            found[count, 2] = b - window
            found[count, 3] = state[4]
            found[count, 4] = state[5]
            count += 1
            risen = 0
    p[:] = real, imag, energy, tonal, float(age)
    state[0] = risen
    return count


@kernel
def _scan_long(sums, weights, edges, steps, lag, threshold, settled, p, state, found):
    """Scan blocks for long trainings. weights: of each block of the window, last block first; they change at edges.
    lag: in blocks. p: weighted sums over the window, the sums of `_scan`, and blocks since they were recomputed. state:
    as in `_scan`, then the number of blocks above the threshold."""
    count, window = 0, weights.shape[0]
    first, longest = window + lag, 2 * (window + lag)
    real, imag, energy, tonal, short_real, short_imag = p[0], p[1], p[2], p[3], p[4], p[5]
    age = int(p[6])
    for b in range(first, sums.shape[1]):
        age += 1
        if age == RENEWAL:
            age = 0
            real, imag, energy, tonal, short_real, short_imag = 0.0, 0.0, 0.0, 0.0, 0.0, 0.0
            for j in range(window):
                real, imag = real + weights[j] * sums[4, b - j], imag + weights[j] * sums[5, b - j]
                energy += 0.5 * (sums[2, b - j] + sums[2, b - j - lag])
                tonal += sums[3, b - j]
                short_real, short_imag = short_real + sums[0, b - j], short_imag + sums[1, b - j]
        else:
            more_real, more_imag = 0.0, 0.0
            for j in range(edges.shape[0]):
                more_real += steps[j] * sums[4, b - edges[j]]
                more_imag += steps[j] * sums[5, b - edges[j]]
            real += more_real
            imag += more_imag
            energy += 0.5 * (sums[2, b] - sums[2, b - window] + sums[2, b - lag] - sums[2, b - window - lag])
            tonal += sums[3, b] - sums[3, b - window]
            short_real += sums[0, b] - sums[0, b - window]
            short_imag += sums[1, b] - sums[1, b - window]
        correlation = real * real + imag * imag
        above = correlation > threshold * energy * energy and energy > 0
        above = above and correlation > NOT_SHORT * (short_real * short_real + short_imag * short_imag)
        if not above and state[0] == 0:
            continue
        if not above and state[2] >= settled:
            # A correlation that persists is not a training.
            if state[6] <= longest:
                found[count, 0], found[count, 1], found[count, 2] = b - first - state[2], state[3], b - first
                found[count, 3], found[count, 4] = state[4], state[5]
                count += 1
            state[:] = 0
            continue
        state[0] += 1
        state[2] += 1
        state[6] += above
        if above and correlation > state[1]:
            state[1], state[2], state[3] = correlation, 0, np.arctan2(imag, real)
            state[4], state[5] = np.sqrt(correlation) / energy, 1.0 if 2 * tonal > window else 0.0
    p[:] = real, imag, energy, tonal, short_real, short_imag, float(age)
    return count


def places(profile: Profile, candidate: Candidate) -> tuple[int, int]:
    """Return the first sample at which a candidate's first long symbol may begin, and the end of its last long
    symbol."""
    span = profile.preamble_length - profile.long_start
    if candidate.lag == SHORT_PERIOD:
        reach, middle = profile.window // 3, candidate.end + profile.long_guard
    else:
        reach, middle = LONG_REACH, candidate.end - span
    return middle - reach, middle + reach + span


def long_training(
    samples: np.ndarray,
    first: int,
    profile: Profile,
    frequency: float,
    threshold: float = 0.0,
    lag: int = SHORT_PERIOD,
) -> Synchronization | None:
    """Search for the long training.

    Args:
        samples: complex64; they must reach the end of the last long symbol from each searched position.
        first: index of the first position of the first long symbol; as many are searched as `samples` allow.
        profile: profile of the long training.
        frequency: offset in rad/sample, up to a multiple of 2 pi / lag.
        threshold: smallest share of the energy in the long training, if larger than the profile's.
        lag: lag in samples of the correlation that gave the frequency.

    Returns:
        Position of the burst, or None without a long training.
    """
    span = (len(profile.long_signs) - 1) * profile.long_spacing + FFT_SIZE
    places = len(samples) - first - span + 1
    if places < 1:
        return None
    signs = np.array(profile.long_signs, np.float64)
    share, offset, turn, path = _seek(
        samples[first:], profile.long_symbol, aliases(frequency, lag), profile.long_spacing, signs[1:] * signs[:-1],
        places,
    )  # fmt: skip
    if share < max(profile.long_threshold, threshold):
        return None
    residual = np.angle(turn * np.exp(-1j * offset * profile.long_spacing)) / profile.long_spacing
    return Synchronization(profile, first + max(path - BACKOFF, -first), float(offset + residual), min(share, 1.0))


def aliases(frequency: float, lag: int) -> np.ndarray:
    """List the frequencies in rad/sample, float64 (n,), to just beyond LARGEST_FREQUENCY, that a correlation at a lag
    cannot distinguish from one: they are 2 pi / lag apart."""
    most = ceil(LARGEST_FREQUENCY * lag / (2 * np.pi) - 0.5)
    return frequency + 2 * np.pi / lag * np.arange(-most, most + 1)


@kernel
def _seek(samples, symbol, frequencies, spacing, steps, places):
    """Find the best of all positions and frequencies: metric, frequency, product, and position of the first path, which
    need not be the strongest."""
    length = symbol.shape[0]
    metric, best_metric = np.empty(places), np.empty(places)
    product = np.empty(places, np.complex128)
    best, at, offset, turn = -1.0, 0, 0.0, 0j
    reference = np.empty(length, np.complex64)
    for tried in frequencies:
        for k in range(length):
            reference[k] = np.conj(symbol[k]) * np.exp(-1j * tried * k)
        _match(samples, reference, spacing, steps, metric, product)
        place = np.argmax(metric)
        if metric[place] > best:
            best, at, offset, turn = metric[place], place, tried, product[place]
            best_metric[:] = metric
    floor = max(PATH_SHARE * best, PATH_FLOOR / np.sqrt(steps.shape[0]))
    path = max(0, at - LOOKBACK)
    while path < at and best_metric[path] <= floor:
        path += 1
    return best, offset, turn, path


@kernel
def _match(samples, reference, spacing, steps, metric, product):
    places, length = metric.shape[0], reference.shape[0]
    n_outputs = places + spacing * steps.shape[0]
    real, imag = np.zeros(n_outputs, np.float32), np.zeros(n_outputs, np.float32)
    _filter(samples.real.copy(), samples.imag.copy(), reference, real, imag)
    energy = np.empty(n_outputs)
    total = 0.0
    for n in range(n_outputs + length - 1):
        total += samples[n].real ** 2 + samples[n].imag ** 2
        if n >= length:
            total -= samples[n - length].real ** 2 + samples[n - length].imag ** 2
        if n >= length - 1:
            energy[n - length + 1] = total
    for n in range(places):
        total_real, total_imag = 0.0, 0.0
        for j in range(steps.shape[0]):
            m, k = n + j * spacing, n + (j + 1) * spacing
            # Normalise each pair by its own energy: a loud one must not dominate.
            scale = steps[j] / (0.5 * (energy[m] + energy[k]) + 1e-30)
            total_real += scale * (real[k] * real[m] + imag[k] * imag[m])
            total_imag += scale * (imag[k] * real[m] - real[k] * imag[m])
        product[n] = complex(total_real, total_imag)
        metric[n] = abs(product[n]) / (steps.shape[0] * length)


@kernel(fastmath=True)
def _filter(a, b, reference, real, imag):
    """Filter with the outputs in the inner loop, which vectorises."""
    for k in range(reference.shape[0]):
        u, v = reference[k].real, reference[k].imag
        for n in range(real.shape[0]):
            real[n] += a[n + k] * u - b[n + k] * v
            imag[n] += a[n + k] * v + b[n + k] * u
