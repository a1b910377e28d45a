"""Recovery for a receiver of any number of models: each frame by the model that its codebook is of."""

from collections.abc import Callable, Iterable, Sequence

from tokcom.context.condition import Condition
from tokcom.errors import ModelError, TokcomError
from tokcom.frame import TokenFrame
from tokcom.link.received import ReceivedPackets
from tokcom.link.recovery import FrameRecovery, LeftOver, RecoveredFrame
from tokcom.packets.by_codebook import ByCodebook
from tokcom.packets.codebook import Codebook

MAX_BYTES = 4 << 30
"""What the priors of a receiver's models may hold in memory together."""


class RecoverySet:
    """Makes frames of several codebooks whole; in a `link.bursts.Receiver` it takes the place of a `FrameRecovery`.

    Args:
        loaders: the codebooks, and what loads the recovery of each.
        max_bytes: what the loaded ones may hold in memory; of more, that used longest ago is let go.

    Raises:
        ParameterError: two codebooks that differ have one id.
    """

    def __init__(self, loaders: Iterable[tuple[Codebook, Callable[[], FrameRecovery]]], max_bytes: int = MAX_BYTES):
        self.members = ByCodebook(loaders, lambda recovery: recovery.n_bytes, max_bytes)

    @property
    def at_once(self) -> int:
        """Frames that are best worked on together, by the models that are loaded."""
        return max((self.members.find(name).at_once for name in self.members.loaded), default=1)

    def known(self) -> str:
        """The codebooks in words, for messages."""
        return self.members.known()

    def find(self, frame: TokenFrame) -> FrameRecovery | None:
        """The recovery of a frame's codebook; None where it is not known.

        Raises:
            ModelError: it is known and cannot be loaded.
        """
        return self.members.find(frame.codebook)

    def recover(
        self, frame: TokenFrame, received: ReceivedPackets | None = None,
        cancelled: Callable[[], bool] = lambda: False, condition: Condition | None = None,
    ) -> RecoveredFrame:  # fmt: skip
        """Make a frame whole, as `FrameRecovery.recover` does.

        Raises:
            ModelError: the frame's codebook is not known, or see there.
        """
        return self._of(frame).recover(frame, received, cancelled, condition)

    def recover_all(
        self, frames: Sequence[LeftOver], cancelled: Callable[[], bool] = lambda: False
    ) -> list[RecoveredFrame | TokcomError]:
        """Make several frames whole, those of one codebook side by side, as `FrameRecovery.recover_all` does."""
        results: list[RecoveredFrame | TokcomError] = [TokcomError("not begun")] * len(frames)
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
                f"frame {frame.frame_id} is of codebook {frame.codebook}; the models here are of {self.members.known()}"
            )
        return found
