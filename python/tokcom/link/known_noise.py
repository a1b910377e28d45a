"""Packets as constellation symbols in noise that the receiver knows: no preamble, no header, no estimation."""

from dataclasses import dataclass, replace

import numpy as np

from tokcom.channel.awgn import awgn, noise_variance
from tokcom.frame import LOST, Payload
from tokcom.link.arrival import Arrival
from tokcom.link.packet_link import LinkConfig, PacketLink
from tokcom.link.packets import MixedPackets
from tokcom.link.received import PlainTransmission, ReceivedPackets
from tokcom.link.receiver import Receiver
from tokcom.link.transmitter import Transmitter
from tokcom.packets.header import BurstHeader
from tokcom.packets.layout import SPREAD, pack, packet_positions
from tokcom.packets.mcs_map import MCS_NOT_SENT
from tokcom.packets.thinning import packets_sent
from tokcom.phy import grid


@dataclass(frozen=True, eq=False)
class HeadedSymbols:
    """A frame's packets as symbols, and the header that is known at the other end.

    Attributes:
        header: of the burst that would carry them.
        symbols: complex64 (n,), of all packets, one after the other.
        noise_variance: float32 (n,), N0 on each.
    """

    header: BurstHeader
    symbols: np.ndarray
    noise_variance: np.ndarray

    def in_noise(self, esn0_db: float | np.ndarray, rng: np.random.Generator) -> "HeadedSymbols":
        """The same after noise.

        Args:
            esn0_db: Es/N0 in dB; or that of each of the 52 carriers in use, float (52,): then each symbol is on the
                carrier that it has in a burst.
            rng: of the noise.
        """
        if np.size(esn0_db) == 1:
            value = float(np.ravel(esn0_db)[0])
            variance = np.full(len(self.symbols), noise_variance(value), np.float32)
            return replace(self, symbols=awgn(self.symbols, value, rng), noise_variance=variance)
        # The interleaver of the burst's third block says which cell each symbol meets, and pilots which carrier.
        n_symbols = grid.symbols_for(len(self.symbols))
        places = grid.data_places(n_symbols).ravel()[grid.interleaving(n_symbols)[: len(self.symbols)]]
        variance = (10 ** (-np.asarray(esn0_db, float)[places] / 10)).astype(np.float32)
        noisy = self.symbols + awgn(np.zeros_like(self.symbols), 0.0, rng) * np.sqrt(variance)
        return replace(self, symbols=noisy.astype(np.complex64), noise_variance=variance)


class SymbolLink:
    """Packets of bursts without a waveform, as a `link.arrival.Link`: what they say is what a burst's would.

    Args:
        transmitter, receiver: its ends.
        tested: winners are tested for their fit, as those of bursts are, though the noise is known.
    """

    def __init__(self, transmitter: Transmitter, receiver: Receiver, tested: bool = False):
        self.transmitter, self.receiver, self.tested = transmitter, receiver, tested

    def transmit(self, frame: Payload, layout_seed: int = 0, mcs: np.ndarray | None = None) -> HeadedSymbols:
        """Transmit a frame, unencrypted; see `link.arrival.Link.transmit`."""
        sender = self.transmitter
        packets = sender.packetize(frame, layout_seed)
        sent = packets_sent(frame.thinning, frame.grid, packets.shape[1])
        mcs = sender.choose_mcs(len(packets), sent) if mcs is None else mcs
        coded = sender.coded(frame, mcs, packets.shape[1])
        symbols = coded.map(coded.encode(packets, sender.identity(frame)))
        header = sender.header(frame, layout_seed, mcs, packets.shape[1])
        return HeadedSymbols(header, symbols, np.zeros(len(symbols), np.float32))

    def receive(self, signal: HeadedSymbols) -> list[Arrival]:
        """The packets, all at once.

        Raises:
            FrameError: the receiver lacks the labels that they were sent under, or the symbols are not the header's.
        """
        header, receiver = signal.header, self.receiver
        coded = MixedPackets.of(1 << header.token_bits, header.tokens_per_packet, header.mcs)
        llrs = coded.demap(signal.symbols, signal.noise_variance)
        misfit = coded.misfit(signal.symbols, signal.noise_variance) if self.tested else None
        packets, ok = receiver.decode(llrs, header, misfit)
        return [receiver.assemble(packets, ok, header, receiver.received(llrs, header, misfit))]


@dataclass(frozen=True, eq=False)
class PlainSymbols:
    """A frame's packets as symbols, all coded alike, and what is known of them at the other end.

    Attributes:
        outline: the frame, all of its tokens LOST.
        positions: int32 (n_packets, tokens_per_packet).
        sent: bool (n_packets,), which were sent.
        symbols: complex64 (packets sent, n_symbols).
        noise_variance: N0.
    """

    outline: Payload
    positions: np.ndarray
    sent: np.ndarray
    symbols: np.ndarray
    noise_variance: float = 0.0

    def in_noise(self, esn0_db: float, rng: np.random.Generator) -> "PlainSymbols":
        """The same after AWGN."""
        return replace(self, symbols=awgn(self.symbols, esn0_db, rng), noise_variance=noise_variance(esn0_db))


class PlainLink:
    """Packets of any code, all coded alike, as a `link.arrival.Link`.

    Args:
        config: code, constellation and tokens per packet.
        codebook_size: words of the codebook.
        stream_id: of what it brings.
        layout: which tokens travel together, one of `packets.layout.LAYOUTS`.
    """

    def __init__(self, config: LinkConfig, codebook_size: int, stream_id: int = 0, layout: str = SPREAD):
        self._link, self._stream_id, self._layout = PacketLink(config, codebook_size), stream_id, layout

    def transmit(self, frame: Payload, layout_seed: int = 0, mcs: np.ndarray | None = None) -> PlainSymbols:
        """Transmit a frame; see `link.arrival.Link.transmit`. Of the MCS, only the packets left unsent matter."""
        positions = packet_positions(frame.grid, self._link.config.tokens_per_packet, self._layout, layout_seed)
        sent = np.ones(len(positions), bool) if mcs is None else np.asarray(mcs) != MCS_NOT_SENT
        symbols = self._link.modulate(pack(frame.tokens, positions)[sent])
        outline = frame.with_tokens(np.full_like(frame.tokens, LOST))
        return PlainSymbols(outline, positions, sent, symbols)

    def receive(self, signal: PlainSymbols) -> list[Arrival]:
        """The packets that were sent, all at once."""
        llrs = self._link.demap(signal.symbols, signal.noise_variance)
        tokens, ok = self._link.decode(llrs)
        received = ReceivedPackets(signal.positions, (PlainTransmission(self._link, signal.sent, llrs),))
        rows = np.flatnonzero(signal.sent)
        return [Arrival(self._stream_id, signal.outline, signal.positions, rows, tokens, ok, received)]
