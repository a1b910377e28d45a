"""Frames of which no datagram has come: told by a gap in the numbers of a session's frames."""

from collections import OrderedDict
from dataclasses import dataclass

MAX_SKIPPED = 16
"""Frames of a session that may be sought at once. A longer gap is a new start of the numbering."""
MAX_IN_VAIN = 8
"""Frames sought in vain after which gaps count no more: the sender does not number its frames one by one."""
MAX_PACKETS = 2040
"""Packets requested of a frame of which nothing is known: those of one entry of a report."""


@dataclass
class _Skipped:
    packets: int
    ask_at: float
    end_at: float
    rounds: int = 0


class SkippedFrames:
    """Numbers that were skipped, and when to ask for their frames.

    Args:
        rounds: times that each is asked for, at most.
        deadline_s: after which it is given up.
    """

    def __init__(self, rounds: int, deadline_s: float):
        self._rounds, self._deadline_s = rounds, deadline_s
        self._skipped: OrderedDict[int, _Skipped] = OrderedDict()
        self._newest: int | None = None
        self._in_vain = 0

    def __len__(self) -> int:
        return len(self._skipped)

    def asked(self, frame_id: int) -> bool:
        """Whether a frame of which nothing has come was asked for."""
        skipped = self._skipped.get(frame_id)
        return skipped is not None and skipped.rounds > 0

    def begin(self, frame_id: int, packets: int, wait_s: float, now: float) -> None:
        """Note that a frame has begun, and which numbers it skips.

        Args:
            frame_id: its whole number.
            packets: how many it has; frames of which nothing is known are taken to have as many.
            wait_s: how long their packets may be late before they are asked for.
            now: seconds.
        """
        if self._skipped.pop(frame_id, None) is not None:
            self._in_vain = 0
        newest, self._newest = self._newest, frame_id if self._newest is None else max(self._newest, frame_id)
        if newest is None or frame_id <= newest:
            return
        gap = frame_id - newest - 1
        if not gap:
            self._in_vain = max(self._in_vain - 1, 0)
        if gap > MAX_SKIPPED or self._in_vain >= MAX_IN_VAIN:
            return
        for number in range(newest + 1, frame_id):
            skipped = _Skipped(min(packets, MAX_PACKETS), now + wait_s, now + self._deadline_s)
            self._skipped[number] = skipped
        while len(self._skipped) > MAX_SKIPPED:
            self._give_up(next(iter(self._skipped)))

    def _give_up(self, number: int) -> None:
        del self._skipped[number]
        self._in_vain += 1
        if self._in_vain >= MAX_IN_VAIN:
            self._skipped.clear()

    def due(self, patience_s: float, now: float) -> list[tuple[int, int]]:
        """Number and packets of each frame to ask for now; each is asked for again after `patience_s`."""
        due = []
        for number, skipped in list(self._skipped.items()):
            if number not in self._skipped:
                break
            if skipped.end_at <= now or (skipped.ask_at <= now and skipped.rounds == self._rounds):
                self._give_up(number)
            elif skipped.ask_at <= now:
                skipped.rounds += 1
                skipped.ask_at = now + patience_s
                due.append((number, skipped.packets))
        return due

    def next_time(self) -> float | None:
        """Time of the next call of `due`, in seconds; None: nothing is sought."""
        return min((min(each.ask_at, each.end_at) for each in self._skipped.values()), default=None)
