"""Frames from their packets: in any order, from any link, sent once or several times."""

from collections import OrderedDict
from dataclasses import dataclass, field

import numpy as np

from tokcom.errors import ParameterError
from tokcom.frame import LOST, BitFrame, Payload
from tokcom.link.arrival import Arrival, FrameKey
from tokcom.link.bit_packets import list_decoded
from tokcom.link.received import ReceivedPackets
from tokcom.packets.layout import unpack

TRANSMISSIONS = 16
"""Transmissions of a frame whose log-likelihoods are kept; of more, those that came first go."""


class Assembly:
    """A frame as far as its packets have come.

    Args:
        first: its first packets.

    Attributes:
        outline, positions: see `Arrival`.
        tokens: int32 (n_packets, tokens_per_packet); of packets that are not ok what came last, or 0.
        packets_ok: bool (n_packets,), whose check holds, alone or with repetitions added.
        received: what the channel says of the packets; None: nothing.
        duplicates: packets that came although they were here.
    """

    def __init__(self, first: Arrival):
        self.key, self.outline, self.positions = first.key, first.outline, first.positions
        self.tokens = np.zeros(first.positions.shape, np.int32)
        self.packets_ok = np.zeros(len(first.positions), bool)
        self.received: ReceivedPackets | None = None
        self.duplicates = 0
        self.add(first)

    def add(self, arrival: Arrival) -> None:
        """Add packets of this frame."""
        rows, ok = arrival.rows, arrival.packets_ok
        self.duplicates += int(np.count_nonzero(ok & self.packets_ok[rows]))
        new = ~self.packets_ok[rows]
        self.tokens[rows[new]] = arrival.tokens[new]
        self.packets_ok[rows[ok]] = True
        if arrival.received is not None:
            self._hear(arrival.received)

    def fits(self, arrival: Arrival) -> bool:
        """Whether packets can be of this frame: of the same shape and layout, and none says other than one here."""
        same = self.outline is arrival.outline or self.outline == arrival.outline
        places, others = self.positions, arrival.positions
        if not same or (places is not others and not np.array_equal(places, others)):
            return False
        both = arrival.packets_ok & self.packets_ok[arrival.rows]
        return np.array_equal(self.tokens[arrival.rows[both]], arrival.tokens[both])

    @property
    def frame(self) -> Payload:
        """The frame, LOST where no packet whose check holds has come."""
        believed = np.where(self.packets_ok[:, None], self.tokens, LOST)
        return self.outline.with_tokens(unpack(believed, self.positions))

    @property
    def missing(self) -> np.ndarray:
        """int (n,): packets that are not ok."""
        return np.flatnonzero(~self.packets_ok)

    @property
    def n_bytes(self) -> int:
        """Bytes held in memory."""
        own = self.tokens.nbytes + self.positions.nbytes + self.packets_ok.nbytes + self.outline.tokens.nbytes
        return own + (0 if self.received is None else self.received.n_bytes)

    def _hear(self, received: ReceivedPackets) -> None:
        if self.received is None:
            self.received = received
            return
        before = self.received.sent
        self.received = self.received.with_more(received).latest(TRANSMISSIONS)
        rows = np.flatnonzero(~self.packets_ok & received.sent & before)
        if len(rows):
            tokens, ok = self.received.decode(rows)
            self.tokens[rows], self.packets_ok[rows[ok]] = tokens, True
        if len(rows) and isinstance(self.outline, BitFrame):
            rows, bits = list_decoded(self.received, rows[~ok])
            self.tokens[rows], self.packets_ok[rows] = bits, True


@dataclass
class AssemblyCounters:
    """Result of adding packets.

    Attributes:
        duplicates: packets that came although they were here.
        frames_dropped: frames that were let go, unfinished, because the bounds were reached.
        packets_dropped: packets of those that had come.
        frames_replaced: frames whose number came with another shape or other tokens: the newer one stays.
    """

    duplicates: int = 0
    frames_dropped: int = 0
    packets_dropped: int = 0
    frames_replaced: int = 0


@dataclass
class FrameAssembler:
    """Puts packets of any number of frames together, within bounds.

    It keeps no time: its user takes frames out (`pop`) when they are whole or too late. Frames that are not taken out
    are dropped when the bounds are reached, those first whose last packet is oldest.

    Args:
        max_bytes: what all frames may hold; the latest is kept, whatever it holds.
        max_frames: frames at most.

    Attributes:
        counters: what became of packets.

    Raises:
        ParameterError: a bound is below 1.
    """

    max_bytes: int = 64 << 20
    max_frames: int = 256
    counters: AssemblyCounters = field(default_factory=AssemblyCounters)

    def __post_init__(self) -> None:
        for name in ("max_bytes", "max_frames"):
            if getattr(self, name) < 1:
                raise ParameterError(f"{name} is {getattr(self, name)}; it must be at least 1")
        self._frames: OrderedDict[FrameKey, Assembly] = OrderedDict()
        self.bytes_held = 0
        """Bytes of all frames that are here."""

    def __len__(self) -> int:
        return len(self._frames)

    def add(self, arrival: Arrival) -> Assembly:
        """Add packets, and return all that is here of their frame."""
        key = arrival.key
        known = self._frames.get(key)
        if known is not None and not known.fits(arrival):
            self.counters.frames_replaced += 1
            self.pop(key)
            known = None
        if known is None:
            known = self._frames[key] = Assembly(arrival)
            self.bytes_held += known.n_bytes
        else:
            before, duplicates = known.n_bytes, known.duplicates
            known.add(arrival)
            self.bytes_held += known.n_bytes - before
            self.counters.duplicates += known.duplicates - duplicates
            self._frames.move_to_end(key)
        while len(self._frames) > 1 and (len(self._frames) > self.max_frames or self.bytes_held > self.max_bytes):
            dropped = self.pop(next(iter(self._frames)))
            self.counters.frames_dropped += 1
            self.counters.packets_dropped += int(np.count_nonzero(dropped.packets_ok))
        return known

    def get(self, key: FrameKey) -> Assembly | None:
        """Assembly of a frame as far as it has arrived; None: nothing has."""
        return self._frames.get(key)

    def pop(self, key: FrameKey) -> Assembly | None:
        """Take a frame out; None: nothing of it is here."""
        found = self._frames.pop(key, None)
        if found is not None:
            self.bytes_held -= found.n_bytes
        return found
