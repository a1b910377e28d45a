"""One transmitter and one receiver, composed once: blocks, simulator and benchmarks all use these.

Each stage is a method of its own, so that a flowgraph can put a block between any two of them; `Transmitter.transmit`
and `Receiver.receive` are nothing but the stages in a row.
"""

from dataclasses import dataclass, replace
from functools import lru_cache

import numpy as np

from tokcom.coding.packet_codec import PacketCodec
from tokcom.context.recovery import Recovery
from tokcom.errors import FrameError, ParameterError
from tokcom.frame import LOST, TokenFrame
from tokcom.modulation.constellation import LLR_METHODS, Constellation
from tokcom.packets.layout import pack, packet_layout, unpack
from tokcom.tables import table_row


@dataclass(frozen=True)
class LinkConfig:
    """What transmitter and receiver must agree on.

    Args:
        code: row of coding/codes.json, "k7" or the paper's "k3"; it brings its CRC and bit order along.
        modulation: row of modulation/constellations.json.
        tokens_per_packet: tokens in each packet, at least 1.
        llr: "exact" or "maxlog"; empty for what the code's row says.

    Raises:
        ParameterError: a parameter is out of its range.
    """

    code: str = "k7"
    modulation: str = "16qam"
    tokens_per_packet: int = 4
    llr: str = ""

    def __post_init__(self) -> None:
        if self.llr and self.llr not in LLR_METHODS:
            raise ParameterError(f"llr is {self.llr!r}; it must be one of {', '.join(LLR_METHODS)}, or empty")
        PacketCodec(self.code, tokens_per_packet=self.tokens_per_packet)
        self.constellation()

    def codec(self, codebook_size: int) -> PacketCodec:
        """The code of packets of a codebook's tokens."""
        return _codec(self.code, codebook_size, self.tokens_per_packet)

    def constellation(self) -> Constellation:
        """The constellation, with the code's bit order."""
        return Constellation(self.modulation, self._code_row["bit_order"])

    @property
    def llr_method(self) -> str:
        return self.llr or self._code_row["llr"]

    @property
    def _code_row(self) -> dict:
        return table_row("tokcom.coding", "codes", "code", self.code)


@lru_cache(maxsize=16)
def _codec(code: str, codebook_size: int, tokens_per_packet: int) -> PacketCodec:
    return PacketCodec(code, codebook_size, tokens_per_packet)


@dataclass(frozen=True)
class Burst:
    """A frame as it crosses the channel: symbols, and what the receiver is told beside them.

    `frame` is the received frame's outline: all of its tokens are LOST. The next version of the air interface carries
    it in the burst's header.
    """

    symbols: np.ndarray
    frame: TokenFrame
    layout_seed: int


@dataclass(frozen=True)
class Reception:
    """What the receiver made of a burst.

    Attributes:
        frame: the frame with LOST where a packet failed.
        packets_ok: bool (n_packets,), which packets passed.
        recovered: the frame with its losses filled in; None where the receiver has no recovery.
    """

    frame: TokenFrame
    packets_ok: np.ndarray
    recovered: TokenFrame | None = None


class Transmitter:
    """Token frames to symbols, one row a packet."""

    def __init__(self, config: LinkConfig):
        self.config = config
        self._constellation = config.constellation()

    def packetize(self, frame: TokenFrame, layout_seed: int) -> np.ndarray:
        """int32 tokens (n_packets, tokens_per_packet), spread by the seeded permutation.

        Raises:
            FrameError: the frame has lost tokens.
        """
        if frame.lost.any():
            raise FrameError(
                f"{int(frame.lost.sum())} tokens of frame {frame.frame_id} are lost; only whole frames are sent"
            )
        return pack(frame.tokens, packet_layout(len(frame.tokens), self.config.tokens_per_packet, layout_seed))

    def encode(self, packets: np.ndarray, codebook_size: int) -> np.ndarray:
        """uint8 coded bits (n_packets, coded_length) of token packets."""
        return self.config.codec(codebook_size).encode(packets)

    def map(self, bits: np.ndarray) -> np.ndarray:
        """complex64 symbols (n_packets, n_symbols) of coded bits."""
        return self._constellation.map(bits)

    def transmit(self, frame: TokenFrame, layout_seed: int) -> Burst:
        """The burst of a frame."""
        symbols = self.map(self.encode(self.packetize(frame, layout_seed), frame.codebook_size))
        return Burst(symbols, frame.with_tokens(np.full_like(frame.tokens, LOST)), layout_seed)


class Receiver:
    """Symbols to token frames.

    Args:
        config: the transmitter's.
        recovery: fills in what the channel lost; None: losses stay LOST.
    """

    def __init__(self, config: LinkConfig, recovery: Recovery | None = None):
        self.config = config
        self.recovery = recovery
        self._constellation = config.constellation()

    def demap(self, symbols: np.ndarray, noise_variance: float | np.ndarray, codebook_size: int) -> np.ndarray:
        """float32 LLRs (n_packets, coded_length) of symbols (n_packets, n_symbols) in noise of the given variance."""
        length = self.config.codec(codebook_size).coded_length
        return self._constellation.llrs(symbols, noise_variance, length, self.config.llr_method)

    def decode(self, llrs: np.ndarray, codebook_size: int) -> tuple[np.ndarray, np.ndarray]:
        """Tokens (n_packets, tokens_per_packet), whatever the CRC says, and bool (n_packets,): the CRC holds."""
        return self.config.codec(codebook_size).decode(llrs)

    def assemble(self, packets: np.ndarray, packets_ok: np.ndarray, outline: TokenFrame, layout_seed: int) -> Reception:
        """The frame in its own order, LOST where the packet failed.

        Raises:
            FrameError: the packets do not fit the frame.
        """
        layout = packet_layout(len(outline.tokens), self.config.tokens_per_packet, layout_seed)
        believed = np.where(packets_ok[:, None], packets, LOST)
        return Reception(outline.with_tokens(unpack(believed, layout)), packets_ok)

    def receive(self, burst: Burst, noise_variance: float | np.ndarray) -> Reception:
        """The frame of a burst whose symbols have been through a channel."""
        size = burst.frame.codebook_size
        packets, packets_ok = self.decode(self.demap(burst.symbols, noise_variance, size), size)
        reception = self.assemble(packets, packets_ok, burst.frame, burst.layout_seed)
        if self.recovery is None:
            return reception
        return replace(reception, recovered=self.recovery.recover(reception.frame)[0])
