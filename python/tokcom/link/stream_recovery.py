"""Recovery of the frames of streams, of which some continue the one before."""

from collections.abc import Callable, Hashable, Sequence
from dataclasses import replace

from tokcom.errors import TokcomError
from tokcom.frame import TokenFrame
from tokcom.link.frame_memory import FrameMemory
from tokcom.link.recovery import FrameRecovery, LeftOver, RecoveredFrame
from tokcom.link.recovery_set import RecoverySet
from tokcom.packets.header_fields import FRAME_IDS
from tokcom.tokenizers.groups import last_number


class StreamRecovery:
    """Recovery that remembers each stream's last frames, and predicts from them those that continue them.

    Args:
        recovery: recovery of single frames.
        memory: of the streams; None for one of its own.
    """

    def __init__(self, recovery: FrameRecovery | RecoverySet, memory: FrameMemory | None = None):
        self.recovery, self.memory = recovery, memory or FrameMemory()

    def recover(self, stream: Hashable, left: LeftOver) -> RecoveredFrame:
        """Recover the next frame of a stream; raises as `FrameRecovery.recover` does."""
        (found,) = self.recover_all([(stream, left)])
        if isinstance(found, TokcomError):
            raise found
        return found

    def recover_all(
        self, frames: Sequence[tuple[Hashable, LeftOver]], cancelled: Callable[[], bool] = lambda: False
    ) -> list[RecoveredFrame | TokcomError]:
        """Recover frames of any streams, each with its stream, in order of arrival.

        Frames are recovered together, except that one which continues another waits for it.

        Returns:
            Per frame its recovery, or its exception, as `FrameRecovery.recover_all` does.
        """
        results: list[RecoveredFrame | TokcomError] = []
        for wave in _waves(frames):
            lefts = [self._told(stream, left) for stream, left in wave]
            found = self.recovery.recover_all(lefts, cancelled)
            for (stream, _), each in zip(wave, found, strict=True):
                if isinstance(each, RecoveredFrame):
                    self.memory.keep(stream, each.frame)
            results += found
        return results

    def _told(self, stream: Hashable, left: LeftOver) -> LeftOver:
        """Add what is known of the frame before."""
        if left.condition is not None or not left.frame.follows:
            return left
        return replace(left, condition=self.memory.condition(stream, left.frame))


def _waves(frames: Sequence[tuple[Hashable, LeftOver]]) -> list[list[tuple[Hashable, LeftOver]]]:
    """Cut a sequence of frames before each that continues one since the last cut."""
    waves: list[list[tuple[Hashable, LeftOver]]] = []
    present: set[tuple[Hashable, int]] = set()
    for stream, left in frames:
        frame: TokenFrame = left.frame
        follows = frame.follows and (stream, (frame.frame_id - frame.follows) % FRAME_IDS) in present
        if follows or not waves:
            waves.append([])
            present = set()
        waves[-1].append((stream, left))
        present.add((stream, last_number(frame) % FRAME_IDS))
    return waves
