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

from tokcom.phy.channel_estimate import DELAYS, GRAM, STEERING
from tokcom.phy.numerology import CARRIERS
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


@lru_cache(maxsize=64)
def _functions(n: int, doppler: float) -> np.ndarray:
    """float32 (n, functions), each scaled by the root of its energy; squares add up to nearly 1 in every row."""
    times = np.arange(n)
    energies, functions = linalg.eigh(np.sinc(2 * doppler * (times[:, None] - times)))
    kept = energies > LEAST_SHARE * energies[-1]
    return (functions[:, kept] * np.sqrt(energies[kept])).astype(np.float32)


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
        strongest = np.argsort(-prior.powers)[:DECIDING_TAPS]
        doppler = max(
            dopplers, key=lambda each: problem.solve(_functions(len(cells), each), strongest, prior.powers).evidence()
        )
    courses = _functions(len(cells), doppler)
    solution = problem.solve(courses, taps, prior.powers)
    # The taps that were not there at all are left out from now on; the others are as strong as they were seen.
    seen = np.zeros(len(TAPS))
    seen[taps] = solution.powers()
    seen[seen < PRUNED * seen.sum()] = 0
    if prior.doppler is None:
        taps = np.flatnonzero(seen)
        solution = problem.solve(courses, taps, seen)
    response = courses @ solution.mean().reshape(len(taps), -1).T @ STEERING[:, TAPS[taps]].T
    return response, solution.error(), SpanPrior(seen, doppler)


@dataclass(frozen=True)
class _Problem:
    """The known cells of a span: symbol, carrier, value and received, both in units of the noise."""

    times: np.ndarray
    places: np.ndarray
    values: np.ndarray
    received: np.ndarray

    @classmethod
    def of(cls, cells: np.ndarray, known: np.ndarray, noise: np.ndarray) -> "_Problem":
        times, places = np.nonzero(known)
        # Less noise than single precision would not be told from none.
        noise = np.maximum(noise, LEAST_NOISE * np.mean(np.abs(cells) ** 2) + 1e-30)
        weight = (1 / np.sqrt(noise[times, places])).astype(np.float32)
        return cls(times, places, known[times, places] * weight, cells[times, places] * weight)

    def solve(self, courses: np.ndarray, taps: np.ndarray, powers: np.ndarray) -> "_Solution":
        root = np.sqrt(powers[taps])
        steering = (STEERING[:, TAPS[taps]] * root).astype(np.complex64)
        carriers = self.values[:, None] * steering[self.places]
        design = (carriers[:, :, None] * courses[self.times][:, None, :]).reshape(len(self.times), -1)
        normal = linalg.blas.cherk(1.0, design, trans=2, lower=1).astype(np.complex128)
        normal[np.diag_indices_from(normal)] += 1
        factor = linalg.cholesky(normal, lower=True, overwrite_a=True, check_finite=False)
        matched = linalg.blas.cgemv(1.0, design, self.received, trans=2)
        return _Solution(factor, matched, courses, taps, root)


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
        """complex128 (taps * functions,): the weights, in units of the taps' amplitudes."""
        mean = linalg.cho_solve((self.factor, True), self.matched, check_finite=False)
        return mean * np.repeat(self.root, self.courses.shape[1])

    @cached_property
    def _spread(self) -> np.ndarray:
        """The inverse of the Cholesky factor: its columns' products are the covariance."""
        return linalg.lapack.ztrtri(self.factor, lower=1)[0]

    def powers(self) -> np.ndarray:
        """float64 (taps,): mean power of each tap, its uncertainty included."""
        variance = (self._spread.real**2 + self._spread.imag**2).sum(axis=0) * np.repeat(
            self.root**2, self.courses.shape[1]
        )
        return (np.abs(self.mean()) ** 2 + variance).reshape(len(self.taps), -1).mean(axis=1)

    def error(self) -> np.ndarray:
        """float64 (n,): mean variance, over the carriers, of the response's error at each symbol."""
        m, q = len(self.taps), self.courses.shape[1]
        covariance = linalg.blas.zgemm(1.0, self._spread, self._spread, trans_a=2).reshape(m, q, m, q)
        gram = GRAM[np.ix_(TAPS[self.taps], TAPS[self.taps])] * self.root[:, None] * self.root
        # Over the taps first: what is left is a small matrix of the functions.
        functions = np.einsum("iqjr,ji->qr", covariance, gram)
        return np.einsum("tq,qr,tr->t", self.courses, functions, self.courses).real / len(CARRIERS)
