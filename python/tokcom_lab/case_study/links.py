"""Links of the case study, each with its medium: the paper's, ours without a waveform, and the whole waveform."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial

import numpy as np

from tokcom.channel.model import ChannelModel, ChannelSettings
from tokcom.errors import ParameterError
from tokcom.frame import LOST, TokenFrame
from tokcom.link.arrival import Arrival, Link, Signal
from tokcom.link.assembly import Assembly
from tokcom.link.bursts import BurstLink
from tokcom.link.known_noise import PlainLink, PlainSymbols
from tokcom.link.packet_link import LinkConfig
from tokcom.link.receiver import Receiver
from tokcom.link.transmitter import TransmitConfig, Transmitter
from tokcom.mcs import find_mcs
from tokcom.packets.codebook import Codebook
from tokcom.packets.layout import pack, packet_layout, unpack
from tokcom.packets.mcs_map import MCS_NOT_SENT
from tokcom.phy.numerology import ESN0_OVER_SNR_DB

LINKS = {
    "paper": "the authors': K=3, unterminated, CRC-11; a packet counts as lost if one of its tokens is wrong",
    "crc": "the authors', but a packet counts as lost if its CRC fails",
    "k7": "K=7, terminated, CRC-16, known noise",
    "burst": "K=7 in OFDM bursts that the receiver must find, estimate and equalise",
}
"""Description of each link. All use 16-QAM at rate 1/2 and 4 tokens per packet."""
MCS, TOKENS_PER_PACKET = "16qam-1/2", 4
SYMBOL_RATE = 50e3
"""Symbols per second without a waveform: the paper's bandwidth of 0.05 MHz."""
SAMPLE_RATE = 1e6
"""Samples per second of bursts."""
DOPPLER_HZ, CFO_HZ = 5.0, 2000.0
SURROUNDINGS = 500
"""Samples of noise before and after a burst."""


@dataclass(frozen=True)
class Delivery:
    """Result of one or more transmissions.

    Attributes:
        packets: the received packets.
        airtime: airtime in seconds.
    """

    packets: Assembly
    airtime: float


@dataclass(frozen=True)
class CaseLink:
    """A link and the medium between its ends.

    Attributes:
        link: its ends.
        carried: the medium: signal in, signal out, at an Es/N0 in dB.
        seconds: airtime of a signal in seconds.
        genie: whether the receiver knows which packets are correct, as in the paper; otherwise it checks the CRC.
    """

    link: Link
    carried: Callable[[Signal, float, np.random.Generator], Signal]
    seconds: Callable[[Signal], float]
    genie: bool = False

    def send(
        self, frame: TokenFrame, layout_seed: int, chosen: np.ndarray, esn0_db: float, rng: np.random.Generator
    ) -> tuple[Arrival, float]:
        """Send the packets `chosen`, bool (n_packets,), of a frame.

        Returns:
            The received packets, and the airtime in seconds.
        """
        mcs = np.where(chosen, find_mcs(MCS).index, MCS_NOT_SENT).astype(np.uint8)
        signal = self.link.transmit(frame, layout_seed, mcs)
        positions = packet_layout(len(frame.tokens), TOKENS_PER_PACKET, layout_seed)
        outline, nothing = (
            frame.with_tokens(np.full_like(frame.tokens, LOST)),
            np.zeros((0, TOKENS_PER_PACKET), np.int32),
        )
        arrival = Arrival(0, outline, positions, np.zeros(0, int), nothing, np.zeros(0, bool))
        for found in self.link.receive(self.carried(signal, esn0_db, rng)):
            if found.positions.shape == positions.shape:
                arrival = found
                break
        if self.genie:
            right = (arrival.tokens == pack(frame.tokens, positions)[arrival.rows]).all(axis=1)
            arrival = replace(arrival, packets_ok=right)
        return arrival, self.seconds(signal)


def _through_air(samples: np.ndarray, esn0_db: float, rng: np.random.Generator, channel: str) -> np.ndarray:
    """Pass padded samples through a channel, with an independent draw of the paths per burst."""
    settings = ChannelSettings(snr_db=esn0_db - ESN0_OVER_SNR_DB, profile=channel, doppler_hz=DOPPLER_HZ, cfo_hz=CFO_HZ)
    model = ChannelModel(settings, SAMPLE_RATE, int(rng.integers(1 << 31)))
    return model.process(np.pad(samples, SURROUNDINGS))


class _EachBurst(BurstLink):
    """Bursts, each received by a receiver in its initial state."""

    def receive(self, samples: np.ndarray) -> list[Arrival]:
        self.receiver.searcher.reset()
        return super().receive(samples)


def case_link(name: str, codebook: Codebook, channel: str) -> CaseLink:
    """Make a link by its name.

    Args:
        name: one of LINKS.
        codebook: the codebook.
        channel: row of channel/profiles.json, for bursts; "none" for the other links, which have no multipath.

    Raises:
        ParameterError: the link or channel does not exist, or the link has no channel.
    """
    if name not in LINKS:
        raise ParameterError(f"link is {name!r}; it must be one of {', '.join(LINKS)}")
    if name == "burst":
        ChannelSettings(profile=channel)
        link = _EachBurst(Transmitter(TransmitConfig(MCS, TOKENS_PER_PACKET)), Receiver([codebook]))
        return CaseLink(link, partial(_through_air, channel=channel), lambda samples: len(samples) / SAMPLE_RATE)
    if channel != "none":
        raise ParameterError(f"channel is {channel!r}; the link {name!r} has no multipath: omit it, or use 'burst'")
    config = LinkConfig("k7" if name == "k7" else "k3", tokens_per_packet=TOKENS_PER_PACKET)
    link = PlainLink(config, codebook.size)
    return CaseLink(link, PlainSymbols.in_noise, lambda signal: signal.symbols.size / SYMBOL_RATE, name == "paper")


def send_until_right(
    link: CaseLink, frame: TokenFrame, layout_seed: int, esn0_db: float, rng: np.random.Generator,
    first: tuple[Arrival, float], attempts: int,
) -> tuple[Delivery, int]:  # fmt: skip
    """Resend every packet that is not accepted, until all are or the attempts are exhausted.

    LLRs of retransmissions are not combined, as in the paper.

    Args:
        link: the link.
        frame, layout_seed, esn0_db: as in the first transmission.
        rng: generator of the noise of retransmissions.
        first: the first transmission.
        attempts: largest number of transmissions per packet.

    Returns:
        The final result, and the total number of packets sent.
    """
    packets, airtime = Assembly(first[0]), first[1]
    count = len(packets.packets_ok)
    for _ in range(attempts - 1):
        missing = ~packets.packets_ok
        if not missing.any():
            break
        again, seconds = link.send(frame, layout_seed, missing, esn0_db, rng)
        count, airtime = count + int(missing.sum()), airtime + seconds
        packets.add(replace(again, received=None) if packets.received else again)
    return Delivery(packets, airtime), count


def payload_frame(payload: bytes, codebook: Codebook, layout_seed: int) -> TokenFrame:
    """Pack bytes into a frame whose packets carry them in order, each token holding as many bits as its index."""
    width = (codebook.size - 1).bit_length()
    if codebook.size != 1 << width:
        raise ParameterError(f"a codebook of {codebook.size} words cannot carry bytes; its size must be a power of two")
    bits = np.unpackbits(np.frombuffer(payload, np.uint8))
    per_packet = width * TOKENS_PER_PACKET
    bits = np.pad(bits, (0, -len(bits) % per_packet))
    packets = bits.reshape(-1, TOKENS_PER_PACKET, width) @ (1 << np.arange(width - 1, -1, -1))
    positions = packet_layout(packets.size, TOKENS_PER_PACKET, layout_seed)
    tokens = unpack(packets.astype(np.int32), positions)
    return TokenFrame(tokens, codebook.name, codebook.size, (len(tokens),), codebook.modality)


def payload_bytes(packets: np.ndarray, codebook: Codebook) -> bytes:
    """Unpack the bytes of a `payload_frame`'s packets, int (n_packets, tokens_per_packet)."""
    width = (codebook.size - 1).bit_length()
    bits = (packets[..., None] >> np.arange(width - 1, -1, -1)) & 1
    return np.packbits(bits.ravel().astype(np.uint8)).tobytes()
