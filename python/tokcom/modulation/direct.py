"""Tokens mapped directly to constellation points, without bits or code: one or a few symbols per token.

For each token the receiver then has a likelihood of every word of the codebook, to be combined with the context's
prior. No check hides errors, and noise moves a token to a nearby label; how much that changes the meaning depends on
the labels (`semantic`).
"""

import re
from math import log2, prod

import numpy as np

from tokcom.errors import ParameterError
from tokcom.scientific import special

SCHEMES = {
    "1024qam": (15, 16, 18, 22, 28), "32qam 32qam": (5, 8, 11, 14, 17), "16qam 16qam qpsk": (3, 6, 9, 12, 15),
    "1024psk": (15, 22, 30, 38, 46),
}  # fmt: skip
"""Schemes for a token of 10 bits, and the values of Es/N0 in dB for which their semantic labels are made."""
LARGEST_CONFUSION = 1 << 12
"""Largest number of labels for which the confusion of every pair is computed."""


def symbol_points(name: str) -> np.ndarray:
    """Compute the points of a constellation of unit mean energy, complex128.

    Args:
        name: "bpsk", "qpsk", "8psk" and so on, counter-clockwise from 1; "16qam", "64qam", … row by row from the
            lower left; "32qam", "128qam", …: the cross, a square without its corners, in the same order.

    Raises:
        ParameterError: there is no such constellation.
    """
    found = re.fullmatch(r"(\d+)(qam|psk)", {"bpsk": "2psk", "qpsk": "4qam"}.get(name, name))
    size = int(found[1]) if found else 0
    bits = size.bit_length() - 1
    if size < 2 or size != 1 << bits or bits > 18 or (found[2] == "qam" and bits in (1, 3)):
        raise ParameterError(
            f"constellation is {name!r}; it must be bpsk, qpsk, or a power of two up to 2^18 followed by psk or qam "
            "(qam: not 2 or 8)"
        )
    if found[2] == "psk":
        return np.exp(2j * np.pi * np.arange(size) / size)
    if bits % 2 == 0:
        side, corner = 1 << (bits // 2), 0
    else:
        side, corner = 3 << ((bits - 3) // 2), 1 << ((bits - 5) // 2)
    levels = 2.0 * np.arange(side) - (side - 1)
    inphase, quadrature = np.meshgrid(levels, levels)
    rim = side - 1 - 2 * corner
    points = (inphase + 1j * quadrature)[(np.abs(inphase) <= rim) | (np.abs(quadrature) <= rim)]
    return points / np.sqrt(np.mean(np.abs(points) ** 2))


class DirectMapping:
    """Mapping of labels to rows of symbols: the first symbol carries the most significant digit of the label.

    Args:
        scheme: names of constellations, separated by spaces: "1024qam"; "32qam 32qam" is two symbols of 32 points.
        size: labels in use, 0 to size - 1.

    Raises:
        ParameterError: a constellation is unknown, or the scheme has fewer points than there are labels.

    Attributes:
        points: complex64 (size, n_symbols), the symbols of each label, of unit mean energy if all labels are in use.
    """

    def __init__(self, scheme: str, size: int):
        self.scheme, self.size = scheme, size
        self._symbols = [symbol_points(name) for name in scheme.split()]
        room = self.room(scheme)
        if not 2 <= size <= room:
            raise ParameterError(f"{scheme!r} has {room} labels; {size} tokens need another scheme")
        digits = np.unravel_index(np.arange(size), [len(points) for points in self._symbols])
        self._digits = np.stack(digits, axis=1)
        self.points = np.stack([points[d] for points, d in zip(self._symbols, digits, strict=True)], axis=1).astype(
            np.complex64
        )

    @staticmethod
    def room(scheme: str) -> int:
        """Number of labels of a scheme; raises as the constructor does if a constellation is unknown."""
        return prod(len(symbol_points(name)) for name in scheme.split())

    @property
    def n_symbols(self) -> int:
        """Symbols per token."""
        return self.points.shape[1]

    @property
    def places(self) -> np.ndarray:
        """Real and imaginary parts of each label's symbols, float64 (size, 2 * n_symbols)."""
        return np.concatenate([self.points.real, self.points.imag], axis=1).astype(np.float64)

    def map(self, labels: np.ndarray) -> np.ndarray:
        """Map labels (…) to complex64 symbols (…, n_symbols).

        Raises:
            ParameterError: a label is not in use.
        """
        labels = np.asarray(labels)
        if labels.size and (labels.min() < 0 or labels.max() >= self.size):
            raise ParameterError(f"labels run from {labels.min()} to {labels.max()}; they must be 0 to {self.size - 1}")
        return self.points[labels]

    def log_likelihoods(self, symbols: np.ndarray, noise_variance: float | np.ndarray) -> np.ndarray:
        """Compute the log-likelihood of every label in Gaussian noise, up to one constant per token.

        Args:
            symbols: complex (n, n_symbols), equalised to unit mean energy.
            noise_variance: N0; one value, or an array that broadcasts to the symbols.

        Returns:
            float32 (n, size).

        Raises:
            ParameterError: the arrays have other shapes, or a variance is not positive.
        """
        symbols, variance = np.asarray(symbols), np.asarray(noise_variance, np.float64)
        if symbols.ndim != 2 or symbols.shape[1] != self.n_symbols:
            raise ParameterError(f"symbols have shape {symbols.shape}; {self.scheme!r} needs (n, {self.n_symbols})")
        if not np.all((variance > 0) & np.isfinite(variance)):
            raise ParameterError(f"noise_variance is {noise_variance}; it must be positive and finite")
        variance = np.broadcast_to(variance, symbols.shape)
        total = np.zeros((len(symbols), self.size), np.float32)
        for k, points in enumerate(self._symbols):
            each = -(np.abs(symbols[:, k, None] - points) ** 2) / variance[:, k, None]
            total += each.astype(np.float32)[:, self._digits[:, k]]
        return total

    def confusion(self, esn0_db: float) -> np.ndarray:
        """Probability that one label is received when another was sent, with hard decisions symbol by symbol.

        Closed form for AWGN: for square constellations the probability of each point's decision region; for PSK and the
        cross that of the half-plane beyond the bisector of two points, normalised so that each row sums to the union
        bound over neighbours, at most 1.

        Args:
            esn0_db: Es/N0 in dB.

        Returns:
            float64 (size, size).

        Raises:
            ParameterError: there are too many labels to hold every pair.
        """
        if self.size > LARGEST_CONFUSION:
            raise ParameterError(f"{self.size} labels are too many for a table of all pairs; {LARGEST_CONFUSION} fit")
        total = np.ones((self.size, self.size))
        for k, points in enumerate(self._symbols):
            digits = self._digits[:, k]
            total *= _symbol_confusion(points, esn0_db)[np.ix_(digits, digits)]
        return total


def likeliest_tokens(
    log_likelihoods: np.ndarray, labels: np.ndarray, log_priors: np.ndarray | None = None
) -> tuple[np.ndarray, np.ndarray]:
    """Decide for the token with the largest sum of log-likelihood and log-prior (MAP), over the whole codebook.

    Args:
        log_likelihoods: float (n, size), indexed by label.
        labels: int (size,), the label of each token.
        log_priors: float (n, size), indexed by token; None for uniform.

    Returns:
        int32 tokens (n,), and the posterior of every token, float32 (n, size).
    """
    metric = log_likelihoods[:, labels].astype(np.float64)
    if log_priors is not None:
        metric = metric + log_priors
    posterior = np.exp(metric - metric.max(axis=1, keepdims=True))
    posterior /= posterior.sum(axis=1, keepdims=True)
    return metric.argmax(axis=1).astype(np.int32), posterior.astype(np.float32)


def _symbol_confusion(points: np.ndarray, esn0_db: float) -> np.ndarray:
    """Confusion probabilities of one symbol, float64 (n, n)."""
    deviation = np.sqrt(10 ** (-esn0_db / 10) / 2)
    side = round(2 ** (log2(len(points)) / 2))
    levels = points.real[:side]
    if side > 1 and side**2 == len(points) and np.allclose(points.reshape(side, side).real, levels):
        edges = np.r_[-np.inf, (levels[1:] + levels[:-1]) / 2, np.inf]
        component = np.diff(special.ndtr((edges - levels[:, None]) / deviation), axis=1)
        return np.kron(component, component)
    pairwise = special.ndtr(-np.abs(points[:, None] - points) / (2 * deviation))
    np.fill_diagonal(pairwise, 0)
    pairwise /= np.maximum(pairwise.sum(axis=1, keepdims=True), 1)
    np.fill_diagonal(pairwise, 1 - pairwise.sum(axis=1))
    return pairwise
