"""Noise level of each cell of a payload, before decoding.

Every data cell holds a point of a constellation that the header names. The received cells' distances from the nearest
points, and the likelihood of a cell with its point unknown, show where noise is louder than in the header (collisions,
impulses, carriers, silence) and which of several descriptions of the channel is right. Levels of noise are hidden
states of two Markov chains (`noise_chains`), one along the OFDM symbols, and one for every carrier. Neither models
outliers within a symbol, such as the twelve carriers of another burst's short training: their noise is a mixture, which
limits the LLR of every cell.
"""

from dataclasses import dataclass

import numpy as np

from tokcom.kernels import kernel
from tokcom.phy.noise_chains import SUSPICION, chain_levels
from tokcom.phy.noise_likelihoods import FACTORS, USUAL, fill_likelihoods

USUAL_CELLS, STRAY_CELLS = 40.0, 0.4
"""Prior weights, in cells, of a symbol's cells being as loud as the symbol, and of their being louder."""
STRAY_ROUNDS = 6


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


def noise_levels(
    cells: np.ndarray, reference: np.ndarray, noise: np.ndarray, known: np.ndarray, order: np.ndarray
) -> NoiseLevels:
    """Estimate the noise level of each cell; arguments as for `cell_distances.excess`."""
    likelihood = np.empty((*cells.shape, len(FACTORS)), np.float32)
    nearest, apart = np.empty(cells.shape), np.empty(cells.shape)
    fill_likelihoods(cells, reference, noise, known, order, likelihood, nearest, apart)
    rows, carriers, evidence = chain_levels(likelihood)
    factor = np.empty(cells.shape)
    _stray(likelihood, nearest, apart, rows, carriers, factor)
    return NoiseLevels(factor, evidence)


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
