"""Channel estimates on the carriers in use, smoothed to what fits in the cyclic prefix."""

from functools import cache

import numpy as np

from tokcom.phy.numerology import CARRIERS, CYCLIC_PREFIX, FFT_SIZE


def smooth(observed: np.ndarray, noise_variance: float) -> np.ndarray:
    """The linear minimum mean-square error estimate of a channel of up to 16 taps of equal mean power.

    Args:
        observed: complex (52,), the channel on CARRIERS in noise.
        noise_variance: of the noise on it.

    Returns:
        complex128 (52,).
    """
    basis, squared = _tap_space()
    signal = max(float(np.mean(np.abs(observed) ** 2)) - noise_variance, 0.05 * noise_variance, 1e-30)
    gain = squared / (squared + noise_variance * CYCLIC_PREFIX / signal)
    return basis @ (gain * (basis.conj().T @ observed))


@cache
def _tap_space() -> tuple[np.ndarray, np.ndarray]:
    """Orthonormal basis, complex128 (52, 16), of the channels of 16 taps, and the squared singular values (16,)."""
    delays = np.arange(CYCLIC_PREFIX)
    basis, singular, _ = np.linalg.svd(np.exp(-2j * np.pi * np.outer(CARRIERS, delays) / FFT_SIZE), full_matrices=False)
    return basis, singular**2
