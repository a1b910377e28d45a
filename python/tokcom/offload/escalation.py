"""Escalation: a device decodes with its own small prior, and asks the edge only about frames for which it pays."""

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from tokcom.context.condition import Condition
from tokcom.errors import ParameterError, TokcomError, TransportError
from tokcom.frame import TokenFrame
from tokcom.link.received import ReceivedPackets
from tokcom.link.recovery import FrameRecovery, LeftOver, RecoveredFrame
from tokcom.protocol.token_bucket import TokenBucket

NO_DOUBT = 0.01
"""Expected number of wrong tokens below which a frame counts as decoded."""
BURST_FRAMES = 4.0
"""Frames that may be asked about at once after a rest, under a limit of frames per second."""


@dataclass(frozen=True)
class EscalationPolicy:
    """Expected benefit of the edge, learnt on a training split, and the benefit from which it pays.

    Args:
        doubts: expected numbers of wrong tokens of a frame decoded on the device, rising.
        benefits: tokens that the edge puts right in frames of that doubt, on average, as many.
        least: benefit in tokens from which a frame goes to the edge, above 0.

    Raises:
        ParameterError: they are not such numbers.
    """

    doubts: tuple[float, ...]
    benefits: tuple[float, ...]
    least: float

    def __post_init__(self) -> None:
        both = np.array([self.doubts, self.benefits]) if len(self.doubts) == len(self.benefits) else np.zeros((2, 0))
        if not both.size or not np.isfinite(both).all() or (np.diff(both[0]) <= 0).any():
            raise ParameterError("doubts must rise, and each must have a benefit, a finite number")
        if not self.least > 0:
            raise ParameterError(f"least is {self.least}; it must be above 0")

    def benefit(self, doubt: float) -> float:
        """Interpolate the expected benefit in tokens."""
        return float(np.interp(doubt, self.doubts, self.benefits))

    def pays(self, doubt: float) -> bool:
        """Whether the edge is worth asking about a frame that the device has decoded with a `doubt_of`."""
        return self.benefit(doubt) >= self.least


def doubt_of(recovered: RecoveredFrame) -> float:
    """Compute the expected number of wrong tokens of a frame, from their calibrated confidence."""
    return float((1.0 - recovered.confidence.astype(np.float64)).sum())


@dataclass
class EscalationCounters:
    """Counts of frames.

    Attributes:
        frames: frames decoded on the device.
        escalated: those that the edge decoded.
        spared: those for which the edge would have paid, beyond the limit of frames per second.
        failed: those that the edge failed to decode; the device's result counts.
    """

    frames: int = 0
    escalated: int = 0
    spared: int = 0
    failed: int = 0


class EscalatingRecovery:
    """Recovery of frames on a device, with the help of an edge server where it pays; used like a `FrameRecovery`.

    No frame waits for the edge beyond its deadline, and none is lost with it: the device's own result is there before
    the edge is asked.

    Args:
        here: recovery with the device's prior.
        edge: recovery with a `RemotePrior` that has no local one.
        policy: decides which frames go to the edge.
        asks_per_s: largest mean number of frames per second that go there; None for no limit.
        clock: time in seconds.
    """

    def __init__(
        self, here: FrameRecovery, edge: FrameRecovery, policy: EscalationPolicy, asks_per_s: float | None = None,
        clock: Callable[[], float] = time.monotonic,
    ):  # fmt: skip
        self.here, self.edge, self.policy, self.mode = here, edge, policy, here.mode
        self.counters = EscalationCounters()
        self._never, self._clock = asks_per_s == 0, clock
        self._bucket = TokenBucket(asks_per_s, BURST_FRAMES) if asks_per_s else None

    @property
    def prior(self) -> object:
        """Prior of the device."""
        return self.here.prior

    @property
    def at_once(self) -> int:
        """Number of frames that are best processed together."""
        return max(self.here.at_once, self.edge.at_once)

    @property
    def n_bytes(self) -> int:
        """Bytes of the device's prior in memory."""
        return self.here.n_bytes

    def recover(
        self, frame: TokenFrame, received: ReceivedPackets | None = None,
        cancelled: Callable[[], bool] = lambda: False, condition: Condition | None = None,
    ) -> RecoveredFrame:  # fmt: skip
        """Recover a frame as `FrameRecovery.recover` does."""
        (found,) = self.recover_all([LeftOver(frame, received, condition)], cancelled)
        if isinstance(found, TokcomError):
            raise found
        return found

    def recover_all(
        self, frames: Sequence[LeftOver], cancelled: Callable[[], bool] = lambda: False
    ) -> list[RecoveredFrame | TokcomError]:
        """Recover several frames as `FrameRecovery.recover_all` does."""
        results = self.here.recover_all(frames, cancelled)
        self.counters.frames += len(frames)
        chosen = [
            number
            for number, found in enumerate(results)
            if isinstance(found, RecoveredFrame) and self.policy.pays(doubt_of(found)) and self._affords()
        ]
        if not chosen or cancelled():
            return results
        for number, found in zip(chosen, self.edge.recover_all([frames[i] for i in chosen], cancelled), strict=True):
            if isinstance(found, TransportError):
                self.counters.failed += 1
            elif isinstance(found, RecoveredFrame) and not found.frame.lost.any():
                results[number] = found
                self.counters.escalated += 1
        return results

    def _affords(self) -> bool:
        if self._bucket is None and not self._never:
            return True
        affords = not self._never and self._bucket.take(1, self._clock())
        self.counters.spared += not affords
        return affords


def fit_policy(
    doubts: np.ndarray, here: np.ndarray, edge: np.ndarray, excess: float, bins: int = 20
) -> EscalationPolicy:  # fmt: skip
    """Fit a policy that asks about as few frames as possible; the benefit rises with the doubt (isotonic regression).

    Args:
        doubts: float (frames,), `doubt_of` each frame as decoded on the device.
        here: int (frames,), its wrong tokens then.
        edge: int (frames,), its wrong tokens as decoded by the edge.
        excess: wrong tokens that are allowed beyond those of asking always, as a share of these.
        bins: number of steps of the benefit, each of about as many frames with any doubt.

    Raises:
        ParameterError: there are no frames.
    """
    if not len(doubts):
        raise ParameterError("a policy cannot be fitted to no frames")
    from scipy.optimize import isotonic_regression  # only fitting needs SciPy 1.12

    order = np.argsort(doubts, kind="stable")
    sorted_doubts, gains = doubts[order].astype(float), (here - edge)[order].astype(float)
    unsure = np.flatnonzero(sorted_doubts > NO_DOUBT)
    middles, benefits, weights = [0.0], [0.0], [len(doubts) - len(unsure) + 1]
    for part in np.array_split(unsure, min(bins, max(len(unsure), 1))):
        middle = round(float(sorted_doubts[part].mean()), 4) if len(part) else 0.0
        if middle > middles[-1]:
            middles.append(middle)
            benefits.append(float(gains[part].mean()))
            weights.append(len(part))
    benefits = isotonic_regression(benefits, weights=weights).x.round(4).tolist()
    curve = EscalationPolicy(tuple(middles), tuple(benefits), 1.0)
    expected = np.array([curve.benefit(each) for each in doubts])
    # Frames by expected benefit: as many of the first go to the edge as the allowed excess asks for.
    first = np.argsort(-expected, kind="stable")
    wrong = here.sum() - np.concatenate([[0], np.cumsum((here - edge)[first])])
    enough = np.flatnonzero(wrong <= (1 + excess) * edge.sum())
    asked = int(enough[0]) if len(enough) else len(first)
    least = float(expected[first[asked - 1]]) if asked else float(expected.max() + 1)
    return EscalationPolicy(curve.doubts, curve.benefits, max(least, 1e-3))
