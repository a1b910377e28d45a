"""Link of constellation symbols over the carriers of a burst, in noise known to the receiver, without preamble, header
or estimation."""

import numpy as np

from tokcom.channel.awgn import awgn
from tokcom.frame import TokenFrame
from tokcom.link.bursts import Receiver, TransmitConfig, Transmitter
from tokcom.link.packets import MixedPackets
from tokcom.link.recovery import FrameRecovery, RecoveredFrame
from tokcom.models.zoo import codebook
from tokcom.packets.header import BurstHeader
from tokcom.packets.layout import packet_layout
from tokcom.phy import grid


class SymbolLink:
    """Transmitter and receiver without a waveform.

    Args:
        model: name or folder of the model.
    """

    def __init__(self, model: str):
        self.transmitter, self._receiver = Transmitter(TransmitConfig()), Receiver([codebook(model)])

    def send(
        self, frame: TokenFrame, layout_seed: int, mcs: np.ndarray, carrier_esn0_db: np.ndarray,
        rng: np.random.Generator,
    ) -> tuple[np.ndarray, BurstHeader]:  # fmt: skip
        """Simulate the transmission of a frame; return LLRs, float32, and header.

        Args:
            frame: a frame without lost tokens.
            layout_seed: seed of its packets' layout.
            mcs: uint8 (n_packets,), MCS of each packet.
            carrier_esn0_db: float, Es/N0 in dB of the 52 carriers in use, or one for all.
            rng: generator of the noise.
        """
        packets = self.transmitter.packetize(frame, layout_seed)
        coded = MixedPackets.of(frame.codebook_size, packets.shape[1], mcs)
        symbols = coded.map(coded.encode(packets, self.transmitter.identity(frame)))
        carriers = np.asarray(carrier_esn0_db, float)
        places = np.zeros(len(symbols), int)
        if len(carriers) > 1:
            # The interleaver determines the cell of each symbol, and the pilots its carrier.
            n_symbols = grid.symbols_for(len(symbols))
            places = grid.data_places(n_symbols).ravel()[grid.interleaving(n_symbols)[: len(symbols)]]
        variance = (10 ** (-carriers[places] / 10)).astype(np.float32)
        noisy = symbols + awgn(np.zeros_like(symbols), 0.0, rng) * np.sqrt(variance)
        header = self.transmitter.header(frame, layout_seed, mcs, packets.shape[1])
        return coded.demap(noisy.astype(np.complex64), variance), header

    def viterbi(self, llrs: np.ndarray, header: BurstHeader) -> tuple[np.ndarray, np.ndarray]:
        """Decode by the Viterbi algorithm: tokens (n_packets, tokens_per_packet), and whether the CRC holds, bool
        (n_packets,)."""
        return self._receiver.decode(llrs, header)

    def receive(self, llrs: np.ndarray, header: BurstHeader, recovery: FrameRecovery) -> RecoveredFrame:
        """Recover a frame from its LLRs."""
        packets, ok = self.viterbi(llrs, header)
        return recovery.recover(self._receiver.assemble(packets, ok, header).frame, header, llrs)


def wrong_tokens(frame: TokenFrame, header: BurstHeader, recovered: RecoveredFrame) -> np.ndarray:
    """Find the wrong tokens of a recovered frame, bool (n_packets, tokens_per_packet)."""
    layout = packet_layout(header.n_tokens, header.tokens_per_packet, header.layout_seed)
    return (recovered.frame.tokens != frame.tokens)[layout] & (layout >= 0)
