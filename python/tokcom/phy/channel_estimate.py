"""Channel estimates on the carriers in use, smoothed to what fits in the cyclic prefix."""

import numba
import numpy as np

from tokcom.phy.numerology import CARRIERS, CYCLIC_PREFIX, FFT_SIZE


def _tap_space() -> tuple[np.ndarray, np.ndarray]:
    """Orthonormal basis, complex128 (52, 16), of the channels of 16 taps, and the squared singular values (16,)."""
    delays = np.arange(CYCLIC_PREFIX)
    basis, singular, _ = np.linalg.svd(np.exp(-2j * np.pi * np.outer(CARRIERS, delays) / FFT_SIZE), full_matrices=False)
    return np.ascontiguousarray(basis), singular**2


BASIS, SQUARED = _tap_space()


@numba.njit(cache=True, nogil=True)
def smooth(observed: np.ndarray, noise_variance: float) -> np.ndarray:
    """The linear minimum mean-square error estimate of a channel of up to 16 taps of equal mean power.

    Args:
        observed: complex128 (52,), the channel on CARRIERS in noise.
        noise_variance: of the noise on it.

    Returns:
        complex128 (52,).
    """
    n, taps = BASIS.shape
    power = 0.0
    for k in range(n):
        power += observed[k].real ** 2 + observed[k].imag ** 2
    signal = max(power / n - noise_variance, 0.05 * noise_variance, 1e-30)
    out = np.zeros(n, np.complex128)
    for tap in range(taps):
        part = 0j
        for k in range(n):
            part += np.conj(BASIS[k, tap]) * observed[k]
        part *= SQUARED[tap] / (SQUARED[tap] + noise_variance * taps / signal)
        for k in range(n):
            out[k] += BASIS[k, tap] * part
    return out
