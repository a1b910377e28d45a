"""Excess of received cells, over channel and noise, in distance from their constellation's points and in power."""

from functools import lru_cache

import numpy as np

from tokcom.kernels import kernel

KNOWN = 0
"""Order of a cell whose value is known. Other orders are the levels per component of the cell's constellation; 1 for
BPSK, whose only component has two."""
LOG_RATIOS = np.arange(-4, 6.01, 0.25)
"""Abscissae of the table of mean distances: log2 of half the distance between levels over a component's standard
deviation."""
SAME = 1e-6
"""Relative difference, due to rounding, between ratios of the same gain and noise."""
HALF_DISTANCES = np.array([0.0, 1.0] + [np.sqrt(1.5 / (order**2 - 1)) for order in range(2, 17)])
"""Half the distance between neighbouring levels of a component, for constellations of unit mean power, float64
(17,)."""
POWER_VARIANCES = np.array([0.0, 0.0] + [0.4 * (order**2 - 4) / (order**2 - 1) for order in range(2, 17)])
"""Variance of the power of a constellation's points, whose mean is 1, float64 (17,)."""


@lru_cache(maxsize=1)
def nearest_distances() -> np.ndarray:
    """Tabulate mean and variance of the squared distance of a component from its nearest level, in the component's
    noise variances, float64 (2, 17, len(LOG_RATIOS)), by number of levels."""
    out = np.zeros((2, 17, len(LOG_RATIOS)))
    noise = np.linspace(-7, 7, 1401)
    weight = np.exp(-0.5 * noise**2)
    weight /= weight.sum()
    for levels in (2, 4, 8, 16):
        for column, ratio in enumerate(2.0**LOG_RATIOS):
            points = (2 * np.arange(levels) - (levels - 1)) * ratio
            received = points[levels // 2 :, None] + noise
            rank = np.clip(np.round((received / ratio + levels - 1) / 2), 0, levels - 1)
            squared = (received - (2 * rank - (levels - 1)) * ratio) ** 2
            mean = (squared @ weight).mean()
            out[:, levels, column] = mean, ((squared**2) @ weight).mean() - mean**2
    out[:, 1] = out[:, 2]
    return out


def excess(
    cells: np.ndarray, reference: np.ndarray, noise: np.ndarray, known: np.ndarray, order: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Compute the excess, over channel and noise, of the cells' distances from their nearest points and of their power.

    Args:
        cells: complex64 (n, 52), received cells.
        reference: complex64 (n, 52), the channel.
        noise: float64 (n, 52), noise variance.
        known: complex64 (n, 52), values of known cells.
        order: uint8 (n, 52), KNOWN or the constellation's levels per component.

    Returns:
        float64 (2, n, 52): squared distance minus its mean, in noise variances, and power minus its mean, in units of
        that mean; and the variances of both, of the same shape.
    """
    more, variance = np.empty((2, *cells.shape)), np.empty((2, *cells.shape))
    _excess(cells, reference, noise, known, order, nearest_distances(), more, variance)
    return more, variance


@kernel
def nearest_level(value: float, levels: int, half: float) -> float:
    """Compute the distance of a component from its nearest level."""
    rank = np.floor((value / half + levels) / 2)
    rank = min(max(rank, 0.0), levels - 1.0)
    return value - (2 * rank - (levels - 1)) * half


@kernel(error_model="numpy")
def _excess(cells, reference, noise, known, order, table, more, variance):
    first, step = LOG_RATIOS[0], LOG_RATIOS[1] - LOG_RATIOS[0]
    last = LOG_RATIOS.shape[0] - 1
    # On a static carrier all cells of one constellation have the same ratio, and logarithms are slow.
    usual = np.full((17, cells.shape[1]), -1.0)
    means, spreads = np.zeros(usual.shape), np.zeros(usual.shape)
    for t in range(cells.shape[0]):
        for k in range(cells.shape[1]):
            h, cell = reference[t, k], cells[t, k]
            gain = h.real * h.real + h.imag * h.imag
            levels = order[t, k]
            power = gain
            if levels == KNOWN:
                power *= known[t, k].real ** 2 + known[t, k].imag ** 2
            total = power + noise[t, k]
            more[1, t, k] = (cell.real**2 + cell.imag**2) / total - 1
            spread = POWER_VARIANCES[levels] * power * power + (2 * power + noise[t, k]) * noise[t, k]
            variance[1, t, k] = spread / (total * total)
            if levels == KNOWN:
                error = cell - h * known[t, k]
                more[0, t, k] = (error.real * error.real + error.imag * error.imag) / noise[t, k] - 1
                variance[0, t, k] = 1
                continue
            scale = gain / noise[t, k]
            half = HALF_DISTANCES[levels]
            if abs(scale - usual[levels, k]) > SAME * scale:
                # Each component has half of the noise.
                place = (0.5 * np.log2(max(2 * half * half * scale, 1e-12)) - first) / step
                place = min(max(place, 0.0), last - 1e-6)
                low = int(place)
                share = place - low
                usual[levels, k] = scale
                means[levels, k] = table[0, levels, low] * (1 - share) + table[0, levels, low + 1] * share
                spreads[levels, k] = table[1, levels, low] * (1 - share) + table[1, levels, low + 1] * share
            mean, spread = means[levels, k], spreads[levels, k]
            inverse = 1 / max(gain, 1e-30)
            real = (cell.real * h.real + cell.imag * h.imag) * inverse
            imag = (cell.imag * h.real - cell.real * h.imag) * inverse
            if levels == 1:
                a, b = nearest_level(real, 2, half), imag
                mean, spread = 0.5 * (mean + 1), 0.25 * (spread + 2)
            else:
                a, b = nearest_level(real, levels, half), nearest_level(imag, levels, half)
                spread *= 0.5
            more[0, t, k] = (a * a + b * b) * scale - mean
            variance[0, t, k] = spread
