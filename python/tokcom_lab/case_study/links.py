"""Links of the case study behind one interface: the paper's, ours without a waveform, and the whole waveform."""

from dataclasses import dataclass, replace
from typing import Protocol

import numpy as np

from tokcom.channel.awgn import awgn, noise_variance
from tokcom.channel.model import ChannelModel, ChannelSettings
from tokcom.errors import ParameterError, TokcomError
from tokcom.frame import TokenFrame
from tokcom.link.bursts import Receiver, TransmitConfig, Transmitter
from tokcom.link.packets import LinkConfig, PacketLink
from tokcom.link.recovery import ReceivedPackets
from tokcom.packets.codebook import Codebook
from tokcom.packets.layout import packet_layout, unpack
from tokcom.packets.mcs_map import MCS_NOT_SENT
from tokcom.phy.numerology import ESN0_OVER_SNR_DB

LINKS = {
    "paper": "the authors': K=3, unterminated, CRC-11; a packet counts as lost if one of its tokens is wrong",
    "crc": "the authors', but a packet counts as lost if its CRC fails",
    "k7": "K=7, terminated, CRC-16, known noise",
    "burst": "K=7 in OFDM bursts that the receiver must find, estimate and equalise",
}
"""Description of each link. All use 16-QAM at rate 1/2 and 4 tokens per packet."""
TOKENS_PER_PACKET = 4
SYMBOL_RATE = 50e3
"""Symbols per second without a waveform: the paper's bandwidth of 0.05 MHz."""
SAMPLE_RATE = 1e6
"""Samples per second of bursts."""
DOPPLER_HZ, CFO_HZ = 5.0, 2000.0
SURROUNDINGS = 500
"""Samples of noise before and after a burst."""


@dataclass(frozen=True)
class Arrival:
    """Result of one transmission.

    Attributes:
        tokens: int32 (n_packets, tokens_per_packet), as decoded by the Viterbi decoder.
        believed: bool (n_packets,), whether the receiver accepts the packet.
        packets: the receiver's further data on the packets; None if it noticed no transmission.
        airtime: airtime in seconds.
    """

    tokens: np.ndarray
    believed: np.ndarray
    packets: ReceivedPackets | None
    airtime: float


class CaseLink(Protocol):
    """Link that carries the packets of one frame."""

    def send(
        self, frame: TokenFrame, layout_seed: int, chosen: np.ndarray, esn0_db: float, rng: np.random.Generator
    ) -> Arrival:
        """Send the packets `chosen`, bool (n_packets,), of a frame; the others arrive as zeros and are not accepted."""


class KnownNoiseLink:
    """Link of coded packets as symbols in white Gaussian noise of known variance.

    Args:
        code: row of coding/codes.json.
        genie: whether the receiver knows which packets are correct, as in the paper; otherwise it checks the CRC.
        codebook_size: number of words in the codebook.
    """

    def __init__(self, code: str, genie: bool, codebook_size: int):
        self._link = PacketLink(LinkConfig(code, tokens_per_packet=TOKENS_PER_PACKET), codebook_size)
        self._genie = genie

    def send(
        self, frame: TokenFrame, layout_seed: int, chosen: np.ndarray, esn0_db: float, rng: np.random.Generator
    ) -> Arrival:
        """Send packets as `CaseLink.send`."""
        positions = packet_layout(len(frame.tokens), TOKENS_PER_PACKET, layout_seed)
        sent = np.where(positions < 0, 0, frame.tokens[positions])
        symbols = self._link.modulate(sent[chosen])
        llrs = self._link.demap(awgn(symbols, esn0_db, rng), noise_variance(esn0_db))
        tokens, believed = np.zeros_like(sent), np.zeros(len(sent), bool)
        tokens[chosen], believed[chosen] = self._link.decode(llrs)
        if self._genie:
            believed = chosen & (tokens == sent).all(axis=1)
        place = np.cumsum(chosen) - 1
        packets = ReceivedPackets(
            positions, chosen, lambda: tokens,
            lambda rows, priors, settings: self._link.list_decode(llrs[place[rows]], priors, settings),
        )  # fmt: skip
        return Arrival(tokens, believed, packets, symbols.size / SYMBOL_RATE)


class BurstLink:
    """Link of bursts through a channel at 1 MS/s, with an independent draw of the paths per burst.

    Args:
        codebook: the codebook.
        channel: row of channel/profiles.json; "none" for a single path.
    """

    def __init__(self, codebook: Codebook, channel: str):
        self._transmitter = Transmitter(TransmitConfig("16qam-1/2", TOKENS_PER_PACKET))
        self._codebook, self._channel = codebook, channel
        ChannelSettings(profile=channel)

    def send(
        self, frame: TokenFrame, layout_seed: int, chosen: np.ndarray, esn0_db: float, rng: np.random.Generator
    ) -> Arrival:
        """Send packets as `CaseLink.send`."""
        mcs = np.where(chosen, self._transmitter.choose_mcs(len(chosen)), MCS_NOT_SENT).astype(np.uint8)
        burst = self._transmitter.transmit(frame, layout_seed, mcs)
        settings = ChannelSettings(
            snr_db=esn0_db - ESN0_OVER_SNR_DB, profile=self._channel, doppler_hz=DOPPLER_HZ, cfo_hz=CFO_HZ
        )
        channel = ChannelModel(settings, SAMPLE_RATE, int(rng.integers(1 << 31)))
        receiver, airtime = Receiver([self._codebook]), len(burst) / SAMPLE_RATE
        nothing = np.zeros((len(chosen), TOKENS_PER_PACKET), np.int32), np.zeros(len(chosen), bool)
        found = receiver.search(channel.process(np.pad(burst, SURROUNDINGS)))
        try:
            demodulated = receiver.demodulate(found[0]) if found else None
        except TokcomError:
            demodulated = None
        if demodulated is None or demodulated.header.n_packets != len(chosen):
            return Arrival(*nothing, None, airtime)
        llrs = receiver.demap(demodulated)
        tokens, believed = receiver.decode(llrs, demodulated.header)
        packets = ReceivedPackets.of_burst(
            demodulated.header, frame.codebook_size, llrs, misfit=receiver.misfit(demodulated)
        )
        return Arrival(tokens, believed, packets, airtime)


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
        return BurstLink(codebook, channel)
    if channel != "none":
        raise ParameterError(f"channel is {channel!r}; the link {name!r} has no multipath: omit it, or use 'burst'")
    return KnownNoiseLink("k7" if name == "k7" else "k3", name == "paper", codebook.size)


def send_until_right(
    link: CaseLink, frame: TokenFrame, layout_seed: int, esn0_db: float, rng: np.random.Generator, first: Arrival,
    attempts: int,
) -> tuple[Arrival, int]:  # fmt: skip
    """Resend every packet that is not accepted, until all are or the attempts are exhausted.

    Args:
        link: the link.
        frame, layout_seed, esn0_db: as in the first transmission.
        rng: generator of the noise of retransmissions.
        first: the first transmission.
        attempts: largest number of transmissions per packet.

    Returns:
        The final result, and the total number of packets sent.
    """
    now, packets = first, len(first.believed)
    for _ in range(attempts - 1):
        missing = ~now.believed
        if not missing.any():
            break
        again = link.send(frame, layout_seed, missing, esn0_db, rng)
        packets += int(missing.sum())
        tokens = np.where(missing[:, None], again.tokens, now.tokens)
        now = replace(
            now, tokens=tokens, believed=now.believed | again.believed, airtime=now.airtime + again.airtime,
            packets=now.packets or again.packets,
        )  # fmt: skip
    return now, packets


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
