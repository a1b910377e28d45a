"""Tracking of phase and timing through a burst: residual frequency offset, phase noise, and drift of the clocks.

Each is a state of two components, value and rate, that a Kalman filter follows from symbol to symbol and a
Rauch-Tung-Striebel smoother then improves backwards (Rauch et al., AIAA Journal 3(8), 1965).
"""

import numpy as np

from tokcom.kernels import kernel

PHASE_NOISE = (1e-6, 1e-3, 1e-2)
"""Candidate variances in rad**2 of the phase's random walk per symbol; the most likely is used."""
RATE_PRIOR = 0.02
"""Variance, (rad/symbol)**2, of the frequency offset after the preamble."""
DRIFT_PRIOR = (4e-4) ** 2
"""Variance, (rad/carrier/symbol)**2, of the drift: 20 ppm are 1.6e-4 rad/carrier per symbol."""
DRIFT_NOISE = 1e-12
"""Variance, (rad/carrier/symbol)**2, of the drift's change per symbol."""
PHASE_RATE_NOISE, TIMING_NOISE = 1e-9, 1e-10
"""Variances per symbol of the frequency offset, (rad/symbol)**2, and of the timing, (rad/carrier)**2."""
TIMING_PRIOR = 1e-4
"""Variance, (rad/carrier)**2, of the initial timing: a tenth of a sample."""


@kernel
def _update(value, rate, c00, c01, c11, innovation, variance):
    """Update a state and its covariance by an observation of its value; return them and the log-likelihood."""
    total = c00 + variance
    g0, g1 = c00 / total, c01 / total
    likelihood = -0.5 * (innovation * innovation / total + np.log(total))
    return value + g0 * innovation, rate + g1 * innovation, c00 - g0 * c00, c01 - g0 * c01, c11 - g1 * c01, likelihood


@kernel
def _smooth(states, covs, predicted, predicted_covs, out):
    """Smooth states, (n, 2), backwards and fill in their values, (n,); covariances are (n, 3)."""
    n = states.shape[0]
    for t in range(n - 2, -1, -1):
        c00, c01, c11 = covs[t, 0], covs[t, 1], covs[t, 2]
        p00, p01, p11 = predicted_covs[t + 1, 0], predicted_covs[t + 1, 1], predicted_covs[t + 1, 2]
        determinant = p00 * p11 - p01 * p01
        # Covariance times the transition's transpose, times the inverse of the predicted covariance.
        a00, a10 = c00 + c01, c01 + c11
        d0 = states[t + 1, 0] - predicted[t + 1, 0]
        d1 = states[t + 1, 1] - predicted[t + 1, 1]
        states[t, 0] += ((a00 * p11 - c01 * p01) * d0 + (c01 * p00 - a00 * p01) * d1) / determinant
        states[t, 1] += ((a10 * p11 - c11 * p01) * d0 + (c11 * p00 - a10 * p01) * d1) / determinant
    for t in range(n):
        out[t] = states[t, 0]


@kernel
def _track(observed, places, counts, weights, carriers, noise_variance, phase_noise, out):
    """Track phase and timing. places: positions of each symbol's known cells, counts of them; weights: (n, 2), of their
    phase and timing."""
    n, k = observed.shape
    # Value, rate and covariance of phase and timing.
    p0, p1, p00, p01, p11 = 0.0, 0.0, 10.0, 0.0, RATE_PRIOR
    q0, q1, q00, q01, q11 = 0.0, 0.0, TIMING_PRIOR, 0.0, DRIFT_PRIOR
    turned = np.empty(k, np.complex128)
    states, covs = np.empty((2, n, 2)), np.empty((2, n, 3))
    predicted, predicted_covs = np.empty((2, n, 2)), np.empty((2, n, 3))
    likelihood = 0.0
    for t in range(n):
        if t:
            p0, p00, p01, p11 = p0 + p1, p00 + 2 * p01 + p11 + phase_noise, p01 + p11, p11 + PHASE_RATE_NOISE
            q0, q00, q01, q11 = q0 + q1, q00 + 2 * q01 + q11 + TIMING_NOISE, q01 + q11, q11 + DRIFT_NOISE
        predicted[0, t, 0], predicted[0, t, 1], predicted[1, t, 0], predicted[1, t, 1] = p0, p1, q0, q1
        predicted_covs[0, t, 0], predicted_covs[0, t, 1], predicted_covs[0, t, 2] = p00, p01, p11
        predicted_covs[1, t, 0], predicted_covs[1, t, 1], predicted_covs[1, t, 2] = q00, q01, q11
        total = 0j
        back, step, spacing = 1j, 1j, 0.0
        for j in range(counts[t]):
            i = places[t, j]
            # A product from one cell to the next suffices; sine and cosine take ten times as long.
            if j == 0:
                angle = p0 + q0 * carriers[i]
                back = complex(np.cos(angle), -np.sin(angle))
            else:
                apart = carriers[i] - carriers[places[t, j - 1]]
                if apart != spacing:
                    spacing, step = apart, complex(np.cos(q0 * apart), -np.sin(q0 * apart))
                back = back * step
            turned[j] = observed[t, i] * back
            total += turned[j]
        turn = np.angle(total)
        # Beyond a quarter turn an angle is less certain than its variance claims.
        spread = noise_variance / (2 * weights[t, 0])
        p0, p1, p00, p01, p11, told = _update(p0, p1, p00, p01, p11, turn, spread + 0.5 * spread * spread)
        likelihood += told
        real, imag, slope = np.cos(turn), -np.sin(turn), 0.0
        for j in range(counts[t]):
            slope += carriers[places[t, j]] * (turned[j].imag * real + turned[j].real * imag)
        q0, q1, q00, q01, q11, told = _update(
            q0, q1, q00, q01, q11, slope / weights[t, 1], noise_variance / (2 * weights[t, 1])
        )
        states[0, t, 0], states[0, t, 1], states[1, t, 0], states[1, t, 1] = p0, p1, q0, q1
        covs[0, t, 0], covs[0, t, 1], covs[0, t, 2] = p00, p01, p11
        covs[1, t, 0], covs[1, t, 1], covs[1, t, 2] = q00, q01, q11
    for which in range(2):
        _smooth(states[which], covs[which], predicted[which], predicted_covs[which], out[which])
    return likelihood


@kernel
def track(
    observed: np.ndarray, power: np.ndarray, carriers: np.ndarray, noise_variance: float
) -> tuple[np.ndarray, np.ndarray]:
    """Track phase and timing of each symbol.

    Args:
        observed: complex128 (n, k): known cells, received times the conjugates of value and channel; 0 for unknown
            cells.
        power: float64 (n, k): squared channel magnitude of known cells, else 0.
        carriers: float64 (k,): numbers of the carriers.
        noise_variance: noise variance of a cell.

    Returns:
        float64 (n,) phase in rad, float64 (n,) timing in rad per carrier.
    """
    n, k = observed.shape
    places, counts = np.empty((n, k), np.int64), np.zeros(n, np.int64)
    weights = np.full((n, 2), 1e-30)
    for t in range(n):
        for i in range(k):
            if power[t, i] > 0:
                places[t, counts[t]] = i
                counts[t] += 1
                weights[t, 0] += power[t, i]
                weights[t, 1] += power[t, i] * carriers[i] * carriers[i]
    phase, timing = np.zeros(n), np.zeros(n)
    best = -np.inf
    for noise in PHASE_NOISE:
        trial = np.empty((2, n))
        likelihood = _track(observed, places, counts, weights, carriers, noise_variance, noise, trial)
        if n and likelihood > best:
            best = likelihood
            phase, timing = trial[0], trial[1]
    return phase, timing
