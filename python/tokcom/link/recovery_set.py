"""Recovery for a receiver with any number of models: each frame by the model of its codebook."""

from collections.abc import Callable, Iterable, Sequence

from tokcom.context.condition import Condition
from tokcom.errors import ModelError, TokcomError
from tokcom.frame import TokenFrame
from tokcom.link.received import ReceivedPackets
from tokcom.link.recovery import FrameRecovery, LeftOver, RecoveredFrame
from tokcom.packets.by_codebook import ByCodebook
from tokcom.packets.codebook import Codebook

MAX_BYTES = 4 << 30
"""Limit on the bytes of all priors of a receiver."""


class RecoverySet:
    """Recovery of frames of several codebooks, usable in a `link.receiver.Receiver` in place of a `FrameRecovery`.

    Args:
        loaders: the codebooks, each with a function that loads its recovery.
        max_bytes: limit on the bytes of loaded ones; the least recently used are released.

    Raises:
        ParameterError: two different codebooks have the same id.
    """

    def __init__(self, loaders: Iterable[tuple[Codebook, Callable[[], FrameRecovery]]], max_bytes: int = MAX_BYTES):
        self.members = ByCodebook(loaders, lambda recovery: recovery.n_bytes, max_bytes)

    @property
    def at_once(self) -> int:
        """Number of frames that are best processed together by the loaded models."""
        return max((self.members.find(name).at_once for name in self.members.loaded), default=1)

    def known(self) -> str:
        """List the names of the codebooks, for messages."""
        return self.members.known()

    def find(self, frame: TokenFrame) -> FrameRecovery | None:
        """Find the recovery of a frame's codebook; None if it is unknown.

        Raises:
            ModelError: the recovery cannot be loaded.
        """
        return self.members.find(frame.codebook)

    def recover(
        self, frame: TokenFrame, received: ReceivedPackets | None = None,
        cancelled: Callable[[], bool] = lambda: False, condition: Condition | None = None,
    ) -> RecoveredFrame:  # fmt: skip
        """Make a frame whole, as `FrameRecovery.recover` does.

        Raises:
            ModelError: the frame's codebook is unknown, or as there.
        """
        return self._of(frame).recover(frame, received, cancelled, condition)

    def recover_all(
        self, frames: Sequence[LeftOver], cancelled: Callable[[], bool] = lambda: False
    ) -> list[RecoveredFrame | TokcomError]:
        """Recover several frames, those of one codebook together, as `FrameRecovery.recover_all` does."""
        results: list[RecoveredFrame | TokcomError] = [TokcomError("not started")] * len(frames)
        for codebook in dict.fromkeys(left.frame.codebook for left in frames):
            numbers = [number for number, left in enumerate(frames) if left.frame.codebook == codebook]
            try:
                recovery = self._of(frames[numbers[0]].frame)
            except TokcomError as error:
                found = [error] * len(numbers)
            else:
                found = recovery.recover_all([frames[number] for number in numbers], cancelled)
            for number, result in zip(numbers, found, strict=True):
                results[number] = result
        return results

    def _of(self, frame: TokenFrame) -> FrameRecovery:
        found = self.find(frame)
        if found is None:
            raise ModelError(
                f"frame {frame.frame_id} has codebook {frame.codebook}; the models here have {self.members.known()}"
            )
        return found
