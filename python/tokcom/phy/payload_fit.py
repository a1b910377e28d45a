"""Fit of a description of the channel to the payload, before decoding.

Every data cell holds a point of a constellation that the header names. The received cells' distances from the nearest
points, and the likelihood of a cell with its point unknown, show where noise is louder than in the header (collisions,
impulses, carriers, silence) and which of several descriptions of the channel is right. Levels of noise are hidden
states of two Markov chains: one along the OFDM symbols, and one for every carrier (forward-backward algorithm; Rabiner,
Proc. IEEE 77(2), 1989). Neither models outliers within a symbol, such as the twelve carriers of another burst's short
training: their noise is a mixture, which limits the LLR of every cell.
"""

from dataclasses import dataclass
from functools import lru_cache

import numpy as np

from tokcom.kernels import kernel

KNOWN = 0
"""Order of a cell whose value is known. Other orders are the levels per component of the cell's constellation; 1 for
BPSK, whose only component has two."""
LOG_RATIOS = np.arange(-4, 6.01, 0.25)
"""Abscissae of the table of mean distances: log2 of half the distance between levels over a component's standard
deviation."""
FACTORS = 2.0 ** np.arange(-2, 14)
"""Levels of noise, relative to the expected noise."""
LOG_FACTORS = np.log(FACTORS)
USUAL = 2
"""Index of the level 1 among FACTORS."""
STAY = 0.95
"""Probability that an OFDM symbol is as loud as the one before."""
RETURN = 0.3
"""Share of changes that go to the usual level."""
CARRIER_STAY = 0.98
CARRIER_USUAL = 0.9
"""Prior probability that a carrier is as loud as the others."""
SUSPICION = 4.0
"""Evidence in nepers for louder noise on a stretch of a carrier, above which its states are estimated."""
SAME = 1e-6
"""Relative difference, due to rounding, between ratios of the same gain and noise."""
BOUND = np.float32(6)
"""Largest evidence of one cell against a level, in nepers: if a few carriers of a symbol are hit, the others decide."""
STEP_CELLS = 20.0
"""Prior weight, in cells, of a level being on its step; otherwise it is moved to the noise between the steps."""
SURE = 0.25
"""Largest distance, in steps, of a symbol's mean level from a step for it to be moved."""
FARTHEST = 0.6
"""Largest move in steps."""
USUAL_CELLS, STRAY_CELLS = 40.0, 0.4
"""Prior weights, in cells, of a symbol's cells being as loud as the symbol, and of their being louder."""
STRAY_ROUNDS = 6


HALF_DISTANCES = np.array([0.0, 1.0] + [np.sqrt(1.5 / (order**2 - 1)) for order in range(2, 17)])
"""Half the distance between neighbouring levels of a component, for constellations of unit mean power, float64
(17,)."""


POWER_VARIANCES = np.array([0.0, 0.0] + [0.4 * (order**2 - 4) / (order**2 - 1) for order in range(2, 17)])
"""Variance of the power of a constellation's points, whose mean is 1, float64 (17,)."""


@lru_cache(maxsize=1)
def nearest_distances() -> np.ndarray:
    """Tabulate mean and variance of the squared distance of a component from its nearest level, in the component's
    noise variances, float64 (2, 17, len(LOG_RATIOS)), by number of levels."""
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
    """Noise levels estimated from a payload.

    Attributes:
        factor: float64 (n, 52), noise of each cell relative to the expected noise, chosen so that Gaussian noise gives
            the same odds between the nearest point and a neighbour as the mixture that the cell's noise is drawn from.
        evidence: log-likelihood of all cells.
    """

    factor: np.ndarray
    evidence: float


def excess(
    cells: np.ndarray, reference: np.ndarray, noise: np.ndarray, known: np.ndarray, order: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Compute the excess, over channel and noise, of the cells' distances from their nearest points and of their power.

    Args:
        cells: complex64 (n, 52), received cells.
        reference: complex64 (n, 52), the channel.
        noise: float64 (n, 52), noise variance.
        known: complex64 (n, 52), values of known cells.
        order: uint8 (n, 52), KNOWN or the constellation's levels per component.

    Returns:
        float64 (2, n, 52): squared distance minus its mean, in noise variances, and power minus its mean, in units of
        that mean; and the variances of both, of the same shape.
    """
    more, variance = np.empty((2, *cells.shape)), np.empty((2, *cells.shape))
    _excess(cells, reference, noise, known, order, nearest_distances(), more, variance)
    return more, variance


def noise_levels(
    cells: np.ndarray, reference: np.ndarray, noise: np.ndarray, known: np.ndarray, order: np.ndarray
) -> NoiseLevels:
    """Estimate the noise level of each cell; arguments as for `excess`."""
    likelihood = np.empty((*cells.shape, len(FACTORS)), np.float32)
    nearest, apart = np.empty(cells.shape), np.empty(cells.shape)
    _likelihoods(cells, reference, noise, known, order, likelihood, nearest, apart)
    rows, carriers, evidence = _levels(likelihood)
    factor = np.empty(cells.shape)
    _stray(likelihood, nearest, apart, rows, carriers, factor)
    return NoiseLevels(factor, evidence)


@kernel
def _nearest(value, levels, half):
    """Compute the distance of a component from its nearest level."""
    rank = np.floor((value / half + levels) / 2)
    rank = min(max(rank, 0.0), levels - 1.0)
    return value - (2 * rank - (levels - 1)) * half


@kernel(error_model="numpy")
def _excess(cells, reference, noise, known, order, table, more, variance):
    first, step = LOG_RATIOS[0], LOG_RATIOS[1] - LOG_RATIOS[0]
    last = LOG_RATIOS.shape[0] - 1
    # On a static carrier all cells of one constellation have the same ratio, and logarithms are slow.
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
                # Each component has half of the noise.
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


@kernel(fastmath=True)
def _component(values, scales, levels, half, work, likelihoods, squared):
    """Multiply the likelihoods of cells under all factors, (factors, cells), relative to that of the nearest point, by
    those of a component, and add its squared distance from that point in noise variances.

    Cells are the last axis, which vectorises. values: float64 (cells,), in units of the
    channel; scales: the inverse of twice the component's noise variance; work: float32 (levels, cells).
    """
    n, count = likelihoods.shape[0], values.shape[0]
    inverse = np.float32(1 / FACTORS[n - 1])
    totals = np.empty(count, np.float32)
    for i in range(count):
        nearest = _nearest(values[i], levels, half)
        least = nearest * nearest * scales[i]
        squared[i] += least
        for level in range(levels):
            distance = values[i] - (2 * level - (levels - 1)) * half
            work[level, i] = np.exp(-np.float32(distance * distance * scales[i] - least) * inverse)
    share = np.float32(1 / levels)
    for factor in range(n - 1, -1, -1):
        totals[:] = 0
        for level in range(levels):
            for i in range(count):
                totals[i] += work[level, i]
                # Halving the noise squares the likelihood of a distance.
                work[level, i] *= work[level, i]
        for i in range(count):
            likelihoods[factor, i] *= totals[i] * share


@kernel
def _likelihoods(cells, reference, noise, known, order, out, nearest, apart):
    """Fill in the log-likelihood of every cell at all levels of noise, (n, 52, levels), its squared distance from the
    nearest point and the squared distance between points, in noise variances, (n, 52) each; 0 for known cells."""
    n, k, factors = out.shape
    work, likelihoods = np.empty((HALF_DISTANCES.shape[0], k), np.float32), np.empty((factors, k), np.float32)
    places, squared = np.empty(k, np.int64), np.empty(k)
    real, imag, scales = np.empty(k), np.empty(k), np.empty(k)
    for t in range(n):
        for levels in range(HALF_DISTANCES.shape[0]):
            half = HALF_DISTANCES[levels]
            count = 0
            for i in range(k):
                if order[t, i] != levels:
                    continue
                h, cell, variance = reference[t, i], cells[t, i], noise[t, i]
                places[count], squared[count] = i, 0
                if levels == KNOWN:
                    error = cell - h * known[t, i]
                    squared[count] = (error.real * error.real + error.imag * error.imag) / variance
                gain = h.real * h.real + h.imag * h.imag
                y = cell * np.conj(h) * (1 / max(gain, 1e-30))
                real[count], imag[count], scales[count] = y.real, y.imag, gain / variance
                apart[t, i] = 4 * half * half * scales[count]
                count += 1
            if not count:
                continue
            some = likelihoods[:, :count]
            some[:] = 1
            if levels == 1:
                _component(real[:count], scales, 2, half, work, some, squared)
                for i in range(count):
                    squared[i] += imag[i] * imag[i] * scales[i]
            elif levels != KNOWN:
                _component(real[:count], scales, levels, half, work, some, squared)
                _component(imag[:count], scales, levels, half, work, some, squared)
            for i in range(count):
                place = places[i]
                nearest[t, place] = squared[i]
                power = np.log(noise[t, place])
                for factor in range(factors):
                    explained = np.float32(squared[i] * (1 / FACTORS[factor]) + power + LOG_FACTORS[factor])
                    out[t, place, factor] = np.log(some[factor, i]) - explained


@kernel(fastmath=True)
def _chain(emission, start, stay, jump):
    """Compute the mean state of a Markov chain at each step, and the log-evidence. emission: log-likelihoods (n,
    states), replaced by likelihoods relative to the largest; start, jump: probabilities of states initially and after a
    change."""
    n, states = emission.shape
    forward, mean = np.empty((n, states)), np.empty(n)
    evidence = 0.0
    for t in range(n):
        peak = emission[t].max()
        total = 0.0
        for i in range(states):
            prior = start[i] if t == 0 else stay * forward[t - 1, i] + (1 - stay) * jump[i]
            emission[t, i] = np.exp(np.float32(emission[t, i] - peak))
            forward[t, i] = prior * emission[t, i]
            total += forward[t, i]
        inverse = 1 / total
        for i in range(states):
            forward[t, i] *= inverse
        evidence += peak + np.log(total)
    back = np.ones(states)
    for t in range(n - 1, -1, -1):
        total, mean[t], change = 0.0, 0.0, 0.0
        for i in range(states):
            posterior = forward[t, i] * back[i]
            total += posterior
            mean[t] += i * posterior
            back[i] *= emission[t, i]
            change += jump[i] * back[i]
        mean[t] /= total
        inverse = 1 / change
        for i in range(states):
            back[i] = stay * back[i] * inverse + (1 - stay)
    return mean, evidence


@kernel
def _levels(likelihood):
    """Estimate log2 of the noise of each symbol, (n,), relative to the usual, and of each carrier along the symbols,
    (n, 52), relative to that of the symbols; return them and the evidence."""
    said = np.empty_like(likelihood)
    for t in range(said.shape[0]):
        for i in range(said.shape[1]):
            least = likelihood[t, i, 0]
            for state in range(1, said.shape[2]):
                least = max(least, likelihood[t, i, state])
            least -= BOUND
            for state in range(said.shape[2]):
                said[t, i, state] = max(likelihood[t, i, state], least)
    carriers = np.zeros(said.shape[:2])
    rows, evidence = _rows(said, carriers)
    for _ in range(2):
        before, carriers = carriers, _carriers(said, rows)
        # Rounded to steps, which are all that the other chain uses, they may be unchanged.
        if (np.rint(carriers) == np.rint(before)).all():
            break
        rows, evidence = _rows(said, carriers)
    return rows, carriers, evidence


@kernel
def _rows(likelihood, carriers):
    """Estimate log2 of the noise of each symbol relative to the usual, and the evidence, given the carriers' excess (n,
    52) in powers of two."""
    n, k, states = likelihood.shape
    emission = np.zeros((n, states))
    for t in range(n):
        for i in range(k):
            louder = int(np.rint(carriers[t, i]))
            for state in range(states - louder):
                emission[t, state] += likelihood[t, i, state + louder]
            for state in range(states - louder, states):
                emission[t, state] += likelihood[t, i, states - 1]
    start = np.full(states, 0.5 / (states - 1))
    start[USUAL] = 0.5
    jump = np.full(states, (1 - RETURN) / (states - 1))
    jump[USUAL] = RETURN
    mean, evidence = _chain(emission.copy(), start, STAY, jump)
    _between(emission, mean)
    return mean - USUAL, evidence


@kernel
def _between(emission, mean):
    """Refine levels between the steps, by one value per run of symbols on the same step.

    The log-likelihood of n errors whose mean square is r times the variance is -n (x log 2 + r 2**-x) at x steps of a
    factor 2; r follows from its difference and curvature at -1, 0 and 1.
    """
    n, states = emission.shape
    first = 0
    while first < n:
        state = int(np.rint(mean[first]))
        last = first
        while last < n and int(np.rint(mean[last])) == state:
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


@kernel
def _stray(likelihood, nearest, apart, rows, carriers, out):
    """Fill in the noise level of each cell if some cells of a symbol may be louder than the others, whichever they are.

    Their share and level are estimated from the symbol's cells (expectation maximisation). No single variance
    represents a mixture of levels; each cell gets the one that preserves the odds between its nearest point and a
    neighbour.
    """
    n, k, states = likelihood.shape
    weights, counts, told = np.empty(states), np.empty(states), np.empty((k, states))
    near, far, odds = np.empty(k), np.empty(k), np.empty(k)
    for t in range(n):
        state = int(np.rint(rows[t])) + USUAL
        levels = states - state
        prior = STRAY_CELLS / max(levels - 1, 1)
        every = k + USUAL_CELLS + STRAY_CELLS
        weights[0], weights[1:levels] = (every - STRAY_CELLS) / every, prior / every
        if _strays(likelihood[t], state, carriers[t], levels, told):
            for _ in range(STRAY_ROUNDS):
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
            out[t, i] = usual
            near[i] = nearest[t, i] / usual
            far[i] = near[i] + max(apart[t, i] / usual, 1e-4)
        _log_odds(near, far, weights[:levels], odds)
        for i in range(k):
            out[t, i] *= (far[i] - near[i]) / max(odds[i], 1e-9)


@kernel
def _strays(likelihood, state, carriers, levels, told):
    """Test whether any cell of a symbol indicates more noise than its symbol and carrier have; if so, fill told, (52,
    states), with the likelihoods of `levels` levels from that noise up, relative to the largest."""
    k, states = likelihood.shape
    strays = False
    for i in range(k):
        first = min(state + int(np.rint(carriers[i])), states - 1)
        strays |= likelihood[i, first:].max() - likelihood[i, first] > SUSPICION
    for i in range(k if strays else 0):
        first = min(state + int(np.rint(carriers[i])), states - 1)
        peak = likelihood[i, first:].max()
        for j in range(levels):
            told[i, j] = np.exp(likelihood[i, min(first + j, states - 1)] - peak)
    return strays


@kernel
def _log_odds(near, far, weights, out):
    """Fill in log-likelihood ratios of squared distances (52,) against larger ones, in noise of variance 1, 2, 4 and so
    on with the given probabilities."""
    k, loudest = near.shape[0], len(weights) - 1
    # From the loudest down: halving the noise squares the likelihood of a distance, relative to the loudest.
    steps, left, totals = np.empty((2, k)), np.ones((2, k)), np.zeros((2, k))
    share = 0.5**loudest
    for i in range(k):
        steps[0, i], steps[1, i] = np.exp(-near[i] * share), np.exp(-far[i] * share)
    for j in range(loudest, -1, -1):
        weight = weights[j] * share
        share *= 2
        for which in range(2):
            for i in range(k):
                totals[which, i] += weight * left[which, i]
                left[which, i] *= left[which, i] * steps[which, i]
    share = 0.5**loudest
    for i in range(k):
        # At the loudest level no distance underflows.
        out[i] = np.log(totals[0, i] / totals[1, i]) + (far[i] - near[i]) * share


@kernel
def _carriers(likelihood, rows):
    """Estimate log2 of the noise of each carrier along the symbols, relative to that of the symbols, float64 (n,
    52)."""
    n, k, states = likelihood.shape
    louder = states - USUAL
    start = np.full(louder, (1 - CARRIER_USUAL) / (louder - 1))
    start[0] = CARRIER_USUAL
    emission, out = np.empty((n, louder)), np.zeros((n, k))
    for i in np.flatnonzero(_suspects(likelihood, rows)):
        for t in range(n):
            state = int(np.rint(rows[t])) + USUAL
            for j in range(louder):
                emission[t, j] = likelihood[t, i, min(state + j, states - 1)]
        out[:, i] = _chain(emission, start, CARRIER_STAY, start)[0]
    return out


@kernel
def _suspects(likelihood, rows):
    """Find carriers, bool (52,), on which any stretch of symbols indicates a state other than the first one by more
    than chance."""
    n, k, states = likelihood.shape
    suspects, stretch = np.zeros(k, np.bool_), np.zeros((k, states))
    for t in range(n):
        state = int(np.rint(rows[t])) + USUAL
        for i in range(k):
            most = 0.0
            for j in range(states - USUAL):
                told = likelihood[t, i, min(state + j, states - 1)] - likelihood[t, i, state]
                stretch[i, j] = max(stretch[i, j] + told, 0.0)
                most = max(most, stretch[i, j])
            suspects[i] |= most > SUSPICION
    return suspects
