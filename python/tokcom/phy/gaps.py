"""Detection of samples missing in the middle of a burst, by its pilots, which then come early.

Missing samples rotate the pilots of a symbol relative to each other or, if that rotation is a whole turn, relative to
those of the symbol before: pilots move and change sign, so that a wrong shift does not fit for long.
"""

import numpy as np

from tokcom.kernels import kernel
from tokcom.phy import grid
from tokcom.phy.burst import first_symbol_start
from tokcom.phy.numerology import CARRIERS, FFT_SIZE, SYMBOL_LENGTH
from tokcom.phy.observation import Observation

WINDOW = 6
"""OFDM symbols whose pilots are averaged to detect a gap."""
FEWEST_SEARCHED, SEARCHED = 6, 10
"""Smallest and largest number of OFDM symbols over which a shift is searched for."""
LOST = 0.4
"""Coherence of the pilots from symbol to symbol, -1 to 1, below which samples may be missing; for noise it is 0."""
FOUND = 0.5
"""Smallest coherence of the correct shift."""
CLEARLY = 0.05
"""Advantage in coherence that a larger shift needs over a smaller one."""
FEWEST, MOST = -256, 2560
"""Range of the number of missing samples; negative for surplus samples."""
ORDER = np.array(sorted(range(FEWEST, MOST + 1), key=abs))
MOST_GAPS = 8


def find_gaps(samples: np.ndarray, observation: Observation) -> np.ndarray | None:
    """Locate the symbols of a burst's payload if some of its samples are missing.

    Args:
        samples: complex64, to which the observation's sync refers.
        observation: observation of the burst as if none were missing.

    Returns:
        int64 (n,): samples by which each symbol comes early, or None if no gap is found.
    """
    n, first = len(observation.cells), observation.n_header
    if n - first < WINDOW:
        return None
    sync = observation.sync
    starts = first_symbol_start(sync.long_start, sync.profile) + SYMBOL_LENGTH * np.arange(n)
    pilots = grid.pilot_places(n)
    template = np.take_along_axis(observation.known * observation.channel.response[None], pilots, axis=1)
    bins = CARRIERS[pilots].astype(np.float64)
    straight = samples.astype(np.complex128) * np.exp(-1j * observation.frequency * np.arange(len(samples)))
    shifts = np.zeros(n, np.int64)
    at, gaps = first, 0
    while gaps < MOST_GAPS and at + WINDOW <= n:
        coherence = _coherence(straight, starts - shifts, bins, template)
        means = np.convolve(coherence[at:], np.ones(WINDOW) / WINDOW, "valid")
        low = np.flatnonzero(means < LOST)
        if not len(low):
            break
        # When the mean drops, a third of the window is still correct.
        place = at + int(low[0]) + WINDOW // 3
        if place + 1 + FEWEST_SEARCHED > n:
            break
        rows = slice(place + 1, min(place + 1 + SEARCHED, n))
        shift, found = _best_shift(straight, starts[rows] - shifts[rows], bins[rows], template[rows], ORDER)
        if shift == 0 or found < FOUND:
            at = place + 1
            continue
        moved = _coherence(straight, starts - shifts - shift, bins, template)
        after = np.cumsum((moved - coherence)[::-1])[::-1]
        begin = max(place - WINDOW, first)
        change = begin + int(np.argmax(after[begin : place + WINDOW]))
        shifts[change:] += shift
        at, gaps = change + 1, gaps + 1
    return shifts if gaps else None


@kernel
def _at(samples, start, carrier):
    """Compute the value of a carrier in a window; 0 beyond the samples."""
    total = 0j
    if start < 0 or start + FFT_SIZE > samples.shape[0]:
        return total
    step = np.exp(-2j * np.pi * carrier / FFT_SIZE)
    turn = 1 + 0j
    for i in range(FFT_SIZE):
        total += samples[start + i] * turn
        turn *= step
    return total


@kernel
def _match(samples, start, carriers, template):
    """Correlate a symbol's pilots with the template, relative to the largest possible value."""
    product, power, expected = 0j, 1e-30, 1e-30
    for p in range(4):
        value = _at(samples, start, carriers[p])
        product += np.conj(template[p]) * value
        power += value.real**2 + value.imag**2
        expected += template[p].real ** 2 + template[p].imag ** 2
    return product / np.sqrt(power * expected)


@kernel
def _coherence(samples, starts, carriers, template):
    """Measure how well each symbol's pilots fit, and agree in phase with those of the symbol before, float64 (n,)."""
    out = np.zeros(starts.shape[0])
    last = 0j
    for t in range(starts.shape[0]):
        value = _match(samples, starts[t], carriers[t], template[t])
        out[t] = (np.conj(last) * value).real
        last = value
    return out


@kernel
def _slide(samples, start, carriers, template, first, matches):
    """Fill in `_match` for windows that begin `first`, `first` + 1 … samples before `start`; nearly 0 beyond the
    samples."""
    steps, values, expected = np.exp(2j * np.pi * carriers / FFT_SIZE), np.zeros(4, np.complex128), 1e-30
    for p in range(4):
        expected += template[p].real ** 2 + template[p].imag ** 2
    known = False
    for i in range(matches.shape[0] - 1, -1, -1):
        at = start - first - i
        product, power = 0j, 1e-30
        if at < 0 or at + FFT_SIZE > samples.shape[0]:
            known = False
        else:
            for p in range(4):
                if known:
                    values[p] = (values[p] - samples[at - 1] + samples[at - 1 + FFT_SIZE]) * steps[p]
                else:
                    values[p] = _at(samples, at, carriers[p])
                product += np.conj(template[p]) * values[p]
                power += values[p].real ** 2 + values[p].imag ** 2
            known = True
        matches[i] = product / np.sqrt(power * expected)


@kernel
def _best_shift(samples, starts, carriers, template, order):
    """Find the shift at which the pilots of consecutive symbols agree best, sign included, and its coherence."""
    n, fewest = starts.shape[0], order.min()
    count = order.max() - fewest + 1
    product = np.empty((n, count), np.complex128)
    for t in range(n):
        _slide(samples, starts[t], carriers[t], template[t], fewest, product[t])
    best, at = -1.0, 0
    for shift in order:
        i, total = shift - fewest, 0.0
        for t in range(1, n):
            total += (np.conj(product[t - 1, i]) * product[t, i]).real
        if total / (n - 1) > best + CLEARLY:
            best, at = total / (n - 1), shift
    return at, best
