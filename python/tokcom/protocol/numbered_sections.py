"""Packets without index, put in place by the numbers of their datagrams (docs/token-protocol.md, "Without index").

The sections of such a frame lie in datagrams that follow each other, one in each, and all have the same number of
packets but the last, which is marked as the end. Therefore the number of a frame's first datagram tells the places of
all its packets, whatever was lost or came late. It follows from the end, from a section with an index, or from the
datagrams before and after that came and carry nothing of the frame.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import pairwise

import numpy as np

from tokcom.errors import DatagramError
from tokcom.protocol.sequence import ReplayWindow

HELD_BYTES = 256
"""Memory of a section that waits for its place, besides its tokens."""


@dataclass(frozen=True, eq=False)
class NumberedSection:
    """A section without index.

    Attributes:
        number: of its datagram.
        tokens: int32 (count, tokens_per_packet).
        end: it is the last of its frame.
    """

    number: int
    tokens: np.ndarray
    end: bool


@dataclass(frozen=True, eq=False)
class Unplaced:
    """Packets whose places the numbers of their datagrams do not tell.

    Attributes:
        sections: int (count, tokens_per_packet) each, in the order of the frame.
        starts: packets of the frame with which the first of them may begin; empty: any.
        gaps: number of packets between each section and the one before, None if unknown; one fewer than sections.
    """

    sections: tuple[np.ndarray, ...]
    starts: tuple[int, ...] = ()
    gaps: tuple[int | None, ...] = ()

    @property
    def packets(self) -> int:
        """Number of packets."""
        return sum(map(len, self.sections))

    @property
    def n_bytes(self) -> int:
        """Bytes held in memory."""
        return sum(each.nbytes + HELD_BYTES for each in self.sections)


@dataclass(eq=False)
class NumberedSections:
    """Record of a frame's sections by the numbers of their datagrams.

    Args:
        n_packets: of the frame.

    Attributes:
        waiting: sections without index that have no place yet.
        packets: number of packets in them.
    """

    n_packets: int
    waiting: list[NumberedSection] = field(default_factory=list)
    packets: int = 0
    _low: int | None = None
    _high: int = 0
    _size: int | None = None
    """Packets of every section but the last."""
    _anchor: tuple[int, int] | None = None
    """Number of a datagram, and the packet with which its section begins."""
    _end: NumberedSection | None = None
    _latest_open: int = 0
    """Highest number of a section that is not the end."""
    _broken: bool = False
    """Whether sections cannot be those of a sender that keeps the rules."""
    _requested: bool = False
    """Whether sections may be repeats: it is not known which datagrams have nothing of the first transmission."""
    _first: int | None = None
    """Number of the frame's first datagram."""

    def note_indexed(self, number: int, index: int) -> None:
        """Note a section of the first transmission that has an index and begins with packet `index`."""
        self._extend(number)
        self._anchor = self._anchor or (number, index)

    def note_requested(self) -> None:
        """Note that a section has come that has an index and may be a repeat."""
        self._requested = True

    def add(self, number: int, tokens: np.ndarray, end: bool) -> None:
        """Add a section without index."""
        section = NumberedSection(number, tokens, end)
        self._broken |= bool(self.waiting) and self.waiting[-1].number == number
        self._extend(number)
        self.waiting.append(section)
        self.packets += len(tokens)
        if end:
            self._broken |= self._end is not None
            self._end = section
        else:
            self._size = self._size or len(tokens)
            self._broken |= len(tokens) != self._size
            self._latest_open = max(self._latest_open, number)

    def _extend(self, number: int) -> None:
        self._low = number if self._low is None else min(self._low, number)
        self._high = max(self._high, number)

    def take_placed(self, window: ReplayWindow) -> list[tuple[int, np.ndarray]]:
        """Take out the sections whose places are known by now: first packet and tokens of each.

        Args:
            window: numbers of the datagrams all of whose sections were taken.

        Raises:
            DatagramError: sections do not follow those before them; they are dropped.
        """
        if not self.waiting:
            return []
        if self._first is None:
            firsts = self._firsts(window)
            self._first = firsts[0] if len(firsts) == 1 else None
        if self._first is None and (self._size is not None or self._broken):
            return []
        taken = [(self._row(each), each.tokens) for each in self.waiting]
        self.waiting, self.packets = [], 0
        if any(row is None for row, _ in taken):
            raise DatagramError("sections without index do not follow those of the datagrams before them")
        return taken

    def _row(self, section: NumberedSection) -> int | None:
        """Packet with which a section begins; None if it cannot be of this frame."""
        count = len(section.tokens)
        if self._first is None:
            # The end is where it is, however large the other sections are.
            return self.n_packets - count
        row = (section.number - self._first) * self._size
        fits = row + count == self.n_packets if section.end else count == self._size and row + count < self.n_packets
        return row if row >= 0 and fits else None

    def _firsts(self, window: ReplayWindow) -> Sequence[int]:
        """Possible numbers of the frame's first datagram; none if a section breaks the rules, or only the end came."""
        if self._broken or self._size is None:
            return ()
        n_sections = -(-self.n_packets // self._size)
        # Behind a section that is not the end is at least one more.
        least, most = max(self._high - n_sections + 1, self._latest_open - n_sections + 2), self._low
        before, after = (None, None) if self._requested else window.nearest(self._low, self._high)
        if before is not None:
            least = max(least, before + 1)
        if after is not None:
            most = min(most, after - n_sections)
        known, broken = [], False
        if self._end is not None:
            known.append(self._end.number - n_sections + 1)
            broken |= len(self._end.tokens) != self.n_packets - (n_sections - 1) * self._size
        if self._anchor is not None:
            sections_before, rest = divmod(self._anchor[1], self._size)
            known.append(self._anchor[0] - sections_before)
            broken |= rest > 0
        return () if broken else range(max([least, *known]), min([most, *known]) + 1)

    def unplaced(self, window: ReplayWindow) -> Unplaced | None:
        """Return what is left without a place; None: nothing."""
        if not self.waiting:
            return None
        waiting = sorted(self.waiting, key=lambda each: each.number)
        sections, firsts = tuple(each.tokens for each in waiting), self._firsts(window)
        if not firsts:
            return Unplaced(sections, (), (None,) * (len(sections) - 1))
        starts = tuple((waiting[0].number - first) * self._size for first in firsts)
        gaps = tuple((b.number - a.number - 1) * self._size for a, b in pairwise(waiting))
        return Unplaced(sections, starts, gaps)
