"""Estimation of channels that change during a burst: each tap is a Doppler-limited process, estimated from all known
cells.

The time courses of the taps are expanded into the functions that hold most of the energy of a flat Doppler spectrum
(discrete prolate spheroidal sequences; Zemen and Mecklenbraeuker, IEEE Trans. Signal Process. 53(9), 2005). Their
weights have Gaussian priors, so the estimate is the linear minimum mean-square error one, and the evidence selects one
of a few Doppler spreads.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property, lru_cache

import numpy as np

from tokcom.kernels import kernel
from tokcom.phy.channel_estimate import DELAYS, GRAM, STEERING
from tokcom.phy.numerology import CARRIERS, FFT_SIZE
from tokcom.scientific import linalg

DOPPLERS = (0.001, 0.005, 0.02, 0.06)
"""Candidate Doppler spreads in cycles per OFDM symbol."""
SPAN = 64
"""OFDM symbols estimated jointly."""
OVERLAP = 16
"""Symbols shared by neighbouring spans."""
LEAST_SHARE = 1e-4
"""Smallest energy of a function that is kept, relative to the strongest."""
TAPS = np.flatnonzero((DELAYS >= -1) & (DELAYS <= 22))
"""Taps of a changing channel."""
FLOOR = 2e-3
"""Share of the power assigned to a tap absent from the header, where it may have been in a fade."""
DECIDING_TAPS = 8
"""Number of strongest taps from which the Doppler spread is estimated."""
LEAST_NOISE = 1e-5
"""Smallest noise variance, relative to the mean power of the cells."""
PRUNED = 3e-4
"""Share of the power below which a tap is removed after the first estimate from the payload."""
_MATCHES = STEERING[:, TAPS].conj()
_APART = np.exp(2j * np.pi * np.outer(CARRIERS, np.arange(len(TAPS))) / FFT_SIZE)
"""Products of the frequency responses of two taps 0, 1 … samples apart, complex128 (52, len(TAPS))."""


@dataclass(frozen=True)
class SpanPrior:
    """Prior of a channel over a span of symbols.

    Attributes:
        powers: float64 (n_taps,), mean power of each of TAPS.
        doppler: Doppler spread in cycles per OFDM symbol; None if unknown.
    """

    powers: np.ndarray
    doppler: float | None = None


@dataclass(frozen=True)
class FadingChannel:
    """Channel per OFDM symbol.

    Attributes:
        response: complex128 (n, 52), frequency response.
        error: float64 (n,), mean variance of its error.
        priors: fitted prior of each span, which speeds up an estimate from more cells.
    """

    response: np.ndarray
    error: np.ndarray
    priors: tuple[SpanPrior, ...]

    @property
    def doppler(self) -> float:
        """Largest Doppler spread in cycles per OFDM symbol."""
        return max(prior.doppler for prior in self.priors)


def from_header(powers: np.ndarray) -> SpanPrior:
    """Derive the prior of a channel that moves after the header from the powers of the header's taps, float64 (33,)."""
    return SpanPrior(np.maximum(powers[TAPS], FLOOR * powers.sum()))


def follow_fading(
    cells: np.ndarray, known: np.ndarray, noise: np.ndarray, priors: Sequence[SpanPrior],
    dopplers: Sequence[float] = DOPPLERS,
) -> FadingChannel:  # fmt: skip
    """Estimate a channel that changes from symbol to symbol.

    Args:
        cells: complex64 (n, 52), received cells, corrected for the frequency offset.
        known: complex64 (n, 52), values of known cells, 0 for all others.
        noise: float64 (n, 52), noise variance.
        priors: one prior for all spans, or those of an estimate from fewer known cells.
        dopplers: spreads to try, in cycles per OFDM symbol, if a prior has none.
    """
    n = len(cells)
    starts = [0] if n <= SPAN + OVERLAP else list(range(0, n - OVERLAP, SPAN - OVERLAP))
    response, error = np.empty((n, len(CARRIERS)), np.complex128), np.empty(n)
    found = []
    for span, start in enumerate(starts):
        stop = n if span == len(starts) - 1 else start + SPAN
        begin = max(stop - SPAN, 0) if len(starts) > 1 else 0
        part = slice(begin, stop)
        prior = priors[span] if len(priors) > 1 else priors[0]
        own, own_error, told = _follow(cells[part], known[part], noise[part], prior, dopplers)
        first = start + OVERLAP // 2 if span else 0
        response[first:stop], error[first:stop] = own[first - begin :], own_error[first - begin :]
        found.append(told)
    return FadingChannel(response, error, tuple(found))


@dataclass(frozen=True)
class _Functions:
    """Basis functions of the taps' time courses over a span.

    Attributes:
        courses: float64 (n, functions), each scaled by the root of its energy; the squares in each row sum to nearly 1.
        products: float64 (functions**2, n), products of any two functions.
    """

    courses: np.ndarray
    products: np.ndarray


@lru_cache(maxsize=64)
def _functions(n: int, doppler: float) -> _Functions:
    """Compute the basis functions of a span of n symbols."""
    times = np.arange(n)
    energies, functions = linalg.eigh(np.sinc(2 * doppler * (times[:, None] - times)))
    kept = energies > LEAST_SHARE * energies[-1]
    courses = functions[:, kept] * np.sqrt(energies[kept])
    products = courses.T[:, None] * courses.T
    return _Functions(courses, products.reshape(-1, n))


def _follow(
    cells: np.ndarray, known: np.ndarray, noise: np.ndarray, prior: SpanPrior, dopplers: Sequence[float]
) -> tuple[np.ndarray, np.ndarray, SpanPrior]:
    """Estimate response, error and prior of one span."""
    problem = _Problem.of(cells, known, noise)
    taps = np.flatnonzero(prior.powers)
    if not len(taps):
        return np.zeros(cells.shape, np.complex128), np.zeros(len(cells)), SpanPrior(prior.powers, dopplers[0])
    doppler = prior.doppler
    if doppler is None:
        strongest = np.sort(np.argsort(-prior.powers)[:DECIDING_TAPS])
        doppler = max(
            dopplers, key=lambda each: problem.solve(_functions(len(cells), each), strongest, prior.powers).evidence()
        )
    functions = _functions(len(cells), doppler)
    solution = problem.solve(functions, taps, prior.powers)
    # From now on absent taps are removed, and the others have their estimated powers.
    seen = np.zeros(len(TAPS))
    seen[taps] = solution.powers()
    seen[seen < PRUNED * seen.sum()] = 0
    if prior.doppler is None:
        taps = np.flatnonzero(seen)
        solution = problem.solve(functions, taps, seen)
    response = functions.courses @ (solution.mean().T @ STEERING[:, TAPS[taps]].T)
    return response, solution.error(), SpanPrior(seen, doppler)


@dataclass(frozen=True)
class _Problem:
    """Sufficient statistics of a span's known cells, in units of the noise.

    Attributes:
        power: complex128 (n, lags): sums over each symbol's cells of the products of two taps that far apart.
        matched: complex128 (n, len(TAPS)): each symbol's cells, matched to each tap.
    """

    power: np.ndarray
    matched: np.ndarray

    @classmethod
    def of(cls, cells: np.ndarray, known: np.ndarray, noise: np.ndarray) -> "_Problem":
        # Noise below single precision cannot be distinguished from none.
        noise = np.maximum(noise, LEAST_NOISE * np.mean(np.abs(cells) ** 2) + 1e-30)
        return cls((np.abs(known) ** 2 / noise) @ _APART, (known.conj() * cells / noise) @ _MATCHES)

    def solve(self, functions: _Functions, taps: np.ndarray, powers: np.ndarray) -> "_Solution":
        root = np.sqrt(powers[taps])
        courses = functions.courses
        # Sum over carriers once for all symbols, functions and taps: the normal equations need only few numbers.
        common = functions.products @ self.power.view(np.float64)
        normal = np.empty((len(taps) * courses.shape[1],) * 2, np.complex128, "F")
        _fill_normal(common.view(np.complex128), TAPS[taps], root, normal)
        factor = linalg.cholesky(normal, lower=True, overwrite_a=True, check_finite=False)
        matched = ((courses.T @ self.matched[:, taps]) * root).T.ravel()
        return _Solution(factor, matched, courses, taps, root)


@kernel
def _fill_normal(common, taps, root, normal):
    """Fill in the lower triangle of the normal equations of all taps' functions, plus the identity of their priors.
    common: (functions**2, lags), for any two functions; taps: in ascending order."""
    n_taps = taps.shape[0]
    n_functions = normal.shape[0] // n_taps
    for j in range(n_taps):
        for r in range(n_functions):
            column = j * n_functions + r
            for i in range(j, n_taps):
                apart, scale = taps[i] - taps[j], root[i] * root[j]
                for q in range(n_functions):
                    normal[i * n_functions + q, column] = common[q * n_functions + r, apart] * scale
            normal[column, column] += 1


@dataclass(frozen=True)
class _Solution:
    """Weights of the functions of all taps, in units of the roots of their prior powers."""

    factor: np.ndarray
    matched: np.ndarray
    courses: np.ndarray
    taps: np.ndarray
    root: np.ndarray

    def evidence(self) -> float:
        """Log-likelihood of the known cells, up to a constant."""
        white = linalg.solve_triangular(self.factor, self.matched, lower=True, check_finite=False)
        return float(np.vdot(white, white).real - 2 * np.log(np.diagonal(self.factor).real).sum())

    def mean(self) -> np.ndarray:
        """Weights in units of the taps' amplitudes, complex128 (taps, functions)."""
        mean = linalg.cho_solve((self.factor, True), self.matched, check_finite=False)
        return mean.reshape(len(self.taps), -1) * self.root[:, None]

    @cached_property
    def _spread(self) -> np.ndarray:
        """Inverse of the Cholesky factor; the products of its columns are the covariance."""
        return linalg.lapack.ztrtri(self.factor, lower=1)[0]

    def powers(self) -> np.ndarray:
        """Mean power of each tap, its uncertainty included, float64 (taps,)."""
        variance = (self._spread.real**2 + self._spread.imag**2).sum(axis=0).reshape(len(self.taps), -1)
        return (np.abs(self.mean()) ** 2 + variance * self.root[:, None] ** 2).mean(axis=1)

    def error(self) -> np.ndarray:
        """Variance of the response's error at each symbol, averaged over carriers, float64 (n,)."""
        covariance = linalg.lapack.zlauum(self._spread, lower=1)[0]
        gram = GRAM[np.ix_(TAPS[self.taps], TAPS[self.taps])] * self.root[:, None] * self.root
        # Sum over the taps first: a small matrix over functions remains.
        functions = np.zeros((self.courses.shape[1],) * 2)
        _sum_over_taps(covariance, gram, functions)
        return np.einsum("tq,qr,tr->t", self.courses, functions, self.courses) / len(CARRIERS)


@kernel
def _sum_over_taps(covariance, gram, functions):
    """Add the contribution of the weights' errors to the response's to functions, (functions, functions), real part.
    covariance: of all taps' functions; only the lower triangle is used."""
    n_taps, n_functions = gram.shape[0], functions.shape[0]
    for j in range(n_taps):
        for r in range(n_functions):
            column = j * n_functions + r
            for i in range(j, n_taps):
                # Each block below the diagonal counts for the one above it, too.
                weight = gram[j, i] * (1 if i == j else 2)
                for q in range(r if i == j else 0, n_functions):
                    value = covariance[i * n_functions + q, column]
                    part = value.real * weight.real - value.imag * weight.imag
                    functions[q, r] += part * (2 if i == j and q > r else 1)
