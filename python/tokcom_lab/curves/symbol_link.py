"""Frames as constellation symbols over the carriers of a burst, in noise that the receiver knows: no preamble, no
header, no estimation."""

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
    """A transmitter and a receiver without a waveform between them.

    Args:
        model: name or folder of the model.
    """

    def __init__(self, model: str):
        self.transmitter, self._receiver = Transmitter(TransmitConfig()), Receiver([codebook(model)])

    def send(
        self, frame: TokenFrame, layout_seed: int, mcs: np.ndarray, carrier_esn0_db: np.ndarray,
        rng: np.random.Generator,
    ) -> tuple[np.ndarray, BurstHeader]:  # fmt: skip
        """LLRs, float32, and header of a frame.

        Args:
            frame: a whole frame.
            layout_seed: of its packets' layout.
            mcs: uint8 (n_packets,).
            carrier_esn0_db: float, Es/N0 of the 52 carriers in use, or of one for all.
            rng: of the noise.
        """
        packets = self.transmitter.packetize(frame, layout_seed)
        coded = MixedPackets.of(frame.codebook_size, packets.shape[1], mcs)
        symbols = coded.map(coded.encode(packets, self.transmitter.identity(frame)))
        carriers = np.asarray(carrier_esn0_db, float)
        places = np.zeros(len(symbols), int)
        if len(carriers) > 1:
            # The interleaver of the burst's third block says which cell each symbol meets, and pilots which carrier.
            n_symbols = grid.symbols_for(len(symbols))
            places = grid.data_places(n_symbols).ravel()[grid.interleaving(n_symbols)[: len(symbols)]]
        variance = (10 ** (-carriers[places] / 10)).astype(np.float32)
        noisy = symbols + awgn(np.zeros_like(symbols), 0.0, rng) * np.sqrt(variance)
        header = self.transmitter.header(frame, layout_seed, mcs, packets.shape[1])
        return coded.demap(noisy.astype(np.complex64), variance), header

    def viterbi(self, llrs: np.ndarray, header: BurstHeader) -> tuple[np.ndarray, np.ndarray]:
        """Tokens (n_packets, tokens_per_packet) of the Viterbi decoder, and bool (n_packets,): the CRC holds."""
        return self._receiver.decode(llrs, header)

    def receive(self, llrs: np.ndarray, header: BurstHeader, recovery: FrameRecovery) -> RecoveredFrame:
        """What the receiver makes of a frame's LLRs."""
        packets, ok = self.viterbi(llrs, header)
        return recovery.recover(self._receiver.assemble(packets, ok, header).frame, header, llrs)


def wrong_tokens(frame: TokenFrame, header: BurstHeader, recovered: RecoveredFrame) -> np.ndarray:
    """bool (n_packets, tokens_per_packet): tokens of a frame that came out wrong."""
    layout = packet_layout(header.n_tokens, header.tokens_per_packet, header.layout_seed)
    return (recovered.frame.tokens != frame.tokens)[layout] & (layout >= 0)
