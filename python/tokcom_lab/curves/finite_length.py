"""Bound on codes of finite length: the normal approximation for QAM in white Gaussian noise.

Polyanskiy, Poor, Verdú, "Channel coding rate in the finite blocklength regime", IEEE Trans. Inf. Theory, 2010: a code
of n symbols that carries k bits fails with probability Q((n C - k + log2(n) / 2) / sqrt(n V)), with the capacity C and
the dispersion V of the constellation. It ignores the source: bits that a context model can predict are counted in full.
"""

import numpy as np
from scipy.stats import norm

from tokcom.channel.awgn import noise_variance
from tokcom.modulation.constellation import Constellation

QUADRATURE = 48
"""Gauss-Hermite nodes per dimension."""


def capacity_and_dispersion(modulation: str, esn0_db: float) -> tuple[float, float]:
    """Compute capacity in bits and dispersion in bits squared per symbol, for equally likely points in AWGN.

    Raises:
        ParameterError: the constellation does not exist, or the Es/N0 is not a number.
    """
    points = Constellation(modulation).points.astype(np.complex128)
    variance = noise_variance(esn0_db)
    node, weight = np.polynomial.hermite.hermgauss(QUADRATURE)
    noise = (node[:, None] + 1j * node) * np.sqrt(variance)
    chance = np.outer(weight, weight) / np.pi
    # Information density log2 p(y|x) / p(y) for every point sent and every noise.
    away = points[:, None, None, None] - points[None, :, None, None] + noise
    exponent = (np.abs(noise) ** 2 - np.abs(away) ** 2) / variance
    density = np.log2(len(points)) - np.logaddexp.reduce(exponent, axis=1) / np.log(2)
    mean = float((density * chance).sum() / len(points))
    return mean, float((density**2 * chance).sum() / len(points) - mean**2)


def packet_error_bound(modulation: str, esn0_db: float, n_symbols: int, n_bits: int) -> float:
    """Compute the packet error rate of the best code of n_symbols symbols for n_bits bits, by the normal
    approximation."""
    capacity, dispersion = capacity_and_dispersion(modulation, esn0_db)
    margin = n_symbols * capacity - n_bits + np.log2(n_symbols) / 2
    return float(norm.sf(margin / np.sqrt(n_symbols * dispersion)))
