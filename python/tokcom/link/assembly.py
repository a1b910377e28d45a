"""Assembly of frames from packets that arrive in any order, from any link, once or several times."""

from collections import OrderedDict
from dataclasses import dataclass, field

import numpy as np

from tokcom.errors import ParameterError
from tokcom.frame import LOST, Payload
from tokcom.link.arrival import Arrival, FrameKey
from tokcom.link.received import ReceivedPackets
from tokcom.packets.layout import unpack

TRANSMISSIONS = 16
"""Maximum number of transmissions of a frame whose log-likelihoods are kept; the oldest are dropped."""


class Assembly:
    """A frame under assembly.

    Args:
        first: its first packets.

    Attributes:
        outline, positions: see `Arrival`.
        tokens: int32 (n_packets, tokens_per_packet); for packets that are not ok, those received last, or 0.
        packets_ok: bool (n_packets,), whose check holds, alone or with repetitions added.
        received: soft information on the packets; None if there is none.
        duplicates: number of packets received again after they were ok.
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
        """Tell whether packets can belong to this frame: same shape and layout, and no contradicting tokens."""
        same = self.outline is arrival.outline or self.outline == arrival.outline
        places, others = self.positions, arrival.positions
        if not same or (places is not others and not np.array_equal(places, others)):
            return False
        both = arrival.packets_ok & self.packets_ok[arrival.rows]
        return np.array_equal(self.tokens[arrival.rows[both]], arrival.tokens[both])

    @property
    def frame(self) -> Payload:
        """The frame, LOST where no packet with a valid check has arrived."""
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


@dataclass
class AssemblyCounters:
    """Counters of an assembler.

    Attributes:
        duplicates: packets received again after they were ok.
        frames_dropped: unfinished frames dropped because a bound was reached.
        packets_dropped: packets of those frames that were ok.
        frames_replaced: frames whose number was received with another shape or other tokens; the newer one stays.
    """

    duplicates: int = 0
    frames_dropped: int = 0
    packets_dropped: int = 0
    frames_replaced: int = 0


@dataclass
class FrameAssembler:
    """Assembler of any number of frames, within bounds.

    It has no clock: its user removes frames (`pop`) that are whole or too late. Beyond the bounds, the frame whose last
    packet is oldest is dropped.

    Args:
        max_bytes: maximum number of bytes of all frames; the latest frame is kept, whatever its size.
        max_frames: maximum number of frames.

    Attributes:
        counters: counters of packets and frames.

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
        """Bytes of all frames under assembly."""

    def __len__(self) -> int:
        return len(self._frames)

    def add(self, arrival: Arrival) -> Assembly:
        """Add packets, and return their frame as assembled so far."""
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
        """Return a frame under assembly; None if there is none."""
        return self._frames.get(key)

    def pop(self, key: FrameKey) -> Assembly | None:
        """Remove and return a frame; None if there is none."""
        found = self._frames.pop(key, None)
        if found is not None:
            self.bytes_held -= found.n_bytes
        return found
