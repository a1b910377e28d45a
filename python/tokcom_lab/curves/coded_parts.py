"""Packets whose trellis steps are sent a part at a time, from a circular buffer.

Steps that were sent before are sent again once all have been. What was received of a step adds up (Chase, 1985), level
by level of the constellation: sums of single bits' LLRs would lose how the bits of a component depend on each other.
"""

from dataclasses import dataclass

import numpy as np

from tokcom.channel.awgn import awgn, noise_variance
from tokcom.link.packet_link import LinkConfig, PacketLink
from tokcom.link.received import AlikePackets

MODULATION = "16qam"
"""A symbol carries two steps of a code of rate 1/2, one on each component."""
STEPS_PER_SYMBOL = 2
GOLDEN = (5**0.5 - 1) / 2


@dataclass(frozen=True, eq=False)
class ReceivedParts(AlikePackets):
    """A `link.received.Transmission` of all packets of a frame, by what all their parts say together.

    Attributes:
        of_all: float32 (n_packets, stages, words), log-likelihoods of the code words of every trellis step.
    """

    of_all: np.ndarray

    @property
    def sent(self) -> np.ndarray:
        return np.ones(len(self.of_all), bool)

    @property
    def n_bytes(self) -> int:
        return self.of_all.nbytes

    def decode(self) -> tuple[np.ndarray, np.ndarray]:
        return self.link.decode_steps(self.of_all)

    def steps(self, rows: np.ndarray) -> np.ndarray:
        return self.of_all[rows]


class CodedParts:
    """Sends steps of packets in an order in which any number of them is spread evenly.

    Args:
        code: row of codes.json, of rate 1/2.
        codebook_size: words of the tokens' codebook.
        tokens_per_packet: at least 1.
    """

    def __init__(self, code: str, codebook_size: int, tokens_per_packet: int):
        config = LinkConfig(code, MODULATION, tokens_per_packet)
        self.link = PacketLink(config, codebook_size)
        self._codec, self._constellation = config.codec(codebook_size), config.constellation()
        self.stages = self._codec.coded_length // 2
        spread = np.argsort(np.arange(self.stages) * GOLDEN % 1, kind="stable")
        self._order = np.argsort(spread, kind="stable")

    def nothing(self, n_packets: int) -> np.ndarray:
        """Make the log-likelihoods of packets of which nothing was sent, float32 (n_packets, stages, 4)."""
        return np.zeros((n_packets, self.stages, 4), np.float32)

    def send(
        self, packets: np.ndarray, before: np.ndarray, count: np.ndarray, esn0_db: float, rng: np.random.Generator
    ) -> np.ndarray:  # fmt: skip
        """Send steps of packets through AWGN.

        Args:
            packets: tokens (n_packets, tokens_per_packet).
            before: int (n_packets,), steps of each that were sent before.
            count: int (n_packets,), steps of each that are sent now, whole symbols of them.
            esn0_db: Es/N0 in dB.
            rng: of the noise.

        Returns:
            float32 (n_packets, stages, 4), log-likelihoods of the code words of every step; 0 for those not sent.
        """
        coded, variance = self._codec.encode(packets).reshape(len(packets), self.stages, 2), noise_variance(esn0_db)
        received = self.nothing(len(packets))
        for row in np.flatnonzero(count):
            places = self._order[np.arange(before[row], before[row] + count[row]) % self.stages]
            noisy = awgn(self._constellation.map(coded[row, places].reshape(1, -1)), esn0_db, rng)
            llrs = self._constellation.llrs(noisy, variance, 2 * len(places), "maxlog")
            np.add.at(received[row], places, self._constellation.pair_metrics(llrs)[0])
        return received
