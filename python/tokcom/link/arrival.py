"""Interface of links and of what they deliver: packets with an identity, to be assembled into frames."""

from collections.abc import Hashable
from dataclasses import dataclass
from functools import cached_property
from typing import Protocol, TypeVar

import numpy as np

from tokcom.frame import LOST, Payload
from tokcom.link.received import ReceivedPackets
from tokcom.packets.layout import unpack

FrameKey = tuple[Hashable, int, int]
"""Key of the frame that packets belong to: source, stream and frame number."""
Signal = TypeVar("Signal")


@dataclass(frozen=True, eq=False)
class Arrival:
    """Packets of one frame, all or some of them, as a link brought them.

    Attributes:
        stream_id: of the transmitter or stream.
        outline: the frame, all of its tokens LOST.
        positions: int32 (n_packets, tokens_per_packet), of all packets of the frame (`layout.packet_positions`).
        rows: int (k,), which packets these are, each once.
        tokens: int32 (k, tokens_per_packet), whatever the check says.
        packets_ok: bool (k,), whether the check holds.
        received: what the channel says of the frame's packets beside; None: nothing, as where packets arrive whole or
            not at all.
        source: where they came from, where a stream's number is not enough to tell.
    """

    stream_id: int
    outline: Payload
    positions: np.ndarray
    rows: np.ndarray
    tokens: np.ndarray
    packets_ok: np.ndarray
    received: ReceivedPackets | None = None
    source: Hashable = None

    @property
    def key(self) -> FrameKey:
        """Key of the frame that the packets belong to."""
        return self.source, self.stream_id, self.outline.frame_id

    @cached_property
    def frame(self) -> Payload:
        """The frame as far as its packets are here and their checks hold, LOST elsewhere."""
        packets = np.full(self.positions.shape, LOST, np.int32)
        packets[self.rows[self.packets_ok]] = self.tokens[self.packets_ok]
        return self.outline.with_tokens(unpack(packets, self.positions))


class Link(Protocol[Signal]):
    """The two ends of a way for packets. Between them lies a medium: the air, a channel model, noise, a network.

    Signals are samples (`bursts.BurstLink`), symbols in known noise (`known_noise`), or datagrams. A simulation is
    `link.receive(medium(link.transmit(frame)))`.
    """

    def transmit(self, frame: Payload, layout_seed: int = 0, mcs: np.ndarray | None = None) -> Signal:
        """Signal sent for a frame.

        Args:
            frame: a whole one.
            layout_seed: of its packets' layout.
            mcs: uint8 (n_packets,), the MCS of each, or MCS_NOT_SENT: a repetition sends some packets only. None: as
                the link is configured.

        Raises:
            TokcomError: the link cannot carry such a frame.
        """

    def receive(self, signal: Signal) -> list[Arrival]:
        """The packets that a piece of what arrives completes. Whatever cannot be used of it is counted, and raises
        nothing."""
