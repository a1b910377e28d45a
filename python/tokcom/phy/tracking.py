"""Phase and timing through a burst: what is left of the frequency offset, phase noise, and the drift of the clocks.

Each is a state of two components, value and rate, that a Kalman filter follows from symbol to symbol and a
Rauch-Tung-Striebel smoother then improves backwards (Rauch et al., AIAA Journal 3(8), 1965).
"""

import numba
import numpy as np

PHASE_NOISE = (1e-6, 1e-3, 1e-2)
"""Variances in rad**2 by which the phase may wander in a symbol; the likeliest is taken."""
RATE_PRIOR = 0.02
"""Variance, (rad/symbol)**2, of the frequency offset that the preamble leaves."""
DRIFT_PRIOR = (4e-4) ** 2
"""Variance, (rad/carrier/symbol)**2, of the drift: the clocks' 20 ppm are 1.6e-4 rad/carrier in a symbol."""
DRIFT_NOISE = 1e-12
TIMING_PRIOR = 1e-4
"""Variance, (rad/carrier)**2, of the timing at the start: a tenth of a sample."""


@numba.njit(cache=True, nogil=True)
def _update(state, cov, innovation, variance):
    total = cov[0, 0] + variance
    g0, g1 = cov[0, 0] / total, cov[1, 0] / total
    state[0] += g0 * innovation
    state[1] += g1 * innovation
    c00, c01 = cov[0, 0], cov[0, 1]
    cov[0, 0] -= g0 * c00
    cov[0, 1] -= g0 * c01
    cov[1, 1] -= g1 * c01
    cov[1, 0] = cov[0, 1]
    return -0.5 * (innovation * innovation / total + np.log(total))


@numba.njit(cache=True, nogil=True)
def _predict(state, cov, noise, rate_noise):
    state[0] += state[1]
    cov[0, 0] += 2 * cov[0, 1] + cov[1, 1] + noise
    cov[0, 1] += cov[1, 1]
    cov[1, 0] = cov[0, 1]
    cov[1, 1] += rate_noise


@numba.njit(cache=True, nogil=True)
def _smooth(states, covs, predicted, predicted_covs):
    n = states.shape[0]
    for t in range(n - 2, -1, -1):
        c, p = covs[t], predicted_covs[t + 1]
        determinant = p[0, 0] * p[1, 1] - p[0, 1] * p[0, 1]
        # c times the transition's transpose, then times the inverse of p.
        a00, a01 = c[0, 0] + c[0, 1], c[0, 1]
        a10, a11 = c[1, 0] + c[1, 1], c[1, 1]
        g00 = (a00 * p[1, 1] - a01 * p[0, 1]) / determinant
        g01 = (a01 * p[0, 0] - a00 * p[0, 1]) / determinant
        g10 = (a10 * p[1, 1] - a11 * p[0, 1]) / determinant
        g11 = (a11 * p[0, 0] - a10 * p[0, 1]) / determinant
        d0 = states[t + 1, 0] - predicted[t + 1, 0]
        d1 = states[t + 1, 1] - predicted[t + 1, 1]
        states[t, 0] += g00 * d0 + g01 * d1
        states[t, 1] += g10 * d0 + g11 * d1


@numba.njit(cache=True, nogil=True)
def _track(observed, power, carriers, noise_variance, phase_noise, out):
    n, k = observed.shape
    phase, timing = np.zeros(2), np.zeros(2)
    phase_cov = np.array([[10.0, 0.0], [0.0, RATE_PRIOR]])
    timing_cov = np.array([[TIMING_PRIOR, 0.0], [0.0, DRIFT_PRIOR]])
    turned = np.empty(k, np.complex128)
    states, covs = np.empty((2, n, 2)), np.empty((2, n, 2, 2))
    predicted, predicted_covs = np.empty((2, n, 2)), np.empty((2, n, 2, 2))
    likelihood = 0.0
    for t in range(n):
        if t:
            _predict(phase, phase_cov, phase_noise, 1e-9)
            _predict(timing, timing_cov, 1e-10, DRIFT_NOISE)
        predicted[0, t], predicted_covs[0, t] = phase, phase_cov
        predicted[1, t], predicted_covs[1, t] = timing, timing_cov
        total, weight, weight2 = 0j, 1e-30, 1e-30
        back, step, last = 1j, np.exp(-1j * timing[0]), -1e9
        for i in range(k):
            if power[t, i] == 0:
                continue
            # From one carrier to the next a product is enough; an exponential takes ten times as long.
            back = back * step if carriers[i] - last == 1 else np.exp(-1j * (phase[0] + timing[0] * carriers[i]))
            last = carriers[i]
            turned[i] = observed[t, i] * back
            total += turned[i]
            weight += power[t, i]
            weight2 += power[t, i] * carriers[i] * carriers[i]
        turn = np.angle(total)
        # Beyond a quarter turn an angle says less than its variance claims.
        spread = noise_variance / (2 * weight)
        likelihood += _update(phase, phase_cov, turn, spread + 0.5 * spread * spread)
        straight, slope = np.exp(-1j * turn), 0.0
        for i in range(k):
            if power[t, i] > 0:
                slope += carriers[i] * (turned[i] * straight).imag
        _update(timing, timing_cov, slope / weight2, noise_variance / (2 * weight2))
        states[0, t], covs[0, t] = phase, phase_cov
        states[1, t], covs[1, t] = timing, timing_cov
    for which in range(2):
        _smooth(states[which], covs[which], predicted[which], predicted_covs[which])
        out[which] = states[which, :, 0]
    return likelihood


@numba.njit(cache=True, nogil=True)
def track(
    observed: np.ndarray, power: np.ndarray, carriers: np.ndarray, noise_variance: float
) -> tuple[np.ndarray, np.ndarray]:
    """Phase and timing of each symbol.

    Args:
        observed: complex128 (n, k): what known cells say: received times the conjugates of value and channel; 0 where
            a cell is not known.
        power: float64 (n, k): squared channel magnitude of the cells that are known, else 0.
        carriers: float64 (k,): numbers of the carriers.
        noise_variance: of a cell.

    Returns:
        float64 (n,) phase in rad, float64 (n,) timing in rad a carrier.
    """
    n = observed.shape[0]
    phase, timing = np.zeros(n), np.zeros(n)
    best = -np.inf
    for noise in PHASE_NOISE:
        trial = np.empty((2, n))
        likelihood = _track(observed, power, carriers, noise_variance, noise, trial)
        if n and likelihood > best:
            best = likelihood
            phase, timing = trial[0], trial[1]
    return phase, timing
