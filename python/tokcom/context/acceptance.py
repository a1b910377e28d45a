"""When a decoded packet may be believed: calibration of its posterior.

With the CRC spent on correction, nothing is left to check with but the posterior itself. It is exact for a prior that
is; a context model's is not quite, so its log-odds go through a monotone curve, fitted where the truth is known.
"""

from dataclasses import dataclass

import numpy as np

from tokcom.errors import ParameterError, TokcomError


@dataclass(frozen=True)
class Acceptance:
    """A monotone, piecewise linear curve from a decoder's log-odds to calibrated ones; the identity without knots.

    Args:
        log_odds: knots, rising.
        calibrated: calibrated log-odds there, not falling; beyond the outer knots the curve is flat.

    Raises:
        ParameterError: the knots are no such curve.
    """

    log_odds: tuple[float, ...] = ()
    calibrated: tuple[float, ...] = ()

    def __post_init__(self) -> None:
        rising = all(np.diff(self.log_odds) > 0) and all(np.diff(self.calibrated) >= 0)
        finite = np.isfinite([*self.log_odds, *self.calibrated]).all()
        if len(self.log_odds) != len(self.calibrated) or not rising or not finite:
            raise ParameterError(f"knots {self.log_odds} to {self.calibrated} are no rising curve")

    def posterior(self, log_odds: np.ndarray) -> np.ndarray:
        """float64 calibrated posteriors; packets of infinite log-odds, whose CRC held, keep 1."""
        curved = np.interp(log_odds, self.log_odds, self.calibrated) if self.log_odds else log_odds
        return np.where(np.isposinf(log_odds), 1.0, 1 / (1 + np.exp(-np.clip(curved, -700, 700))))


def fit_acceptance(log_odds: np.ndarray, right: np.ndarray, knots: int = 16) -> Acceptance:
    """The curve that makes posteriors come true: isotonic regression of the outcomes on the log-odds.

    Packets are pooled in bins of equal steps of the log-odds; a bin of too few joins the one above. One right and one
    wrong packet are added to each (Laplace's rule of succession), which keeps certainty within what was seen.

    Args:
        log_odds: float (n,), of packets as decoded; infinite ones are left out.
        right: bool (n,), whether the packet's tokens were those sent.
        knots: bins at most.

    Raises:
        ParameterError: there is nothing to fit.
        TokcomError: SciPy is too old.
    """
    try:
        from scipy.optimize import isotonic_regression  # only who calibrates needs SciPy 1.12
    except ImportError:
        raise TokcomError("calibrating needs SciPy 1.12 or later; what this Python has is older") from None
    finite = np.isfinite(log_odds)
    odds, right = np.asarray(log_odds, float)[finite], np.asarray(right, bool)[finite]
    if not len(odds):
        raise ParameterError("log_odds holds no finite value; decode packets that need more than the CRC")
    # Beyond e^16 to 1 no training split is large enough to tell odds apart.
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
