"""Interface of links, and packets with their identity as links deliver them."""

from collections.abc import Hashable
from dataclasses import dataclass
from functools import cached_property
from typing import Protocol, TypeVar

import numpy as np

from tokcom.frame import LOST, Payload
from tokcom.link.received import ReceivedPackets
from tokcom.packets.layout import unpack

FrameKey = tuple[Hashable, int, int]
"""Source, stream number and frame number: identity of a frame at a receiver."""
Signal = TypeVar("Signal")


@dataclass(frozen=True, eq=False)
class Arrival:
    """Packets of one frame, all or some of them, as a link delivered them.

    Attributes:
        stream_id: of the transmitter or stream.
        outline: the frame, all of its tokens LOST.
        positions: int32 (n_packets, tokens_per_packet), of all packets of the frame (`layout.packet_positions`).
        rows: int (k,), which packets these are, each once.
        tokens: int32 (k, tokens_per_packet), whatever the check says.
        packets_ok: bool (k,), whether the check holds.
        received: soft information on the packets of the frame; None if there is none, as on links that deliver packets
            whole or not at all.
        source: origin of the packets, if the stream's number does not identify it.
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
        """The frame with the tokens of packets whose check holds, LOST elsewhere."""
        packets = np.full(self.positions.shape, LOST, np.int32)
        packets[self.rows[self.packets_ok]] = self.tokens[self.packets_ok]
        return self.outline.with_tokens(unpack(packets, self.positions))


class Link(Protocol[Signal]):
    """Two ends that exchange packets through a medium: the air, a channel model, noise, a network.

    Signals are samples (`bursts.BurstLink`), symbols in known noise (`known_noise`), or datagrams. A simulation is
    `link.receive(medium(link.transmit(frame)))`.
    """

    def transmit(self, frame: Payload, layout_seed: int = 0, mcs: np.ndarray | None = None) -> Signal:
        """Return the signal that carries a frame.

        Args:
            frame: a whole one.
            layout_seed: of its packets' layout.
            mcs: uint8 (n_packets,), the MCS of each, or MCS_NOT_SENT for packets to leave out, as a repetition does.
                None: the configured MCS.

        Raises:
            TokcomError: the link cannot carry such a frame.
        """

    def receive(self, signal: Signal) -> list[Arrival]:
        """Return the packets that the next piece of the received signal completes.

        Unusable parts of the signal are counted, and raise no error.
        """
