"""Transmitter of frames in bursts, composed once for blocks, simulator and benchmarks.

Each stage is a separate method, so that a flowgraph can put a block between any two of them; `Transmitter.transmit`
simply runs the stages in sequence.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from tokcom.errors import FrameError, ParameterError
from tokcom.frame import BITS, TOKENS, BitFrame, Payload
from tokcom.link.packets import MixedPackets
from tokcom.mcs import find_mcs
from tokcom.packets.bits import bits_per_token
from tokcom.packets.codebook import Codebook, codebook_id
from tokcom.packets.header import BurstHeader
from tokcom.packets.header_fields import FRAME_IDS, MAX_BITS_PER_PACKET
from tokcom.packets.identity import PacketIdentity
from tokcom.packets.labels import NATURAL
from tokcom.packets.layout import CONTIGUOUS, FRAMES, SEEDED, SEEDS, SPREAD, pack, packet_positions
from tokcom.packets.mcs_map import MCS_NOT_SENT
from tokcom.packets.seal import Seal
from tokcom.packets.thinning import packets_sent, sent_mask
from tokcom.phy.burst import modulate
from tokcom.phy.profile import profile
from tokcom.security.sealer import Sealer
from tokcom.tokenizers.groups import is_group


@dataclass(frozen=True)
class TransmitConfig:
    """Default settings of a transmitter.

    Args:
        mcs: name or index of the MCS of all packets.
        tokens_per_packet: tokens per packet, 1 to 64.
        profile: row of phy/profiles.json: length of preamble and header.
        stream_id: stream number, 0 to 63.
        labels: "natural": tokens are sent under their own numbers; "semantic" or "contextual": under such labels of
            their codebook. Bits have none.
        layout: layout of tokens in packets, one of `packets.layout.LAYOUTS`; bits are always contiguous.
        bits_per_packet: bits per packet for frames of bits, 1 to 2048.

    Raises:
        ParameterError: a parameter is out of its range.
    """

    mcs: str | int = "16qam-1/2"
    tokens_per_packet: int = 4
    profile: str = "standard"
    stream_id: int = 0
    labels: str = NATURAL
    layout: str = SPREAD
    bits_per_packet: int = 256

    def __post_init__(self) -> None:
        profile(self.profile)
        find_mcs(self.mcs)
        BurstHeader(
            self.stream_id, 0, 0, (1,), self.tokens_per_packet, 1, np.zeros(1), layout=self.layout, labels=self.labels
        )
        if not 1 <= self.bits_per_packet <= MAX_BITS_PER_PACKET:
            raise ParameterError(f"bits_per_packet is {self.bits_per_packet}; it must be 1 to {MAX_BITS_PER_PACKET}")


class Transmitter:
    """Transmitter: converts frames of tokens, or of bits, to bursts of samples.

    Args:
        config: what it does where nothing else is asked of it.
        codebooks: whose labels it knows; natural ones need none.
        sealer: encrypts and authenticates what is sent; None: it goes in clear.

    Raises:
        ParameterError: a sealer is combined with labels whose benefit depends on neighbours on the constellation, which
            encryption destroys.
    """

    def __init__(
        self, config: TransmitConfig | None = None, codebooks: Sequence[Codebook] = (), sealer: Sealer | None = None
    ):
        self.config = config or TransmitConfig()
        if sealer is not None and self.config.labels != NATURAL:
            raise ParameterError(
                f"labels is {self.config.labels!r} with a key; encryption destroys the benefit of labels on the "
                f"constellation: use labels {NATURAL!r}, or no key"
            )
        self._sealer = sealer
        self._codebooks = {codebook.name: codebook for codebook in codebooks}
        self._profile = profile(self.config.profile)

    def packetize(self, frame: Payload, layout_seed: int = 0) -> np.ndarray:
        """Arrange a frame's tokens in packets, int32 (n_packets, tokens_per_packet), in the order of the layout.

        Raises:
            FrameError: the frame has lost tokens, other than those that its rule leaves out.
            ParameterError: its rule is not one of a frame of its grid.
        """
        lost = frame.lost & sent_mask(frame.thinning, frame.grid)
        if lost.any():
            raise FrameError(
                f"{int(lost.sum())} tokens of frame {frame.frame_id} are lost; only whole frames can be sent"
            )
        return pack(np.where(frame.lost, 0, frame.tokens), self.positions(frame, layout_seed))

    def positions(self, outline: Payload, layout_seed: int = 0) -> np.ndarray:
        """Compute the token positions of each packet, int32 (n_packets, tokens_per_packet)."""
        return packet_positions(
            outline.grid, self.per_packet(outline), self.layout(outline), layout_seed, outline.quantizers,
            outline.thinning,
        )  # fmt: skip

    def per_packet(self, outline: Payload) -> int:
        """Return the number of tokens, or bits, per packet of a frame."""
        return self.config.bits_per_packet if isinstance(outline, BitFrame) else self.config.tokens_per_packet

    def layout(self, outline: Payload) -> str:
        """Return the layout of a frame: of a group, that of its frames."""
        if isinstance(outline, BitFrame):
            return CONTIGUOUS
        return FRAMES if self.config.layout == SPREAD and is_group(outline) else self.config.layout

    def choose_mcs(self, n_packets: int, n_sent: int | None = None) -> np.ndarray:
        """Return the configured MCS for every packet, uint8 (n_packets,); for those after the first `n_sent`, if given,
        MCS_NOT_SENT (`packets.thinning.packets_sent`)."""
        mcs = np.full(n_packets, find_mcs(self.config.mcs).index, np.uint8)
        if n_sent is not None:
            mcs[n_sent:] = MCS_NOT_SENT
        return mcs

    def coded(self, outline: Payload, mcs: np.ndarray, tokens_per_packet: int) -> MixedPackets:
        """The code of a frame's packets, under the configured labels and with tags where a key protects them.

        Raises:
            FrameError: the frame's codebook has no such labels.
            ParameterError: an MCS is not in the table.
        """
        kind = NATURAL if isinstance(outline, BitFrame) else self.config.labels
        codebook = self._codebooks.get(outline.codebook) or Codebook(outline.codebook, outline.codebook_size)
        labels = codebook.labels_of(kind, outline.frame_id)
        return MixedPackets.of(outline.codebook_size, tokens_per_packet, mcs, labels, self.tag_bits)

    @property
    def tag_bits(self) -> int:
        """Bits of each packet's tag; 0: packets have CRCs."""
        return 0 if self._sealer is None else self._sealer.tag_bits

    def header(
        self, outline: Payload, layout_seed: int, mcs: np.ndarray, tokens_per_packet: int, labels: str | None = None,
        layout: str | None = None, seal: Seal | None = None,
    ) -> BurstHeader:  # fmt: skip
        """The header of a frame, whose tokens do not matter; `labels` and `layout` take the place of those configured.
        `seal` is that of a frame that was encrypted already.

        Raises:
            ParameterError: no header can describe the frame.
        """
        bits, layout = isinstance(outline, BitFrame), layout or self.layout(outline)
        return BurstHeader(
            self.config.stream_id, outline.frame_id % FRAME_IDS, codebook_id(outline.codebook), outline.grid,
            tokens_per_packet, bits_per_token(outline.codebook_size), mcs, outline.cmi, layout,
            layout_seed % SEEDS if layout in SEEDED else 0, NATURAL if bits else labels or self.config.labels,
            BITS if bits else TOKENS, outline.quantizers, seal=seal, sizes=outline.sizes,
            follows=outline.follows, description=outline.description, thinning=outline.thinning,
            companion=outline.companion,
        )  # fmt: skip

    def sealed(self, header: BurstHeader) -> tuple[BurstHeader, PacketIdentity]:
        """A frame's header with its seal, and what its packets are bound to and encrypted with; asked for once each
        time that the frame is sent. Without a sealer, the header as it is.

        Raises:
            KeyFileError: no epoch is left, or the counter cannot be written.
        """
        return (header, header.identity) if self._sealer is None else self._sealer.sealed(header)

    def identity(self, outline: Payload) -> PacketIdentity:
        """Identity that the CRCs of a frame's packets are bound to if no key protects them."""
        return PacketIdentity(self.config.stream_id, outline.frame_id % FRAME_IDS, codebook_id(outline.codebook))

    def modulate(self, symbols: np.ndarray, header: BurstHeader) -> np.ndarray:
        """Modulate the packets' symbols to a burst of unit mean power, complex64."""
        return modulate(header, symbols, self._profile)

    def transmit(self, frame: Payload, layout_seed: int = 0, mcs: np.ndarray | None = None) -> np.ndarray:
        """Convert a frame to a burst, complex64 samples; `mcs`, uint8 (n_packets,), overrides the configured one."""
        packets = self.packetize(frame, layout_seed)
        sent = packets_sent(frame.thinning, frame.grid, packets.shape[1])
        mcs = self.choose_mcs(len(packets), sent) if mcs is None else mcs
        coded = self.coded(frame, mcs, packets.shape[1])
        header, identity = self.sealed(self.header(frame, layout_seed, mcs, packets.shape[1]))
        return self.modulate(coded.map(coded.encode(packets, identity)), header)
