"""How well a description of the channel explains the payload, before anything is decoded.

Every data cell holds a point of a constellation that the header names. The received cells' distances from the nearest
points, and the likelihood of a cell with its point unknown, tell where noise is louder than the header promised
(collisions, impulses, carriers, silence) and which of several descriptions of the channel is right. Levels of noise are
hidden states of two Markov chains: one along the OFDM symbols, and one for every carrier (forward-backward algorithm;
Rabiner, Proc. IEEE 77(2), 1989). What neither tells is the share of a symbol's cells that stray, such as the twelve
carriers of another burst's short training: their noise is a mixture, and none of them may say more than that allows.
"""

from dataclasses import dataclass
from functools import lru_cache

import numba
import numpy as np

KNOWN = 0
"""Order of a cell whose value is known. Others: levels a component of the cell's constellation; 1 for BPSK, whose only
component has two."""
LOG_RATIOS = np.arange(-4, 6.01, 0.25)
"""log2 of half the distance between levels over a component's standard deviation, where mean distances are tabled."""
FACTORS = 2.0 ** np.arange(-2, 14)
"""Levels of noise, relative to the noise that is expected."""
USUAL = 2
"""Number of the level 1 among FACTORS."""
STAY = 0.95
"""Probability that an OFDM symbol is as loud as the one before."""
RETURN = 0.3
"""Share of changes that go to the usual level."""
CARRIER_STAY = 0.98
CARRIER_USUAL = 0.9
"""Prior probability that a carrier is as loud as all others."""
SUSPICION = 4.0
"""Nepers by which a stretch of a carrier must speak for louder noise before its states are weighed."""
SAME = 1e-6
"""Share by which ratios of the same gain and noise may differ: by rounding."""
BOUND = np.float32(6)
"""Nepers that one cell may say against a level: of a symbol in which a few carriers are hit, the others decide."""
STEP_CELLS = 20.0
"""Cells that speak beforehand for a level to be on its step: it is moved to where between the steps the noise is."""
SURE = 0.25
"""Steps that a symbol's mean level may be off one for it to be moved."""
FARTHEST = 0.6
"""Steps that it is moved at most."""
USUAL_CELLS, STRAY_CELLS = 40.0, 0.4
"""Cells that speak beforehand for a symbol's cells to be as loud as the symbol, and for them to be louder."""
STRAY_ROUNDS = 6


HALF_DISTANCES = np.array([0.0, 1.0] + [np.sqrt(1.5 / (order**2 - 1)) for order in range(2, 17)])
"""float64 (17,): half the distance between neighbouring levels of a component, constellations of unit mean power."""


POWER_VARIANCES = np.array([0.0, 0.0] + [0.4 * (order**2 - 4) / (order**2 - 1) for order in range(2, 17)])
"""float64 (17,): variance of the power of a constellation's points, whose mean is 1."""


@lru_cache(maxsize=1)
def nearest_distances() -> np.ndarray:
    """Mean and variance of the squared distance of a component from its nearest level, in noise variances of the
    component, float64 (2, 17, len(LOG_RATIOS)), by number of levels."""
    out = np.zeros((2, 17, len(LOG_RATIOS)))
    noise = np.linspace(-7, 7, 1401)
    weight = np.exp(-0.5 * noise**2)
    weight /= weight.sum()
    for levels in (2, 4, 8, 16):
        for column, ratio in enumerate(2.0**LOG_RATIOS):
            points = (2 * np.arange(levels) - (levels - 1)) * ratio
            received = points[levels // 2 :, None] + noise
            rank = np.clip(np.round((received / ratio + levels - 1) / 2), 0, levels - 1)
            squared = (received - (2 * rank - (levels - 1)) * ratio) ** 2
            mean = (squared @ weight).mean()
            out[:, levels, column] = mean, ((squared**2) @ weight).mean() - mean**2
    out[:, 1] = out[:, 2]
    return out


@dataclass(frozen=True)
class NoiseLevels:
    """What was heard in a payload.

    Attributes:
        factor: float64 (n, 52), noise of each cell, relative to what was expected: as strong as makes Gaussian noise
            tell the nearest point from a neighbour no better than the mixture does that the cell's noise is from.
        evidence: log-likelihood of all cells.
    """

    factor: np.ndarray
    evidence: float


def excess(
    cells: np.ndarray, reference: np.ndarray, noise: np.ndarray, known: np.ndarray, order: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """By how much more than channel and noise explain the cells miss their nearest points, and what power they have.

    Args:
        cells: complex64 (n, 52), received.
        reference: complex64 (n, 52), the channel.
        noise: float64 (n, 52), noise variance.
        known: complex64 (n, 52), values of known cells.
        order: uint8 (n, 52), KNOWN or the constellation's levels a component.

    Returns:
        float64 (2, n, 52): squared distance less its mean, in noise variances; and power less its mean, in units of
        that. And the variance of both, of the same shape.
    """
    more, variance = np.empty((2, *cells.shape)), np.empty((2, *cells.shape))
    _excess(cells, reference, noise, known, order, nearest_distances(), more, variance)
    return more, variance


def noise_levels(
    cells: np.ndarray, reference: np.ndarray, noise: np.ndarray, known: np.ndarray, order: np.ndarray
) -> NoiseLevels:
    """How loud each cell is; arguments as those of `excess`."""
    likelihood = np.empty((*cells.shape, len(FACTORS)), np.float32)
    nearest, apart = np.empty(cells.shape), np.empty(cells.shape)
    _likelihoods(cells, reference, noise, known, order, likelihood, nearest, apart)
    said = np.maximum(likelihood, likelihood.max(axis=2, keepdims=True) - BOUND)
    carriers = np.zeros(cells.shape)
    for _ in range(2):
        rows, evidence = _rows(said, carriers)
        _carriers(said, rows, carriers)
    rows, evidence = _rows(said, carriers)
    factor = np.empty(cells.shape)
    _stray(likelihood, nearest, apart, rows, carriers, factor)
    return NoiseLevels(factor, evidence)


@numba.njit(cache=True, nogil=True)
def _nearest(value, levels, half):
    """Distance of a component from its nearest level."""
    rank = np.floor((value / half + levels) / 2)
    rank = min(max(rank, 0.0), levels - 1.0)
    return value - (2 * rank - (levels - 1)) * half


@numba.njit(cache=True, nogil=True, error_model="numpy")
def _excess(cells, reference, noise, known, order, table, more, variance):
    first, step = LOG_RATIOS[0], LOG_RATIOS[1] - LOG_RATIOS[0]
    last = LOG_RATIOS.shape[0] - 1
    # Of a carrier at rest, all cells of one constellation have the same ratio, and a logarithm takes its time.
    usual = np.full((17, cells.shape[1]), -1.0)
    means, spreads = np.zeros(usual.shape), np.zeros(usual.shape)
    for t in range(cells.shape[0]):
        for k in range(cells.shape[1]):
            h, cell = reference[t, k], cells[t, k]
            gain = h.real * h.real + h.imag * h.imag
            levels = order[t, k]
            power = gain
            if levels == KNOWN:
                power *= known[t, k].real ** 2 + known[t, k].imag ** 2
            total = power + noise[t, k]
            more[1, t, k] = (cell.real**2 + cell.imag**2) / total - 1
            spread = POWER_VARIANCES[levels] * power * power + (2 * power + noise[t, k]) * noise[t, k]
            variance[1, t, k] = spread / (total * total)
            if levels == KNOWN:
                error = cell - h * known[t, k]
                more[0, t, k] = (error.real * error.real + error.imag * error.imag) / noise[t, k] - 1
                variance[0, t, k] = 1
                continue
            scale = gain / noise[t, k]
            half = HALF_DISTANCES[levels]
            if abs(scale - usual[levels, k]) > SAME * scale:
                # A component has half of the noise.
                place = (0.5 * np.log2(max(2 * half * half * scale, 1e-12)) - first) / step
                place = min(max(place, 0.0), last - 1e-6)
                low = int(place)
                share = place - low
                usual[levels, k] = scale
                means[levels, k] = table[0, levels, low] * (1 - share) + table[0, levels, low + 1] * share
                spreads[levels, k] = table[1, levels, low] * (1 - share) + table[1, levels, low + 1] * share
            mean, spread = means[levels, k], spreads[levels, k]
            inverse = 1 / max(gain, 1e-30)
            real = (cell.real * h.real + cell.imag * h.imag) * inverse
            imag = (cell.imag * h.real - cell.real * h.imag) * inverse
            if levels == 1:
                a, b = _nearest(real, 2, half), imag
                mean, spread = 0.5 * (mean + 1), 0.25 * (spread + 2)
            else:
                a, b = _nearest(real, levels, half), _nearest(imag, levels, half)
                spread *= 0.5
            more[0, t, k] = (a * a + b * b) * scale - mean
            variance[0, t, k] = spread


@numba.njit(cache=True, nogil=True, fastmath=True)
def _component(value, levels, half, scale, work, out):
    """Adds the log-likelihoods of a component under all factors; scale: the inverse of twice its noise variance."""
    n = out.shape[0]
    nearest = _nearest(value, levels, half)
    least = nearest * nearest * scale
    inverse = np.float32(1 / FACTORS[n - 1])
    for level in range(levels):
        distance = value - (2 * level - (levels - 1)) * half
        work[level] = np.exp(-np.float32(distance * distance * scale - least) * inverse)
    for i in range(n - 1, -1, -1):
        total = np.float32(0)
        for level in range(levels):
            total += work[level]
            # Halving the noise squares what a point's distance leaves of its likelihood.
            work[level] *= work[level]
        out[i] += np.log(total / levels) - np.float32(least / FACTORS[i])


@numba.njit(cache=True, nogil=True)
def _likelihoods(cells, reference, noise, known, order, out, nearest, apart):
    """Fills in the log-likelihood of every cell at all levels of noise, (n, 52, levels), its squared distance from the
    nearest point and the squared distance between points, in noise variances, (n, 52) each; 0 where it is known."""
    work = np.empty(16, np.float32)
    line = np.empty(out.shape[2], np.float32)
    for t in range(cells.shape[0]):
        for k in range(cells.shape[1]):
            h = reference[t, k]
            gain = h.real * h.real + h.imag * h.imag
            levels = order[t, k]
            for i in range(line.shape[0]):
                line[i] = -np.log(np.float32(noise[t, k] * FACTORS[i]))
            if levels == KNOWN:
                error = cells[t, k] - h * known[t, k]
                squared = (error.real * error.real + error.imag * error.imag) / noise[t, k]
                nearest[t, k], apart[t, k] = squared, 0
                for i in range(line.shape[0]):
                    line[i] -= np.float32(squared / FACTORS[i])
            else:
                y = cells[t, k] * np.conj(h) / max(gain, 1e-30)
                scale = gain / noise[t, k]
                half = HALF_DISTANCES[levels]
                apart[t, k] = 4 * half * half * scale
                a = _nearest(y.real, max(levels, 2), half)
                b = y.imag if levels == 1 else _nearest(y.imag, levels, half)
                nearest[t, k] = (a * a + b * b) * scale
                if levels == 1:
                    _component(y.real, 2, half, scale, work, line)
                    for i in range(line.shape[0]):
                        line[i] -= np.float32(y.imag * y.imag * scale / FACTORS[i])
                else:
                    _component(y.real, levels, half, scale, work, line)
                    _component(y.imag, levels, half, scale, work, line)
            out[t, k] = line


@numba.njit(cache=True, nogil=True)
def _chain(emission, start, stay, jump):
    """Mean state of a Markov chain at each step, and the log-evidence. emission: log, (n, states); start, jump:
    probabilities of states at first and after a change."""
    n, states = emission.shape
    forward, mean = np.empty((n, states)), np.empty(n)
    evidence = 0.0
    for t in range(n):
        peak = emission[t].max()
        total = 0.0
        for i in range(states):
            prior = start[i] if t == 0 else stay * forward[t - 1, i] + (1 - stay) * jump[i]
            forward[t, i] = prior * np.exp(emission[t, i] - peak)
            total += forward[t, i]
        forward[t] /= total
        evidence += peak + np.log(total)
    back, likely = np.ones(states), np.empty(states)
    for t in range(n - 1, -1, -1):
        total, mean[t] = 0.0, 0.0
        for i in range(states):
            posterior = forward[t, i] * back[i]
            total += posterior
            mean[t] += i * posterior
        mean[t] /= total
        peak = emission[t].max()
        for i in range(states):
            likely[i] = back[i] * np.exp(emission[t, i] - peak)
        change = np.sum(jump * likely)
        back = stay * likely + (1 - stay) * change
        back /= back.max()
    return mean, evidence


@numba.njit(cache=True, nogil=True)
def _rows(likelihood, carriers):
    """log2 of the noise of each symbol, relative to the usual, and the evidence, where carriers (n, 52) are known to be
    louder by so many powers of two."""
    n, k, states = likelihood.shape
    emission = np.zeros((n, states))
    for t in range(n):
        for i in range(k):
            louder = int(np.round(carriers[t, i]))
            for state in range(states):
                emission[t, state] += likelihood[t, i, min(state + louder, states - 1)]
    start = np.full(states, 0.5 / (states - 1))
    start[USUAL] = 0.5
    jump = np.full(states, (1 - RETURN) / (states - 1))
    jump[USUAL] = RETURN
    mean, evidence = _chain(emission, start, STAY, jump)
    _between(emission, mean)
    return mean - USUAL, evidence


@numba.njit(cache=True, nogil=True)
def _between(emission, mean):
    """Moves levels to where they are between the steps, one value for symbols in a row on the same step.

    The log-likelihood of n errors whose mean square is r times the variance is -n (x log 2 + r 2**-x) at x steps of a
    factor 2; r follows from its difference and curvature at -1, 0 and 1.
    """
    n, states = emission.shape
    first = 0
    while first < n:
        state = int(np.round(mean[first]))
        last = first
        while last < n and int(np.round(mean[last])) == state:
            last += 1
        if 0 < state < states - 1:
            below, here, above = 0.0, 0.0, 0.0
            for t in range(first, last):
                below += emission[t, state - 1]
                here += emission[t, state]
                above += emission[t, state + 1]
            curvature = 2 * here - below - above + 0.5 * STEP_CELLS
            difference = above - below + (1.5 - 2 * np.log(2)) * STEP_CELLS
            if curvature > 0 and 3 * curvature > difference:
                move = np.log2(4 * np.log(2) * curvature / (3 * curvature - difference))
                for t in range(first, last):
                    if abs(mean[t] - state) < SURE:
                        mean[t] = state + min(max(move, -FARTHEST), FARTHEST)
        first = last


@numba.njit(cache=True, nogil=True)
def _stray(likelihood, nearest, apart, rows, carriers, out):
    """Fills in how loud each cell is where some in a symbol may be louder than the others, no matter which.

    How many, and by how much, the symbol's cells tell (expectation maximisation). Of a mixture of levels no variance is
    true everywhere; each cell gets the one that leaves the odds between its nearest point and a neighbour as they are.
    """
    n, k, states = likelihood.shape
    weights, counts, told = np.empty(states), np.empty(states), np.empty((k, states))
    for t in range(n):
        state = int(np.round(rows[t])) + USUAL
        levels = states - state
        prior = STRAY_CELLS / max(levels - 1, 1)
        every = k + USUAL_CELLS + STRAY_CELLS
        weights[0], weights[1:levels] = (every - STRAY_CELLS) / every, prior / every
        strays = False
        for i in range(k):
            first = min(state + int(np.round(carriers[t, i])), states - 1)
            peak = likelihood[t, i, first:].max()
            strays |= peak - likelihood[t, i, first] > SUSPICION
            for j in range(levels):
                told[i, j] = np.exp(likelihood[t, i, min(first + j, states - 1)] - peak)
        for _ in range(STRAY_ROUNDS if strays else 0):
            counts[0], counts[1:levels] = USUAL_CELLS, prior
            for i in range(k):
                total = 1e-30
                for j in range(levels):
                    total += weights[j] * told[i, j]
                for j in range(levels):
                    counts[j] += weights[j] * told[i, j] / total
            weights[:levels] = counts[:levels] / every
        for i in range(k):
            usual = 2.0 ** (rows[t] + carriers[t, i])
            near = nearest[t, i] / usual
            far = near + max(apart[t, i] / usual, 1e-4)
            odds = _log_mixture(near, weights[:levels]) - _log_mixture(far, weights[:levels])
            out[t, i] = usual * (far - near) / max(odds, 1e-9)


@numba.njit(cache=True, nogil=True)
def _log_mixture(distance, weights):
    """Log-likelihood of a squared distance in noise whose variance is 1, 2, 4 and so on with these probabilities."""
    # From the loudest down: halving the noise squares what a distance leaves, beside that of the loudest.
    loudest = len(weights) - 1
    least = distance / 2.0**loudest
    step, left, total = np.exp(-least), 1.0, 0.0
    for j in range(loudest, -1, -1):
        total += weights[j] / 2.0**j * left
        left *= left * step
    return np.log(max(total, 1e-300)) - least


@numba.njit(cache=True, nogil=True)
def _carriers(likelihood, rows, out):
    """log2 of the noise of each carrier along the symbols, relative to that of the symbols."""
    n, k, states = likelihood.shape
    louder = states - USUAL
    start = np.full(louder, (1 - CARRIER_USUAL) / (louder - 1))
    start[0] = CARRIER_USUAL
    emission = np.empty((n, louder))
    for i in range(k):
        for t in range(n):
            state = int(np.round(rows[t])) + USUAL
            for j in range(louder):
                emission[t, j] = likelihood[t, i, min(state + j, states - 1)]
        if _suspect(emission):
            out[:, i] = _chain(emission, start, CARRIER_STAY, start)[0]
        else:
            out[:, i] = 0


@numba.njit(cache=True, nogil=True)
def _suspect(emission):
    """Whether any stretch of symbols speaks for another state than the first one by more than chance."""
    for j in range(1, emission.shape[1]):
        stretch = 0.0
        for t in range(emission.shape[0]):
            stretch = max(stretch + emission[t, j] - emission[t, 0], 0.0)
            if stretch > SUSPICION:
                return True
    return False
