"""Acceptance of decoded packets: calibration of their posterior.

With the CRC used for correction, only the posterior itself is left as a check. It is exact if the prior is; a context
model is not quite exact, so log-odds are mapped by a monotone curve, fitted on data with known truth.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from tokcom.errors import ParameterError, TokcomError


@dataclass(frozen=True)
class Acceptance:
    """Monotone, piecewise linear map of a decoder's log-odds to calibrated ones; the identity without knots.

    Args:
        log_odds: knots, ascending.
        calibrated: calibrated log-odds there, not falling; beyond the outer knots the curve is flat.

    Raises:
        ParameterError: the knots are not such a curve.
    """

    log_odds: tuple[float, ...] = ()
    calibrated: tuple[float, ...] = ()

    def __post_init__(self) -> None:
        rising = all(np.diff(self.log_odds) > 0) and all(np.diff(self.calibrated) >= 0)
        finite = np.isfinite([*self.log_odds, *self.calibrated]).all()
        if len(self.log_odds) != len(self.calibrated) or not rising or not finite:
            raise ParameterError(f"knots {self.log_odds} to {self.calibrated} are not an ascending curve")

    def posterior(self, log_odds: np.ndarray) -> np.ndarray:
        """Compute calibrated posteriors, float64; packets with infinite log-odds, whose CRC held, get 1."""
        curved = np.interp(log_odds, self.log_odds, self.calibrated) if self.log_odds else log_odds
        return np.where(np.isposinf(log_odds), 1.0, 1 / (1 + np.exp(-np.clip(curved, -700, 700))))


def log_odds_of(posterior: ArrayLike) -> np.ndarray:
    """Compute the log-odds of posteriors, float64; infinite at 0 and 1."""
    share = np.asarray(posterior, np.float64)
    with np.errstate(divide="ignore"):
        return np.log(share) - np.log1p(-share)


def fit_acceptance(log_odds: np.ndarray, right: np.ndarray, knots: int = 16) -> Acceptance:
    """Fit the calibration: isotonic regression of the outcomes on the log-odds.

    Packets are pooled in bins of equal steps of the log-odds; a bin with too few joins the one above. One correct and
    one wrong packet are added to each (Laplace's rule of succession), which bounds the certainty by the number of
    observations.

    Args:
        log_odds: float (n,), log-odds of decoded packets; infinite ones are left out.
        right: bool (n,), whether the packet's tokens were those sent.
        knots: largest number of bins.

    Raises:
        ParameterError: there is nothing to fit.
        TokcomError: SciPy is too old.
    """
    try:
        from scipy.optimize import isotonic_regression  # only calibration needs SciPy 1.12
    except ImportError:
        raise TokcomError("calibration needs SciPy 1.12 or later; this Python has an older one") from None
    finite = np.isfinite(log_odds)
    odds, right = np.asarray(log_odds, float)[finite], np.asarray(right, bool)[finite]
    if not len(odds):
        raise ParameterError("log_odds holds no finite value; decode packets that need more than the CRC")
    # Beyond e^16 to 1 no training split is large enough to distinguish odds.
    edges = np.linspace(max(odds.min(), -16.0), min(odds.max(), 16.0), knots + 1)[1:-1]
    place = np.searchsorted(edges, odds, side="right")
    fewest = min(len(odds), 50)
    for lower in range(knots - 1):
        if 0 < (place == lower).sum() < fewest:
            place[place == lower] = lower + 1
    if 0 < (place == knots - 1).sum() < fewest:
        place[place == knots - 1] = place[place < knots - 1].max(initial=0)
    bins = np.unique(place)
    centre = np.array([np.median(odds[place == each]) for each in bins])
    count = np.array([(place == each).sum() for each in bins])
    share = (np.array([right[place == each].sum() for each in bins]) + 1) / (count + 2)
    rising = isotonic_regression(share, weights=count).x
    calibrated = np.log(rising) - np.log1p(-rising)
    return Acceptance(tuple(centre.round(4).tolist()), tuple(calibrated.round(4).tolist()))
