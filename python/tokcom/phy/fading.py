"""Channels that change during a burst: every tap a process of limited Doppler, estimated from all cells that are known.

The taps' courses are expanded into the functions that hold most of the energy of a flat Doppler spectrum (discrete
prolate spheroidal sequences; Zemen and Mecklenbraeuker, IEEE Trans. Signal Process. 53(9), 2005). Their weights have
Gaussian priors, so the estimate is the linear minimum mean-square error one, and the evidence tells which of a few
Doppler spreads it is.
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
"""Doppler spreads that are tried, in cycles per OFDM symbol."""
SPAN = 64
"""OFDM symbols that are estimated together."""
OVERLAP = 16
"""Symbols that neighbouring spans share."""
LEAST_SHARE = 1e-4
"""Energy of the weakest function that counts, relative to the strongest."""
TAPS = np.flatnonzero((DELAYS >= -1) & (DELAYS <= 22))
"""Taps that a channel may have where it changes."""
FLOOR = 2e-3
"""Share of the power that a tap is given which the header did not show: it may have been faded then."""
DECIDING_TAPS = 8
"""Strongest taps, from which the Doppler spread is told."""
LEAST_NOISE = 1e-5
"""Noise variance at least, relative to the mean power of the cells."""
PRUNED = 3e-4
"""Share of the power below which a tap is left out once the payload has been seen."""
_MATCHES = STEERING[:, TAPS].conj()
_APART = np.exp(2j * np.pi * np.outer(CARRIERS, np.arange(len(TAPS))) / FFT_SIZE)
"""complex128 (52, len(TAPS)): products of the carriers of two taps that are 0, 1 … samples apart."""


@dataclass(frozen=True)
class SpanPrior:
    """What is expected of a channel over a span of symbols.

    Attributes:
        powers: float64 (n_taps,), mean power of each of TAPS.
        doppler: spread in cycles per OFDM symbol; None where it is not known.
    """

    powers: np.ndarray
    doppler: float | None = None


@dataclass(frozen=True)
class FadingChannel:
    """A channel by OFDM symbol.

    Attributes:
        response: complex128 (n, 52).
        error: float64 (n,), mean variance of its error.
        priors: of each span, as they came out; they speed up an estimate from more cells.
    """

    response: np.ndarray
    error: np.ndarray
    priors: tuple[SpanPrior, ...]

    @property
    def doppler(self) -> float:
        """The largest spread in cycles per OFDM symbol."""
        return max(prior.doppler for prior in self.priors)


def from_header(powers: np.ndarray) -> SpanPrior:
    """What the powers of a header's taps, float64 (33,), say of a channel that moves after it."""
    return SpanPrior(np.maximum(powers[TAPS], FLOOR * powers.sum()))


def follow_fading(
    cells: np.ndarray, known: np.ndarray, noise: np.ndarray, priors: Sequence[SpanPrior],
    dopplers: Sequence[float] = DOPPLERS,
) -> FadingChannel:  # fmt: skip
    """Estimate a channel that changes from symbol to symbol.

    Args:
        cells: complex64 (n, 52), received, without frequency offset.
        known: complex64 (n, 52), values of the cells that are known, 0 for all others.
        noise: float64 (n, 52), noise variance.
        priors: one for all spans, or those of an estimate from fewer known cells.
        dopplers: spreads to try, in cycles per OFDM symbol, where a prior knows none.
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
    """What the courses of taps over a span are made of.

    Attributes:
        courses: float64 (n, functions), each scaled by the root of its energy; squares add up to nearly 1 in every row.
        products: float64 (functions**2, n), of any two.
    """

    courses: np.ndarray
    products: np.ndarray


@lru_cache(maxsize=64)
def _functions(n: int, doppler: float) -> _Functions:
    """Those of a span of so many symbols."""
    times = np.arange(n)
    energies, functions = linalg.eigh(np.sinc(2 * doppler * (times[:, None] - times)))
    kept = energies > LEAST_SHARE * energies[-1]
    courses = functions[:, kept] * np.sqrt(energies[kept])
    products = courses.T[:, None] * courses.T
    return _Functions(courses, products.reshape(-1, n))


def _follow(
    cells: np.ndarray, known: np.ndarray, noise: np.ndarray, prior: SpanPrior, dopplers: Sequence[float]
) -> tuple[np.ndarray, np.ndarray, SpanPrior]:
    """Response, error and prior of one span."""
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
    # The taps that were not there at all are left out from now on; the others are as strong as they were seen.
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
    """What the known cells of a span say, in units of the noise.

    Attributes:
        power: complex128 (n, lags): sums over each symbol's cells that two taps as far apart have in common.
        matched: complex128 (n, len(TAPS)): what each symbol says of each tap.
    """

    power: np.ndarray
    matched: np.ndarray

    @classmethod
    def of(cls, cells: np.ndarray, known: np.ndarray, noise: np.ndarray) -> "_Problem":
        # Less noise than single precision would not be told from none.
        noise = np.maximum(noise, LEAST_NOISE * np.mean(np.abs(cells) ** 2) + 1e-30)
        return cls((np.abs(known) ** 2 / noise) @ _APART, (known.conj() * cells / noise) @ _MATCHES)

    def solve(self, functions: _Functions, taps: np.ndarray, powers: np.ndarray) -> "_Solution":
        root = np.sqrt(powers[taps])
        courses = functions.courses
        # Carriers are summed up once for all symbols, functions and taps: the normal equations are made of few numbers.
        common = functions.products @ self.power.view(np.float64)
        normal = np.empty((len(taps) * courses.shape[1],) * 2, np.complex128, "F")
        _fill_normal(common.view(np.complex128), TAPS[taps], root, normal)
        factor = linalg.cholesky(normal, lower=True, overwrite_a=True, check_finite=False)
        matched = ((courses.T @ self.matched[:, taps]) * root).T.ravel()
        return _Solution(factor, matched, courses, taps, root)


@kernel
def _fill_normal(common, taps, root, normal):
    """Fills in the lower triangle of the normal equations of all taps' functions, with the identity of their priors;
    common: (functions**2, lags), of any two functions; taps: in rising order."""
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
        """complex128 (taps, functions): the weights, in units of the taps' amplitudes."""
        mean = linalg.cho_solve((self.factor, True), self.matched, check_finite=False)
        return mean.reshape(len(self.taps), -1) * self.root[:, None]

    @cached_property
    def _spread(self) -> np.ndarray:
        """The inverse of the Cholesky factor: its columns' products are the covariance."""
        return linalg.lapack.ztrtri(self.factor, lower=1)[0]

    def powers(self) -> np.ndarray:
        """float64 (taps,): mean power of each tap, its uncertainty included."""
        variance = (self._spread.real**2 + self._spread.imag**2).sum(axis=0).reshape(len(self.taps), -1)
        return (np.abs(self.mean()) ** 2 + variance * self.root[:, None] ** 2).mean(axis=1)

    def error(self) -> np.ndarray:
        """float64 (n,): mean variance, over the carriers, of the response's error at each symbol."""
        covariance = linalg.lapack.zlauum(self._spread, lower=1)[0]
        gram = GRAM[np.ix_(TAPS[self.taps], TAPS[self.taps])] * self.root[:, None] * self.root
        # Over the taps first: what is left is a small matrix of the functions.
        functions = np.zeros((self.courses.shape[1],) * 2)
        _sum_over_taps(covariance, gram, functions)
        return np.einsum("tq,qr,tr->t", self.courses, functions, self.courses) / len(CARRIERS)


@kernel
def _sum_over_taps(covariance, gram, functions):
    """Adds to functions, (functions, functions), what their weights' errors make of the response's, in the real part;
    covariance: of all taps' functions, of which the lower triangle counts."""
    n_taps, n_functions = gram.shape[0], functions.shape[0]
    for j in range(n_taps):
        for r in range(n_functions):
            column = j * n_functions + r
            for i in range(j, n_taps):
                # Each block below the diagonal stands for the one above it, too.
                weight = gram[j, i] * (1 if i == j else 2)
                for q in range(r if i == j else 0, n_functions):
                    value = covariance[i * n_functions + q, column]
                    part = value.real * weight.real - value.imag * weight.imag
                    functions[q, r] += part * (2 if i == j and q > r else 1)
