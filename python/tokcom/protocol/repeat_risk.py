"""Largest doubt at which a lost packet need not be sent again: conformal risk control.

Of a frame's missing packets, the receiver requests those that its model is least sure of: those whose expected
share of wrong tokens is above a threshold. The threshold is set so that on average at most a share alpha of the tokens
of a frame is accepted although wrong (Angelopoulos, Bates, Fisch, Lei and Schuster, Conformal Risk Control, ICLR 2024).
A margin beyond that expectation keeps the mean over any few dozen frames within alpha.

The number of lost packets depends on the channel and differs between calibration and use. Given their number, the
tokens that they hold depend only on the permutation, which is the same everywhere (layout "spread"). Frames are
therefore calibrated in groups of equal loss, and the groups are weighted by their frequency on the channel in use, as
likelihood-ratio weights would do (Tibshirani, Foygel Barber, Candes and Ramdas, NeurIPS 2019).
"""

from dataclasses import dataclass

import numpy as np

from tokcom.errors import ParameterError

GROUPS = 16
"""Groups of frames by the share of their packets that is missing, each a sixteenth wide."""
THRESHOLDS = tuple(np.round(np.linspace(0, 1, 51), 2).tolist())
TABLES = "mean", "square"
DEVIATIONS, HORIZON = 3.0, 50
"""Margin below alpha in standard deviations: of the calibration's mean, and of the mean of HORIZON frames to come."""
LEAST_FRAMES = 8
"""Minimum number of measured frames of a group that is used; in other groups, all missing packets are requested."""


def group_of(lost_share: float | np.ndarray) -> np.ndarray:
    """int: group of frames by the share of their packets that is missing, above 0 and at most 1."""
    return np.clip(np.ceil(np.asarray(lost_share) * GROUPS).astype(int) - 1, 0, GROUPS - 1)


def accepted_wrong(doubt: np.ndarray, wrong: np.ndarray, n_tokens: int) -> np.ndarray:
    """float64 (THRESHOLDS,): share of all tokens of a frame that are wrong in packets that are not requested.

    Args:
        doubt: float (n,), expected share of wrong tokens of each missing packet.
        wrong: int (n,), tokens of each that the model guesses wrong.
        n_tokens: number of tokens in the frame.
    """
    return np.array([wrong[doubt <= threshold].sum() for threshold in THRESHOLDS]) / n_tokens


@dataclass(frozen=True)
class RepeatRisk:
    """Measured risk, by group and threshold.

    Args:
        frames: number of measured frames of each group.
        mean: for each group and each of THRESHOLDS, mean share of wrong tokens that are accepted.
        square: mean of the square of that share.

    Raises:
        ParameterError: the shapes are not those of groups and thresholds, or a value is not a share.
    """

    frames: tuple[int, ...]
    mean: tuple[tuple[float, ...], ...]
    square: tuple[tuple[float, ...], ...]

    def __post_init__(self) -> None:
        shape = GROUPS, len(THRESHOLDS)
        for name in ("mean", "square"):
            value = np.array(getattr(self, name), float)
            if value.shape != shape or not ((value >= 0) & (value <= 1)).all():
                raise ParameterError(f"{name} has shape {value.shape}; it must be {shape}, all of it from 0 to 1")
        if len(self.frames) != GROUPS or min(self.frames) < 0:
            raise ParameterError(f"frames are {self.frames}; they must be {GROUPS} counts")

    @classmethod
    def of_frames(cls, lost_shares: np.ndarray, losses: np.ndarray) -> "RepeatRisk":
        """Compute the risk from calibration frames.

        Args:
            lost_shares: float (n_frames,), share of each frame's packets that was missing.
            losses: float (n_frames, THRESHOLDS), results of `accepted_wrong`.
        """
        groups = group_of(lost_shares)
        parts = [losses[groups == group] for group in range(GROUPS)]
        empty = np.zeros(len(THRESHOLDS))
        return cls(
            tuple(len(part) for part in parts),
            tuple(tuple(float(v) for v in (part.mean(0) if len(part) else empty)) for part in parts),
            tuple(tuple(float(v) for v in ((part**2).mean(0) if len(part) else empty)) for part in parts),
        )

    def covers(self, lost_share: float | np.ndarray) -> np.ndarray:
        """bool: whether enough frames with this share of lost packets were measured."""
        return (np.array(self.frames) >= LEAST_FRAMES)[group_of(lost_share)]

    def threshold(self, alpha: float, weights: np.ndarray) -> float:
        """Doubt up to which lost packets are accepted without a repeat.

        Args:
            alpha: share of tokens that may be accepted wrong, on average over HORIZON frames; above 0 and below 1.
            weights: float (GROUPS,), how often frames of each group occur, at least 0.

        Returns:
            The largest of THRESHOLDS whose risk is within alpha; -1 if there is no such threshold: every packet is
            requested.

        Raises:
            ParameterError: alpha is out of its range.
        """
        if not 0 < alpha < 1:
            raise ParameterError(f"alpha is {alpha}; it must lie between 0 and 1")
        share = np.asarray(weights, float)
        share = share / share.sum() if share.sum() > 0 else np.full(GROUPS, 1 / GROUPS)
        frames, mean = np.array(self.frames), np.array(self.mean)
        # No more tokens can be wrong than are missing: the bound for one more frame of each group.
        worst = (np.arange(GROUPS) + 1) / GROUPS
        risk = (frames[:, None] * mean + worst[:, None]) / (frames[:, None] + 1)
        known = (frames >= LEAST_FRAMES)[:, None]
        # For the other groups, all missing packets are requested, so that they carry no risk.
        risk, mean, square = (np.where(known, each, 0) for each in (risk, mean, np.array(self.square)))
        calibration = share**2 @ (np.maximum(square - mean**2, 0) / np.maximum(frames[:, None], 1))
        to_come = np.maximum(share @ square - (share @ mean) ** 2, 0) / HORIZON
        total = share @ risk + DEVIATIONS * np.sqrt(calibration + to_come)
        within = np.flatnonzero(np.maximum.accumulate(total) <= alpha)
        return THRESHOLDS[within[-1]] if len(within) else -1.0
