"""Filling of lost tokens by a prior that takes tokens in order: paths through the gaps, judged by what follows."""

import time
from collections.abc import Callable
from itertools import pairwise

import numpy as np

from tokcom.context.causal import CausalPrior, Paths
from tokcom.context.condition import Condition
from tokcom.context.joint_decoding import ContextSettings
from tokcom.frame import LOST, TokenFrame

READ_ON = 12
"""Known tokens behind a gap that are weighed; the likeliest path goes on alone."""
LONGEST_GAP = 24
"""Lost tokens in a row that are filled: what would stand in a longer gap is invention, and takes long."""


class CausalFilling:
    """Fills in the lost tokens of frames of which the channel says nothing; of more than LONGEST_GAP in a row, none.

    Args:
        prior: the prior.
        beam: paths at most that are followed side by side, at least 1.
        reach: how far, in nepers, a path may lie below the best and is followed on, above 0.
        seconds: time per frame; once it is spent, the rest stays LOST. None: no limit.
    """

    def __init__(
        self, prior: CausalPrior, beam: int = ContextSettings.beam, reach: float = ContextSettings.reach,
        seconds: float | None = None,
    ):  # fmt: skip
        self.prior, self._beam, self._reach, self._seconds = prior, beam, reach, seconds

    def fill(
        self, frame: TokenFrame, condition: Condition, cancelled: Callable[[], bool] = lambda: False
    ) -> tuple[TokenFrame, np.ndarray]:  # fmt: skip
        """Fill in the lost tokens; known tokens never change.

        Args:
            frame: a frame with LOST tokens.
            condition: side information.
            cancelled: called before every step of the prior; once it returns true, the rest stays LOST.

        Returns:
            The frame, and the probability of each token, float32 (n,): 1 for known tokens, 0 for those still LOST; of
            filled ones the share of the paths that agree, reduced by that of the paths that were dropped.

        Raises:
            ModelError: the prior does not fit the frame.
        """
        self.prior.require_fit(frame, condition)
        deadline = np.inf if self._seconds is None else time.monotonic() + self._seconds

        def late() -> bool:
            return cancelled() or time.monotonic() > deadline

        work = _Gaps(self.prior.paths(condition), frame.tokens, self._beam, self._reach)
        for known, here in _runs(frame.lost):
            if late():
                break
            if known:
                work.read(here)
            elif here.stop - here.start <= LONGEST_GAP:
                work.search(here, late)
            else:
                work.begin(self.prior.paths(condition))
        return frame.with_tokens(work.tokens), work.confidence


class _Gaps:
    """The state of one frame: paths that agree up to the first token that is not decided."""

    def __init__(self, paths: Paths, tokens: np.ndarray, beam: int, reach: float):
        self._beam, self._reach = beam, reach
        self.tokens, self.confidence = tokens.copy(), (tokens != LOST).astype(np.float32)
        self.begin(paths)

    def begin(self, paths: Paths) -> None:
        """Go on without what stands before."""
        self._paths, self._metric, self._open = paths, np.zeros(1), np.zeros((1, 0), np.int32)
        self._places: list[int] = []
        self._left: list[float] = []

    def search(self, here: slice, late: Callable[[], bool]) -> None:
        """Go on through lost tokens."""
        for place in range(here.start, here.stop):
            if late():
                break
            total = self._metric[:, None] + self._paths.log_probabilities
            flat = total.ravel()
            kept = np.argpartition(-flat, min(self._beam, flat.size) - 1)[: self._beam]
            kept = kept[flat[kept] >= flat.max() - self._reach]
            kept = kept[np.argsort(-flat[kept], kind="stable")]
            parent, word = np.divmod(kept, total.shape[1])
            mass = np.logaddexp.reduce(flat)
            self._left.append(float(np.exp(np.logaddexp.reduce(flat[kept]) - mass)))
            self._places.append(place)
            self._open = np.concatenate([self._open[parent], word[:, None].astype(np.int32)], 1)
            self._metric = flat[kept] - mass
            self._paths.branch(parent, word)
        # At the end of a frame, or where there is no time left, nothing follows that could speak for a path.
        self._note()

    def read(self, here: slice) -> None:
        """Go on through known tokens, which decide what stands before them if there are enough of them."""
        ahead = self.tokens[here][:READ_ON]
        self._metric = self._metric + self._paths.follow(ahead, weigh=len(self._metric) > 1)
        self._note()
        whole = here.stop - here.start >= READ_ON
        kept = np.flatnonzero(self._metric >= self._metric.max() - self._reach)
        kept = np.array([int(self._metric.argmax())]) if whole else kept
        if len(kept) < len(self._metric):
            self._paths.select(kept)
            self._metric, self._open = self._metric[kept], self._open[kept]
        if whole:
            self._open, self._places, self._left = self._open[:, :0], [], []
            rest = self.tokens[here][READ_ON:]
            if len(rest):
                self._paths.follow(rest, weigh=False)

    def _note(self) -> None:
        """Take the likeliest path for what is open, and for every token the share of the paths that agree."""
        if not self._places:
            return
        weights = np.exp(self._metric - self._metric.max())
        weights /= weights.sum()
        won = self._open[int(self._metric.argmax())]
        self.tokens[self._places] = won
        self.confidence[self._places] = weights @ (self._open == won) * np.array(self._left)


def _runs(lost: np.ndarray) -> list[tuple[bool, slice]]:
    """Runs of known and of lost tokens, in order."""
    edges = np.flatnonzero(np.r_[True, lost[1:] != lost[:-1], True])
    return [(not lost[start], slice(int(start), int(end))) for start, end in pairwise(edges)]
