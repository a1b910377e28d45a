"""Bursts as a link, and their kernels compiled ahead."""

from functools import cache

import numpy as np

from tokcom.context.prediction import Prediction
from tokcom.frame import Payload, TokenFrame
from tokcom.link.arrival import Arrival
from tokcom.link.packets import MixedPackets
from tokcom.link.receiver import Receiver
from tokcom.link.transmitter import Transmitter
from tokcom.packets.identity import PacketIdentity


class BurstLink:
    """Bursts of samples as a `link.arrival.Link`.

    Args:
        transmitter, receiver: its ends; a receiver's recovery and assembler have no part in it.
    """

    def __init__(self, transmitter: Transmitter, receiver: Receiver):
        self.transmitter, self.receiver = transmitter, receiver

    def transmit(self, frame: Payload, layout_seed: int = 0, mcs: np.ndarray | None = None) -> np.ndarray:
        """Transmit a frame; see `Transmitter.transmit`."""
        return self.transmitter.transmit(frame, layout_seed, mcs)

    def receive(self, samples: np.ndarray) -> list[Arrival]:
        """Arrivals in samples; see `Receiver.arrivals`."""
        return self.receiver.arrivals(samples)


@cache
def compile_kernels() -> None:
    """Send a burst from a transmitter to a receiver and list-decode a packet, with a prior of all words and with one of
    the likeliest, so that Numba compiles what they need.

    The first time on a machine this takes up to a minute, during which a radio's samples would be lost; later calls
    find the kernels on disk.
    """
    frame = TokenFrame(np.zeros(4, np.int32), "random", 256)
    burst = Transmitter().transmit(frame, 0)
    Receiver().receive(np.pad(burst, 400))
    coded = MixedPackets.of(frame.codebook_size, 4, np.zeros(1))
    llrs = np.ones(coded.bits.sum(), np.float32)
    for priors in (np.zeros((1, 4, frame.codebook_size), np.float32), Prediction.even((1, 4), frame.codebook_size)):
        coded.list_decode(llrs, np.arange(1), priors, PacketIdentity(0, 0, 0))
