"""Frames on their way out: which packets wait to be sent, in which order, and what is kept to be sent again."""

from collections import OrderedDict, deque
from collections.abc import Iterable
from dataclasses import dataclass, field

import numpy as np

from tokcom.protocol.datagrams import CLASSES
from tokcom.protocol.formats import FrameFormat
from tokcom.protocol.frame_elements import NO_ELEMENTS, FrameElements
from tokcom.protocol.sections import Section, head_bytes, index_bytes

ALL_INDEXED, SOME_INDEXED, NONE_INDEXED = "all", "quarter", "none"
INDEXED = (ALL_INDEXED, SOME_INDEXED, NONE_INDEXED)
"""Choices of the packets that travel with their index, if all of a frame are sent; "quarter": those of every fourth
batch."""


INTERLEAVED = 4
"""Frames that share a datagram, at most: more would take longer each."""
SOUGHT = 64
"""Batches among which those of other frames are sought."""


@dataclass(eq=False)
class OutgoingFrame:
    """A frame that is being sent.

    Attributes:
        frame_id: its whole number.
        format_id, form: its format.
        grid, label, elements: of the frame.
        payloads: uint8 (n_packets, packet_bytes), all of its packets.
        classes: uint8 (n_packets,), class of each.
        deadline: when nobody wants it any more, in seconds.
        left: packets of the first round that have not gone out yet.
        in_a_row: some have no index; its batches must therefore go out in datagrams that follow each other.
        sent_at: float (n_packets,), when each went out last, in seconds; infinite before.
        packet_bytes: of a packet with its index; head_bytes: of a section ahead of its packets.
    """

    frame_id: int
    format_id: int
    form: FrameFormat
    grid: tuple[int, ...]
    label: int | None
    payloads: np.ndarray
    classes: np.ndarray
    deadline: float
    elements: FrameElements = NO_ELEMENTS
    left: int = 0
    in_a_row: bool = False
    sent_at: np.ndarray = field(init=False)
    packet_bytes: int = field(init=False)
    head_bytes: int = field(init=False)

    def __post_init__(self) -> None:
        self.sent_at = np.full(len(self.payloads), np.inf)
        self.packet_bytes = self.form.packet_bytes + index_bytes(len(self.payloads))
        self.head_bytes = head_bytes(self.form, self.label is not None, self.elements.encode())


@dataclass(frozen=True, eq=False)
class Batch:
    """Packets of one class of a frame that go out together."""

    frame: OutgoingFrame
    rows: np.ndarray
    again: bool = False
    indexed: bool = True
    n_bytes: int = field(init=False)
    """Bytes of its section."""

    def __post_init__(self) -> None:
        n_bytes = self.frame.head_bytes + len(self.rows) * self.frame.packet_bytes
        object.__setattr__(self, "n_bytes", n_bytes)


class SendQueue:
    """Queue of what is to be sent: repeats first, then class 0 of all frames, then the surer classes. Frames take
    turns, so that a lost datagram takes little of each.

    A frame without index, once begun, has a batch in every datagram until its end: the receiver tells the places of
    its packets by the numbers of the datagrams. Repeats wait for that, and no other such frame begins before them.

    Args:
        section_packets: packets of a frame that share a datagram, at most.
        max_bytes: what frames may take, those that may be asked for again included; the oldest are let go.
        indexed: one of INDEXED.

    Attributes:
        n_bytes: of batches that wait.
        forgotten: frames let go before all of them was sent, for want of room or because their deadline was over.
    """

    def __init__(self, section_packets: int, max_bytes: int, indexed: str = ALL_INDEXED):
        self._section_packets, self._max_bytes, self._indexed = section_packets, max_bytes, indexed
        self._waiting: list[deque[Batch]] = [deque() for _ in range(CLASSES + 1)]
        self.frames: OrderedDict[int, OutgoingFrame] = OrderedDict()
        self._begun: set[int] = set()
        self.n_bytes, self._kept_bytes, self.forgotten = 0, 0, 0

    def __bool__(self) -> bool:
        return any(self._waiting)

    def add(self, frame: OutgoingFrame, rows: np.ndarray) -> None:
        """Queue packets of a new frame; all have their index unless all of the frame are queued."""
        self.drop(frame.frame_id)
        self.frames[frame.frame_id] = frame
        self._kept_bytes += frame.payloads.nbytes
        frame.left = len(rows)
        frame.in_a_row = self._indexed != ALL_INDEXED and len(rows) == len(frame.payloads)
        classes = frame.classes[rows]
        for priority in np.flatnonzero(np.bincount(classes)):
            self._put(frame, rows[classes == priority], 1 + priority)
        while self._kept_bytes > self._max_bytes and len(self.frames) > 1:
            self._forget(next(iter(self.frames)))

    def repeat(self, frame: OutgoingFrame, rows: np.ndarray) -> None:
        """Queue packets of a frame again."""
        self._put(frame, rows, 0)

    def _put(self, frame: OutgoingFrame, rows: np.ndarray, rank: int) -> None:
        for number, start in enumerate(range(0, len(rows), self._section_packets)):
            some = self._indexed == SOME_INDEXED and number % 4 == 0
            indexed = rank == 0 or not frame.in_a_row or some
            batch = Batch(frame, rows[start : start + self._section_packets], rank == 0, indexed)
            self._waiting[rank].append(batch)
            self.n_bytes += batch.n_bytes

    def drop(self, frame_id: int) -> None:
        """Let a frame go; what of it waits is passed over."""
        frame = self.frames.pop(frame_id, None)
        self._begun.discard(frame_id)
        if frame is not None:
            self._kept_bytes -= frame.payloads.nbytes

    def postpone(self, deadline: float) -> None:
        """Give all frames a deadline that is not before this one."""
        for frame in self.frames.values():
            frame.deadline = max(frame.deadline, deadline)

    def expire(self, now: float) -> None:
        """Let frames go whose deadline is over."""
        while self.frames and next(iter(self.frames.values())).deadline <= now:
            self._forget(next(iter(self.frames)))

    def _forget(self, frame_id: int) -> None:
        self.forgotten += self.frames[frame_id].left > 0
        self.drop(frame_id)

    def next_batches(self, room: int) -> list[Batch]:
        """Batches for the next datagram, of one class and of different frames each; of none where nothing waits.

        Args:
            room: bytes of sections that the datagram may have; a first batch comes in any case.
        """
        held_up = bool(self._begun)
        for queue in self._waiting[held_up:]:
            taken, back, seen = [], [], set()
            while queue and len(seen) < INTERLEAVED:
                batch = queue.popleft()
                frame = batch.frame
                if self.frames.get(frame.frame_id) is not frame:
                    self.n_bytes -= batch.n_bytes
                    continue
                fits = batch.n_bytes <= room or not taken
                begins = frame.in_a_row and frame.frame_id not in self._begun
                if not fits or (held_up and begins and self._waiting[0]):
                    back.append(batch)
                    break
                if frame.frame_id in seen:
                    back.append(batch)
                    if len(back) == SOUGHT:
                        break
                    continue
                seen.add(frame.frame_id)
                taken.append(batch)
                room -= batch.n_bytes
                self.n_bytes -= batch.n_bytes
            queue.extendleft(reversed(back))
            if taken:
                self._note_begun(taken)
                return taken
        return []

    def _note_begun(self, taken: list[Batch]) -> None:
        """Note which frames without index go on in the next datagram."""
        for batch in taken:
            if batch.frame.in_a_row and not batch.again:
                last = batch.rows[-1] == len(batch.frame.payloads) - 1
                (self._begun.discard if last else self._begun.add)(batch.frame.frame_id)


def sections_of(batches: Iterable[Batch], now: float) -> list[Section]:
    """The sections of batches that go out now; the last packets of a frame's first round mark its end."""
    sections = []
    for batch in batches:
        frame = batch.frame
        if not batch.again:
            frame.left -= len(batch.rows)
        frame.sent_at[batch.rows] = now
        indices, end = batch.rows if batch.indexed else None, frame.left == 0
        payloads = frame.payloads[batch.rows]
        section = Section(
            frame.format_id, frame.frame_id & 0xFFFF, frame.grid, indices, payloads, frame.label, end, frame.elements
        )
        sections.append(section)
    return sections
