"""Additive white Gaussian noise."""

import math

import numpy as np

from tokcom.errors import ParameterError


def noise_variance(esn0_db: float) -> float:
    """Convert Es/N0 in dB to N0 at a symbol energy of 1.

    Raises:
        ParameterError: esn0_db is not a number from -100 to 200.
    """
    try:
        value = float(esn0_db)
    except (TypeError, ValueError):
        value = math.nan
    if not -100 <= value <= 200:
        raise ParameterError(f"esn0_db is {esn0_db!r}; it must be a number from -100 to 200 dB")
    return 10 ** (-value / 10)


def awgn(symbols: np.ndarray, esn0_db: float, rng: np.random.Generator) -> np.ndarray:
    """Add circular complex Gaussian noise to symbols of mean energy 1.

    Args:
        symbols: complex array of any shape.
        esn0_db: Es/N0 in dB.
        rng: generator of the noise.

    Returns:
        complex64 array of the same shape.
    """
    amplitude = np.float32(math.sqrt(noise_variance(esn0_db) / 2))
    noise = rng.standard_normal((*symbols.shape, 2), dtype=np.float32)
    noise *= amplitude
    return symbols.astype(np.complex64, copy=False) + noise.view(np.complex64)[..., 0]
