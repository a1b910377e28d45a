"""Channel estimates on the carriers in use, from training that tells all of them in noise.

A channel is a few taps; which, and how strong, the training itself tells: every tap has a Gaussian prior whose power
is fitted to the evidence (sparse Bayesian learning, MacKay's fixed point; Tipping, J. Mach. Learn. Res. 1, 2001). So
echoes up to and beyond the cyclic prefix cost noise only where there are some.
"""

import numba
import numpy as np

from tokcom.phy.numerology import CARRIERS, CYCLIC_PREFIX, FFT_SIZE

DELAYS = np.arange(-6, 27)
"""Delays of the taps in samples after the window's start. The detector leaves the first path at 4."""
N_TAPS = len(DELAYS)
STEERING = np.exp(-2j * np.pi * np.outer(CARRIERS, DELAYS) / FFT_SIZE)
"""complex128 (52, 33): the carriers of unit taps."""
GRAM = STEERING.conj().T @ STEERING
EIGENVALUES, EIGENVECTORS = np.linalg.eigh(GRAM)
MOVES = np.arange(-CYCLIC_PREFIX // 2, CYCLIC_PREFIX)
"""Samples by which windows may be moved."""
HERE = int(np.flatnonzero(MOVES == 0)[0])
_LATE = DELAYS[None, :] - MOVES[:, None]
OUTSIDE = np.maximum(np.maximum(_LATE - CYCLIC_PREFIX, -_LATE), 0).astype(np.float64)
"""float64 (moves, taps): samples by which a tap then leaves the cyclic prefix, at either end."""
ROUNDS = 3
"""Of the fixed point: more change the channel by less than its noise."""
NEGLIGIBLE = 3.0
"""Prior power of a tap, relative to the noise on it, below which it is left out."""


def best_window(powers: np.ndarray, tolerance: float) -> int:
    """Samples by which the windows should move so that least of the channel's power leaves the cyclic prefix.

    A path that is n samples too late or too early for a window of 64 samples costs about 2 n / 64 of its power, half of
    it as interference between symbols and half between carriers.

    Args:
        powers: float64 (33,), of the taps.
        tolerance: power of interference that does not matter; where the windows as they are stay below, they stay.
    """
    costs = OUTSIDE @ powers * (2 / FFT_SIZE)
    if costs[HERE] <= tolerance:
        return 0
    near = np.flatnonzero(costs <= costs.min() + 0.01 * tolerance)
    return int(MOVES[near[np.argmin(np.abs(MOVES[near]))]])


@numba.njit(cache=True, nogil=True)
def invert(matrix: np.ndarray) -> None:
    """Put the inverse of a Hermitian positive definite matrix, complex128 (n, n), in its place."""
    n = matrix.shape[0]
    # Gauss-Jordan without pivoting, which such matrices do not need.
    for p in range(n):
        inverse = 1 / max(matrix[p, p].real, 1e-300)
        matrix[p, p] = 1
        for j in range(n):
            matrix[p, j] *= inverse
        for i in range(n):
            if i != p:
                factor = matrix[i, p]
                matrix[i, p] = 0
                for j in range(n):
                    matrix[i, j] -= factor * matrix[p, j]


@numba.njit(cache=True, nogil=True)
def fit_channel(observed: np.ndarray, noise: float, rounds: int, response: np.ndarray, powers: np.ndarray) -> float:
    """Estimate a channel that does not change, of a few taps.

    Args:
        observed: complex128 (52,), the channel on CARRIERS in noise.
        noise: variance of the noise on it, above 0.
        rounds: of the fixed point.
        response: complex128 (52,), filled with the channel.
        powers: float64 (33,), filled with the prior power of each tap of DELAYS.

    Returns:
        The mean variance of the response's error.
    """
    n, taps = STEERING.shape
    power = 0.0
    matched = np.zeros(taps, np.complex128)
    for k in range(n):
        power += (observed[k].real ** 2 + observed[k].imag ** 2) / n
        for tap in range(taps):
            matched[tap] += np.conj(STEERING[k, tap]) * observed[k]
    mean, variance = np.empty(taps, np.complex128), np.empty(taps)
    powers[:] = max(power - noise, 0.05 * noise, 1e-30) / taps
    _alike(matched, noise, powers[0], mean, variance)
    error = 0.0
    for _ in range(rounds):
        active = _fit_powers(mean, variance, NEGLIGIBLE * noise / n, powers)
        error = _posterior(matched, noise, powers, active, mean, variance) / n
    response[:] = 0
    for tap in range(taps):
        if powers[tap] > 0:
            for k in range(n):
                response[k] += STEERING[k, tap] * mean[tap]
    return error


@numba.njit(cache=True, nogil=True)
def _alike(matched, noise, power, mean, variance):
    """Mean and variance of taps whose prior powers are all the same."""
    taps = matched.shape[0]
    mean[:] = 0
    variance[:] = 0
    for j in range(taps):
        spread = 1 / (max(EIGENVALUES[j], 0.0) / noise + 1 / power)
        part = 0j
        for i in range(taps):
            part += np.conj(EIGENVECTORS[i, j]) * matched[i]
        part *= spread / noise
        for i in range(taps):
            mean[i] += EIGENVECTORS[i, j] * part
            variance[i] += (EIGENVECTORS[i, j].real ** 2 + EIGENVECTORS[i, j].imag ** 2) * spread


@numba.njit(cache=True, nogil=True)
def _fit_powers(mean, variance, floor, powers):
    """Prior powers anew from what is known of the taps; returns the taps that count, the others have power 0."""
    active, kept = np.empty(powers.shape[0], np.int64), 0
    for tap in range(powers.shape[0]):
        if powers[tap] > 0:
            told = max(1 - variance[tap] / powers[tap], 1e-3)
            powers[tap] = (mean[tap].real ** 2 + mean[tap].imag ** 2) / told
            if powers[tap] > floor:
                active[kept] = tap
                kept += 1
            else:
                powers[tap] = 0
    return active[:kept]


@numba.njit(cache=True, nogil=True)
def _posterior(matched, noise, powers, active, mean, variance):
    """Mean and variance of the taps that count; returns the variance that is left on all carriers together."""
    m = active.shape[0]
    covariance = np.empty((m, m), np.complex128)
    for i in range(m):
        for j in range(m):
            covariance[i, j] = GRAM[active[i], active[j]] / noise
        covariance[i, i] += 1 / powers[active[i]]
    invert(covariance)
    mean[:] = 0
    left = 0.0
    for i in range(m):
        total = 0j
        for j in range(m):
            total += covariance[i, j] * matched[active[j]]
            left += (covariance[i, j] * GRAM[active[j], active[i]]).real
        mean[active[i]] = total / noise
        variance[active[i]] = covariance[i, i].real
    return left
