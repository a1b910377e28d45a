"""Channel estimates on the carriers in use, from a noisy observation of all of them.

A channel is modelled as a few taps, whose delays and powers are estimated from the training itself: every tap has a
Gaussian prior whose power is fitted by maximising the evidence (sparse Bayesian learning, MacKay's fixed point;
Tipping, J. Mach. Learn. Res. 1, 2001). Modelling echoes up to and beyond the cyclic prefix therefore adds noise only if
there are such echoes.
"""

import numpy as np

from tokcom.kernels import kernel
from tokcom.phy.numerology import CARRIERS, CYCLIC_PREFIX, FFT_SIZE

DELAYS = np.arange(-6, 27)
"""Delays of the taps in samples after the window's start. The detector leaves the first path at 4."""
N_TAPS = len(DELAYS)
STEERING = np.exp(-2j * np.pi * np.outer(CARRIERS, DELAYS) / FFT_SIZE)
"""Frequency responses of unit taps, complex128 (52, 33)."""
GRAM = STEERING.conj().T @ STEERING
EIGENVALUES, EIGENVECTORS = np.linalg.eigh(GRAM)
_MATCHES = STEERING.conj().T.copy()
_ROTATIONS = EIGENVECTORS.conj().T.copy()
_SHARES = np.abs(EIGENVECTORS.T) ** 2
"""Share of each tap (columns) in each eigenvector (rows), float64 (33, 33)."""
MOVES = np.arange(-CYCLIC_PREFIX // 2, CYCLIC_PREFIX)
"""Candidate shifts of the windows in samples."""
HERE = int(np.flatnonzero(MOVES == 0)[0])
_LATE = DELAYS[None, :] - MOVES[:, None]
OUTSIDE = np.maximum(np.maximum(_LATE - CYCLIC_PREFIX, -_LATE), 0).astype(np.float64)
"""Samples by which a tap then exceeds the cyclic prefix, at either end, float64 (moves, taps)."""
ROUNDS = 3
"""Iterations of the fixed point; more change the channel by less than its noise."""
NEGLIGIBLE = 3.0
"""Prior power of a tap, relative to the noise on it, below which the tap is removed."""


def best_window(powers: np.ndarray, tolerance: float) -> int:
    """Find the shift of the windows, in samples, that leaves the least of the channel's power outside the cyclic
    prefix.

    A path that is n samples too late or too early for a window of 64 samples costs about 2 n / 64 of its power, half of
    it as interference between symbols and half between carriers.

    Args:
        powers: float64 (33,), powers of the taps.
        tolerance: negligible power of interference; if the present windows stay below it, they are kept.
    """
    costs = OUTSIDE @ powers * (2 / FFT_SIZE)
    if costs[HERE] <= tolerance:
        return 0
    near = np.flatnonzero(costs <= costs.min() + 0.01 * tolerance)
    return int(MOVES[near[np.argmin(np.abs(MOVES[near]))]])


@kernel
def fit_channel(observed: np.ndarray, noise: float, rounds: int, response: np.ndarray, powers: np.ndarray) -> float:
    """Estimate a static channel of a few taps.

    Args:
        observed: complex128 (52,), the channel on CARRIERS in noise.
        noise: variance of the observation's noise, above 0.
        rounds: iterations of the fixed point.
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
        matched[tap] = _product(_MATCHES[tap], observed)
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
                response[k] += np.conj(_MATCHES[tap, k]) * mean[tap]
    return error


@kernel(fastmath=True)
def _product(a, b):
    """Sum a * b; with real and imaginary parts interleaved it vectorises poorly."""
    real, imag = 0.0, 0.0
    for i in range(a.shape[0]):
        real += a[i].real * b[i].real - a[i].imag * b[i].imag
        imag += a[i].real * b[i].imag + a[i].imag * b[i].real
    return complex(real, imag)


@kernel(fastmath=True)
def _alike(matched, noise, power, mean, variance):
    """Compute mean and variance of taps with equal prior powers."""
    taps = matched.shape[0]
    mean[:] = 0
    variance[:] = 0
    for j in range(taps):
        spread = 1 / (max(EIGENVALUES[j], 0.0) / noise + 1 / power)
        part = _product(_ROTATIONS[j], matched) * (spread / noise)
        for i in range(taps):
            mean[i] += np.conj(_ROTATIONS[j, i]) * part
            variance[i] += _SHARES[j, i] * spread


@kernel
def _fit_powers(mean, variance, floor, powers):
    """Re-estimate prior powers from the taps' posterior; return the active taps, the others having power 0."""
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


@kernel(fastmath=True)
def _posterior(matched, noise, powers, active, mean, variance):
    """Compute mean and variance of the active taps; return the remaining variance, summed over all carriers."""
    m = active.shape[0]
    real, imag = np.zeros((m, m)), np.zeros((m, m))
    heard_real, heard_imag = np.empty(m), np.empty(m)
    scale = 1 / noise
    for i in range(m):
        row = GRAM[active[i]]
        for j in range(i + 1):
            real[i, j], imag[i, j] = row[active[j]].real * scale, row[active[j]].imag * scale
        real[i, i] += 1 / powers[active[i]]
        heard_real[i], heard_imag[i] = matched[active[i]].real * scale, matched[active[i]].imag * scale
    inverse_factor(real, imag)
    mean[:] = 0
    left = 0.0
    for i in range(m):
        a, b = 0.0, 0.0
        for j in range(i + 1):
            a += real[i, j] * heard_real[j] - imag[i, j] * heard_imag[j]
            b += real[i, j] * heard_imag[j] + imag[i, j] * heard_real[j]
        for j in range(i + 1):
            mean[active[j]] += complex(real[i, j] * a + imag[i, j] * b, real[i, j] * b - imag[i, j] * a)
    for j in range(m):
        own = 0.0
        for i in range(j, m):
            own += real[i, j] ** 2 + imag[i, j] ** 2
        variance[active[j]] = own
        # What the taps' priors take from the inverse is the error variance on the carriers.
        left += 1 - own / powers[active[j]]
    return left * noise


@kernel(fastmath=True)
def inverse_factor(real: np.ndarray, imag: np.ndarray) -> None:
    """Replace a Hermitian positive definite matrix by the inverse of its Cholesky factor, a lower triangle.

    Args:
        real, imag: float64 (n, n), of which only the lower triangles are used; separate, so that the rows vectorise.
    """
    n = real.shape[0]
    for i in range(n):
        for j in range(i):
            a, b = real[i, j], imag[i, j]
            for k in range(j):
                a -= real[i, k] * real[j, k] + imag[i, k] * imag[j, k]
                b -= imag[i, k] * real[j, k] - real[i, k] * imag[j, k]
            real[i, j], imag[i, j] = a / real[j, j], b / real[j, j]
        own = real[i, i]
        for k in range(i):
            own -= real[i, k] ** 2 + imag[i, k] ** 2
        real[i, i], imag[i, i] = np.sqrt(max(own, 1e-300)), 0
    row_real, row_imag = np.empty(n), np.empty(n)
    for i in range(n):
        inverse = 1 / real[i, i]
        row_real[:i], row_imag[:i] = 0, 0
        for k in range(i):
            a, b = real[i, k], imag[i, k]
            for j in range(k + 1):
                row_real[j] -= a * real[k, j] - b * imag[k, j]
                row_imag[j] -= a * imag[k, j] + b * real[k, j]
        for j in range(i):
            real[i, j], imag[i, j] = row_real[j] * inverse, row_imag[j] * inverse
        real[i, i] = inverse
