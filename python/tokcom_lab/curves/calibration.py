"""Calibration of packets' posteriors in mode "context": fitted on training photographs, checked on others."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import product

import numpy as np

from tokcom.channel.awgn import noise_variance
from tokcom.context.acceptance import Acceptance
from tokcom.link.recovery import FrameRecovery
from tokcom_lab.curves.context_curve import Bench


@dataclass(frozen=True)
class Outcomes:
    """Outcomes of list decoding: log-odds before calibration, float64 (n,), and whether all tokens are right, bool
    (n,)."""

    log_odds: np.ndarray
    right: np.ndarray


def outcomes(
    bench: Bench, recovery: FrameRecovery, esn0_db: Sequence[float], progress: Callable[[int], None] = lambda done: None
) -> Outcomes:
    """Send all photographs at every Es/N0, alternately with and without label, and record the outcomes.

    Args:
        bench: the frames.
        recovery: recovery in mode "list" or "context".
        esn0_db: Es/N0 in dB; they are pooled, since a receiver's posterior should not need to know.
        progress: called with the number of frames done since the last call.

    Raises:
        ParameterError: an Es/N0 is not a number.
    """
    odds, right = [], []
    for value in esn0_db:
        noise_variance(value)
        for number in range(len(bench.frames)):
            progress(1)
            got = bench.received(number, value, number % 2 == 0)
            if got is None:
                continue
            recovered = recovery.recover(got.frame, got.received)
            decided = np.isfinite(recovered.log_odds)
            if decided.any():
                odds.append(recovered.log_odds[decided])
                right.append(~bench.errors(number, got, recovered).any(axis=1)[decided])
    if not odds:
        return Outcomes(np.zeros(0), np.zeros(0, bool))
    return Outcomes(np.concatenate(odds), np.concatenate(right))


def reliability(found: Outcomes, acceptance: Acceptance) -> list[dict]:
    """Compute the share of correct packets by calibrated posterior, in bins that become finer towards certainty.

    Returns:
        Rows of posterior (its mean in the bin), right (share), packets, and the 95% interval of the share (Wilson).
    """
    posterior = acceptance.posterior(found.log_odds)
    edges = np.array([0, 0.1, 0.3, 0.5, 0.7, 0.9, 0.97, 0.99, 0.997, 0.999, 0.9997, 1 + 1e-12])
    place, rows = np.digitize(posterior, edges) - 1, []
    for each in np.unique(place):
        here = place == each
        low, high = wilson(int(found.right[here].sum()), int(here.sum()))
        rows.append(
            {"posterior": float(posterior[here].mean()), "right": float(found.right[here].mean()),
             "packets": int(here.sum()), "low": low, "high": high}
        )  # fmt: skip
    return rows


@dataclass(frozen=True)
class ThresholdPoint:
    """Effect of a threshold of acceptance at one Es/N0.

    Attributes:
        accept: calibrated posterior from which packets are accepted.
        esn0_db: Es/N0 in dB.
        per: share of packets that are not accepted, or are wrong.
        undetected: share of packets that are accepted although wrong.
        promised: the same as predicted by the posteriors, the mean of 1 - posterior. With exact posteriors no other
            rule accepts as many packets with as few wrong ones.
        packets: packets sent.
    """

    accept: float
    esn0_db: float
    per: float
    undetected: float
    promised: float
    packets: int


def threshold_curve(
    bench: Bench, recovery: FrameRecovery, acceptance: Acceptance, esn0_db: Sequence[float],
    accepts: Sequence[float], progress: Callable[[int], None] = lambda done: None, draws: int = 1,
) -> list[ThresholdPoint]:  # fmt: skip
    """Measure lost against wrong packets over the threshold of acceptance.

    Args:
        bench: the frames; the receiver knows their labels.
        recovery: recovery in mode "list" or "context".
        acceptance: calibration of its log-odds.
        esn0_db: Es/N0 in dB.
        accepts: thresholds.
        progress: called with the number of frames done since the last call.
        draws: times that every frame is sent, each with noise of its own.

    Raises:
        ParameterError: an Es/N0 is not a number.
    """
    for value in esn0_db:
        noise_variance(value)
    points = []
    for value in esn0_db:
        posterior, right, lost = [np.zeros(0)], [np.zeros(0, bool)], 0
        for number, draw in product(range(len(bench.frames)), range(draws)):
            progress(1)
            got = bench.received(number, value, True, draw)
            if got is None:
                lost += bench.packets(number)
                continue
            recovered = recovery.recover(got.frame, got.received)
            # Without failed packets nothing was list-decoded, and there are no odds.
            odds = recovered.log_odds if len(recovered.log_odds) else np.full(len(recovered.packets_ok), np.inf)
            posterior.append(acceptance.posterior(odds))
            right.append(~bench.errors(number, got, recovered).any(axis=1))
        believed, correct = np.concatenate(posterior), np.concatenate(right)
        count = len(believed) + lost
        for accept in accepts:
            good = believed >= accept
            points.append(
                ThresholdPoint(
                    accept, value, (lost + np.sum(~good | ~correct)) / count, np.sum(good & ~correct) / count,
                    np.sum(1 - believed[good]) / count, count,
                )
            )  # fmt: skip
    return points


def wilson(successes: int, trials: int, z: float = 1.96) -> tuple[float, float]:
    """Compute the Wilson score interval of a share, by default at 95%."""
    share, square = successes / trials, z * z
    middle = (share + square / (2 * trials)) / (1 + square / trials)
    half = z * np.sqrt(share * (1 - share) / trials + square / (4 * trials**2)) / (1 + square / trials)
    return max(0.0, float(middle - half)), min(1.0, float(middle + half))
