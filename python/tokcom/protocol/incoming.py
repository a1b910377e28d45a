"""Frames of one session on their way in: what has come, when more is asked for, and when a frame is done."""

from collections import OrderedDict
from collections.abc import Hashable, Mapping
from dataclasses import dataclass, field

import numpy as np

from tokcom.errors import DatagramError
from tokcom.frame import Payload
from tokcom.link.arrival import Arrival
from tokcom.link.assembly import Assembly, FrameAssembler
from tokcom.packets.codebook import Codebook
from tokcom.protocol.formats import FrameFormat
from tokcom.protocol.numbered_sections import HELD_BYTES, NumberedSections, Unplaced
from tokcom.protocol.sections import FRAME_IDS, Section, tokens_of
from tokcom.protocol.sequence import ReplayWindow, whole_number
from tokcom.protocol.skipped_frames import SkippedFrames

GAPS = 3.0
"""The wait for a frame's next packets, in multiples of the recent gap between packets of a frame."""
LEAST_WAIT_S = 0.01
"""The wait for datagrams that tell the places of packets, at least."""
DONE_FRAMES = 1024
"""Number of past frames that are remembered as done."""


@dataclass(eq=False)
class IncomingFrame:
    """A frame of which packets have come, and not all.

    Attributes:
        outline, positions: as in `link.arrival.Arrival`.
        placed: packets so far whose places are known.
        first_at, last_at: when its first and its newest packets came, in seconds.
        deadline: when it is taken as it is.
        ended: the sender has sent all of it.
        judge_at: when to ask what of it is wanted; None: somebody is asked, or has answered.
        rounds: how often packets were asked for.
        wanted: packets that were asked for and have not come.
        numbered: its sections by the numbers of their datagrams.
        sought: it was requested as a whole before anything of it came.
    """

    outline: Payload
    positions: np.ndarray
    placed: int
    first_at: float
    last_at: float
    deadline: float
    ended: bool = False
    judge_at: float | None = None
    rounds: int = 0
    wanted: set[int] = field(default_factory=set)
    numbered: NumberedSections = field(init=False)
    sought: bool = False

    def __post_init__(self) -> None:
        self.numbered = NumberedSections(len(self.positions))

    @property
    def come(self) -> int:
        """Packets so far."""
        return self.placed + self.numbered.packets

    @property
    def whole(self) -> bool:
        """Whether all of its packets have come; of a frame that was requested, some may have come twice."""
        return (self.placed if self.sought else self.come) >= len(self.positions)

    @property
    def n_bytes(self) -> int:
        """Largest number of bytes held in memory, besides those in the assembler."""
        waiting = HELD_BYTES * len(self.numbered.waiting)
        return 2 * self.positions.nbytes + self.outline.tokens.nbytes + waiting


@dataclass(frozen=True, eq=False)
class ReceivedFrame:
    """A frame that is handed on.

    Attributes:
        outline, positions: as in `link.arrival.Arrival`.
        assembly: what has come of it and has its place; None: nothing.
        delay_s: from its first packet to now, in seconds.
        rounds: how often packets of it were asked for.
        unplaced: packets that came without index, and whose places are not known; None: none.
        source: the session that it came in.
    """

    outline: Payload
    positions: np.ndarray
    assembly: Assembly | None
    delay_s: float
    rounds: int
    unplaced: Unplaced | None = None
    source: Hashable = None

    @property
    def frame(self) -> Payload:
        """The frame, LOST where nothing has come."""
        return self.outline if self.assembly is None else self.assembly.frame

    @property
    def n_bytes(self) -> int:
        """Bytes held in memory."""
        empty = self.positions.nbytes + self.outline.tokens.nbytes
        held = empty if self.assembly is None else self.assembly.n_bytes
        return held + (0 if self.unplaced is None else self.unplaced.n_bytes)

    @property
    def packets_ok(self) -> np.ndarray:
        """bool (n_packets,): which of its packets have come and have their place."""
        return np.zeros(len(self.positions), bool) if self.assembly is None else self.assembly.packets_ok

    @property
    def come(self) -> int:
        """Packets that have come."""
        return int(self.packets_ok.sum()) + (0 if self.unplaced is None else self.unplaced.packets)


@dataclass(frozen=True)
class WaitSettings:
    """Waiting time for frames.

    Args:
        deadline_s: from a frame's first packet until it is taken as it is.
        wait_s: after the newest packet until missing ones are requested or, without requests, given up; longer
            where packets of a frame have come at longer intervals, or late.
        ended_wait_s: the same where the sender has said that it was the last one: what is late by less than this was
            only out of order.
        rounds: times that packets of a frame are asked for, at most.
    """

    deadline_s: float = 0.5
    wait_s: float = 0.03
    ended_wait_s: float = 0.01
    rounds: int = 3


class IncomingFrames:
    """The frames of one session.

    Args:
        source: by which the session's arrivals are told from those of others.
        formats: of the session.
        codebooks: those known here, by their id.
        assembler: of all sessions.
        settings: how long to wait.
        max_tokens: tokens of a frame, at most.

    Attributes:
        late: packets that came after their frame was done.
        n_bytes: what the frames hold.
        frames: those that are not done, by their number.
        skipped: those of which nothing has come.
    """

    def __init__(
        self, source: Hashable, formats: list[FrameFormat], codebooks: Mapping[int, Codebook],
        assembler: FrameAssembler, settings: WaitSettings, max_tokens: int,
    ):  # fmt: skip
        self._source, self._formats, self._codebooks = source, formats, codebooks
        self._assembler, self._settings, self._max_tokens = assembler, settings, max_tokens
        self._taken = ReplayWindow()
        self.frames: OrderedDict[int, IncomingFrame] = OrderedDict()
        self.skipped = SkippedFrames(settings.rounds, settings.deadline_s)
        self._done: OrderedDict[int, float] = OrderedDict()
        self._newest = 0
        self.late = self.n_bytes = 0
        self._gap_s = 0.0

    def add(self, section: Section, number: int, now: float) -> int | None:
        """Take a section of datagram `number`.

        Returns:
            The number of its frame; None where that is done already.

        Raises:
            DatagramError: its frame is too large, or not the one that came before under its number.
        """
        frame_id = whole_number(section.frame_id, self._newest)
        if frame_id in self._done or frame_id < self._newest - FRAME_IDS // 4:
            self.late += len(section.payloads)
            # Whoever is late will be late again: the next request waits longer.
            self._note_gap(now - self._done.get(frame_id, now))
            return None
        form = self._formats[section.format_id]
        frame = self.frames.get(frame_id) or self._begin(frame_id, section, form, now)
        if frame.outline.grid != section.grid:
            raise DatagramError(f"frame {frame_id} has a grid of {section.grid} now, and had {frame.outline.grid}")
        tokens = tokens_of(section.payloads, form.tokens_per_packet, form.token_bits)
        if tokens.max(initial=0) >= frame.outline.codebook_size:
            raise DatagramError(f"token {tokens.max()} is outside a codebook of {frame.outline.codebook_size} words")
        if section.indices is None:
            if frame.numbered.packets + len(tokens) > len(frame.positions):
                raise DatagramError(f"frame {frame_id} has more packets than fit in it")
            frame.numbered.add(number, tokens, section.end)
            self.n_bytes += HELD_BYTES
            self.place(frame_id)
        else:
            if len(np.unique(section.indices)) != len(section.indices):
                raise DatagramError(f"frame {frame_id} has a packet twice in one section")
            if frame.rounds or frame.sought:
                frame.numbered.note_requested()
            else:
                frame.numbered.note_indexed(number, int(section.indices[0]))
            self._add(frame, section.indices, tokens)
        frame.ended |= section.end
        if not frame.rounds:
            self._note_gap(now - frame.last_at)
        frame.last_at = now
        self._plan(frame, now)
        return frame_id

    def _add(self, frame: IncomingFrame, rows: np.ndarray, tokens: np.ndarray) -> None:
        """Add packets whose places are known."""
        ok = np.ones(len(rows), bool)
        arrival = Arrival(0, frame.outline, frame.positions, rows, tokens, ok, source=self._source)
        frame.placed = int(np.count_nonzero(self._assembler.add(arrival).packets_ok))
        frame.wanted.difference_update(rows.tolist())

    def place(self, frame_id: int) -> bool:
        """Put packets without index in place, if the numbers of the datagrams that have come tell where.

        Returns:
            Whether no packet is left without a place.

        Raises:
            DatagramError: they do not follow those of the datagrams before them.
        """
        frame = self.frames[frame_id]
        held = frame.n_bytes
        try:
            for row, tokens in frame.numbered.take_placed(self._taken):
                self._add(frame, np.arange(row, row + len(tokens)), tokens)
        finally:
            self.n_bytes += frame.n_bytes - held
        return not frame.numbered.waiting

    def note_taken(self, number: int) -> None:
        """Note that all sections of datagram `number` were added: it has nothing of other frames."""
        self._taken.add(number)

    def wait(self, frame_id: int, now: float) -> None:
        """Judge a frame later: datagrams may come that tell the places of its packets."""
        self.frames[frame_id].judge_at = now + self._patience_s(max(self._settings.wait_s, LEAST_WAIT_S))

    def _note_gap(self, gap_s: float) -> None:
        """Note the time between two sections of a frame; longer ones count at once, shorter ones bit by bit."""
        share = 0.5 if gap_s > self._gap_s else 0.05
        self._gap_s += share * (min(gap_s, self._settings.deadline_s / 4) - self._gap_s)

    def _begin(self, frame_id: int, section: Section, form: FrameFormat, now: float) -> IncomingFrame:
        n_tokens = int(np.prod(section.grid))
        if n_tokens > self._max_tokens:
            raise DatagramError(f"frame {frame_id} has {n_tokens} tokens; this end takes at most {self._max_tokens}")
        book = self._codebooks.get(form.codebook_id)
        outline = form.empty_frame(section.grid, book, section.label, frame_id, section.elements)
        frame = IncomingFrame(
            outline, form.positions(section.grid, section.layout_seed), 0, now, now, now + self._settings.deadline_s,
            sought=self.skipped.asked(frame_id),
        )  # fmt: skip
        self.frames[frame_id] = frame
        self.n_bytes += frame.n_bytes
        self._newest = max(self._newest, frame_id)
        self.skipped.begin(frame_id, len(frame.positions), self._patience_s(self._settings.wait_s), now)
        return frame

    def _plan(self, frame: IncomingFrame, now: float) -> None:
        """Time at which a frame's missing packets are requested: at once if all of it has been sent, else later; those
        of a request that has been answered in part, when they would have been requested again in any case."""
        if frame.whole:
            frame.judge_at = now
        elif not (frame.rounds and frame.wanted):
            least = self._settings.ended_wait_s if frame.ended else self._settings.wait_s
            frame.judge_at = now + self._patience_s(least)

    def _patience_s(self, least_s: float) -> float:
        """Time that packets may be late, at least `least_s`."""
        return max(least_s, GAPS * self._gap_s)

    def ask(self, frame_id: int, packets: np.ndarray, patience_s: float, now: float) -> None:
        """Note that packets of a frame are asked for; after `patience_s` they are asked for again."""
        frame = self.frames[frame_id]
        frame.wanted = set(packets.tolist())
        frame.rounds += 1
        frame.judge_at = now + patience_s

    def assembly(self, frame_id: int) -> Assembly | None:
        """Packets received of a frame with their index; None if there are none."""
        return self._assembler.get((self._source, 0, frame_id))

    def take(self, frame_id: int, now: float) -> ReceivedFrame:
        """Take a frame out: it is done."""
        self.place(frame_id)
        frame = self.frames[frame_id]
        unplaced = None if frame.sought else frame.numbered.unplaced(self._taken)
        if unplaced is not None:
            assembly = self.assembly(frame_id)
            free = np.arange(len(frame.positions)) if assembly is None else assembly.missing
            if unplaced.packets == len(free):
                # Whatever their numbers tell: all came, and in this order.
                self._add(frame, free, np.concatenate(unplaced.sections))
                unplaced = None
        del self.frames[frame_id]
        self._done[frame_id] = frame.last_at
        while len(self._done) > DONE_FRAMES:
            self._done.popitem(last=False)
        assembly = self._assembler.pop((self._source, 0, frame_id))
        self.n_bytes -= frame.n_bytes
        return ReceivedFrame(
            frame.outline, frame.positions, assembly, now - frame.first_at, frame.rounds, unplaced, self._source
        )
