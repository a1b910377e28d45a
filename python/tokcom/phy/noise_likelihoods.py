"""Likelihoods of received cells with their points unknown, at several levels of noise."""

import numpy as np

from tokcom.kernels import kernel
from tokcom.phy.cell_distances import HALF_DISTANCES, KNOWN, nearest_level

FACTORS = 2.0 ** np.arange(-2, 14)
"""Levels of noise, relative to the expected noise."""
LOG_FACTORS = np.log(FACTORS)
USUAL = 2
"""Index of the level 1 among FACTORS."""


@kernel
def fill_likelihoods(
    cells: np.ndarray, reference: np.ndarray, noise: np.ndarray, known: np.ndarray, order: np.ndarray,
    out: np.ndarray, nearest: np.ndarray, apart: np.ndarray,
) -> None:  # fmt: skip
    """Fill in the log-likelihood of every cell at all levels of noise, (n, 52, levels), its squared distance from the
    nearest point and the squared distance between points, in noise variances, (n, 52) each; 0 for known cells. The
    other arguments are as for `cell_distances.excess`."""
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
        nearest = nearest_level(values[i], levels, half)
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
