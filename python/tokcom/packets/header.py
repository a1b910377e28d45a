"""Burst header: the information a receiver needs to decode a burst to a frame (docs/air-interface.md, "Header").

It has a base of fixed length (`header_fields`), sufficient for common frames, and otherwise an extension with typed
elements (`elements`): shapes, MCS that differ from packet to packet, and future additions.
"""

from dataclasses import dataclass, replace
from functools import cached_property
from math import prod

import numpy as np

from tokcom.errors import HeaderError, LockedError, ParameterError, RejectedError
from tokcom.frame import BITS, MAX_DESCRIPTION, MAX_DIMENSIONS, MAX_FOLLOWS, MAX_TOKENS, TOKENS
from tokcom.packets.element_numbers import numbers_bytes, sizes_bytes
from tokcom.packets.elements import (
    CHECK,
    COMPANION,
    CONDITION,
    FOLLOWS,
    KEY,
    LAYOUT,
    MCS_MAP,
    NAMES,
    QUANTIZERS,
    SHAPE,
    THINNING,
    Element,
    join,
    split,
)
from tokcom.packets.header_fields import (
    BASE_BITS,
    FIELDS,
    FRAME_IDS,
    MAX_BITS_PER_PACKET,
    MAX_EXTENSION_SYMBOLS,
    MAX_PACKETS,
    MAX_TOKEN_BITS,
    MAX_TOKENS_PER_PACKET,
    OTHER_LAYOUTS,
    PLAIN_BITS,
    VERSION,
    base_bits,
    base_bytes,
    extension_bits,
    extension_bytes,
    extension_length,
    layout_code,
    shape_field,
)
from tokcom.packets.identity import PacketIdentity
from tokcom.packets.labels import LABELS, NATURAL
from tokcom.packets.layout import CONTIGUOUS, FRAMES, LAYOUTS, SEEDS, SPREAD, packet_positions
from tokcom.packets.mcs_map import MCS_COUNT, MCS_NOT_SENT, map_of, share_of
from tokcom.packets.seal import KeyHolder, Seal
from tokcom.packets.thinning import packets_sent

FREE_TOKENS, TOKENS_PER_TOKEN_SENT = 1024, 8
"""Limit on a frame's tokens: a fixed number, plus a number per token sent in the burst. A header's announcement costs
the receiver time and memory."""


@dataclass(frozen=True)
class BurstHeader:
    """Header of a burst.

    Args:
        stream_id: stream number, for channels shared by several transmitters, 0 to 63.
        frame_id: number of the frame, modulo FRAME_IDS.
        codebook_id: `codebook.codebook_id` of the codebook's name; for bits, of the name of their content.
        grid: shape of the frame, up to 4 dimensions and 2**20 tokens; for bits, their number.
        tokens_per_packet: tokens per packet, 1 to 64; for bits, 1 to 2048.
        token_bits: bits per token, 1 to 18; for bits, 1.
        mcs: uint8 (n_packets,), index of each packet's MCS, 0 to 14, or MCS_NOT_SENT.
        cmi: class label, 0 to 4094, or None.
        layout: one of `layout.LAYOUTS`, the assignment of tokens to packets; for bits, "contiguous".
        layout_seed: seed of the layout "spread", 0 to 1023; for others, 0.
        labels: one of `labels.LABELS`, the numbering of the tokens on the air.
        payload: `frame.TOKENS` or `frame.BITS`.
        quantizers: residual quantizers; several of them are the first axis of the grid.
        elements: elements that are unknown here and may be passed over, as they came.
        seal: the key that protects header and packets; None: none does.
        sizes: words of each quantizer, if they differ; empty if all have equally many.
        follows: frames back to the one that the frame continues, 0 to 255; 0 if it stands alone, and for bits.
        description: description of the frame beyond its label, as in `TokenFrame`; none for bits.
        thinning: rule that says which tokens are sent (`packets.thinning`), serialized; empty if all are. They fill
            whole packets, the first ones; the others are not sent.
        companion: frames back to the one that belongs to it, 0 to 255; 0 if none does, and for bits.

    Raises:
        ParameterError: a field is out of its range, or the frame is too large for the number of tokens sent.
    """

    stream_id: int
    frame_id: int
    codebook_id: int
    grid: tuple[int, ...]
    tokens_per_packet: int
    token_bits: int
    mcs: np.ndarray
    cmi: int | None = None
    layout: str = SPREAD
    layout_seed: int = 0
    labels: str = NATURAL
    payload: str = TOKENS
    quantizers: int = 1
    elements: bytes = b""
    seal: Seal | None = None
    sizes: tuple[int, ...] = ()
    follows: int = 0
    description: bytes = b""
    thinning: bytes = b""
    companion: int = 0

    def __post_init__(self) -> None:
        grid = tuple(map(int, self.grid))
        object.__setattr__(self, "grid", grid)
        bits = self.payload == BITS
        for name, value, low, high in (
            ("stream_id", self.stream_id, 0, 63), ("frame_id", self.frame_id, 0, FRAME_IDS - 1),
            ("codebook_id", self.codebook_id, 0, 0xFFFFFFFF),
            ("the number of dimensions", len(grid), 1, 1 if bits else MAX_DIMENSIONS),
            ("a side of the grid", min(grid, default=0), 1, MAX_TOKENS),
            ("the number of tokens", prod(grid), 1, MAX_TOKENS),
            ("tokens_per_packet", self.tokens_per_packet, 1, MAX_BITS_PER_PACKET if bits else MAX_TOKENS_PER_PACKET),
            ("token_bits", self.token_bits, 1, 1 if bits else MAX_TOKEN_BITS),
            ("the number of packets", self.n_packets, 1, MAX_PACKETS),
            ("layout_seed", self.layout_seed, 0, 0 if self.layout in OTHER_LAYOUTS else SEEDS - 1),
            ("cmi", 0 if self.cmi is None else self.cmi, 0, (1 << FIELDS["cmi"]) - 2),
            ("follows", self.follows, 0, 0 if bits else MAX_FOLLOWS),
            ("the length of the description", len(self.description), 0, 0 if bits else MAX_DESCRIPTION),
            ("companion", self.companion, 0, 0 if bits else MAX_FOLLOWS),
        ):  # fmt: skip
            if not low <= value <= high:
                raise ParameterError(f"{name} is {value}; it must be {low} to {high}")
        for name, known in (
            ("labels", (NATURAL,) if bits else LABELS), ("layout", (CONTIGUOUS,) if bits else LAYOUTS),
            ("payload", (TOKENS, BITS)),
        ):  # fmt: skip
            if getattr(self, name) not in known:
                raise ParameterError(f"{name} is {getattr(self, name)!r}; it must be one of {', '.join(known)}")
        if self.quantizers != 1 and (bits or self.quantizers != grid[0]):
            raise ParameterError(f"quantizers is {self.quantizers}; it must be 1, or the first side of the grid {grid}")
        if self.thinning and bits:
            raise ParameterError("thinning is given for a payload of bits; only tokens can be thinned")
        object.__setattr__(self, "sizes", self._checked_sizes())
        object.__setattr__(self, "mcs", self._checked_mcs())
        if self.elements:
            _check_unknown(self.elements)

    def _checked_sizes(self) -> tuple[int, ...]:
        sizes = tuple(map(int, self.sizes))
        if sizes and (len(sizes) != self.quantizers or len(set(sizes)) < 2 or not 2 <= min(sizes)):
            raise ParameterError(
                f"sizes is {sizes}; it must hold at least 2 words for each of {self.quantizers} quantizers that differ"
            )
        if sizes and (max(sizes) - 1).bit_length() != self.token_bits:
            raise ParameterError(f"sizes is {sizes}; the largest does not take tokens of {self.token_bits} bits")
        return sizes

    def _checked_mcs(self) -> np.ndarray:
        """Check the MCS of each packet, and that the frame is not too large for what is sent; return them read-only."""
        mcs = np.array(self.mcs)
        if mcs.shape != (self.n_packets,):
            raise ParameterError(
                f"mcs has shape {mcs.shape}; {self.n_tokens} tokens make {self.n_packets} packets of "
                f"{self.tokens_per_packet}"
            )
        # Those of received headers have this type and are valid.
        if mcs.dtype != np.uint8 or mcs.max() > MCS_NOT_SENT:
            unknown = ((mcs < 0) | (mcs >= MCS_COUNT) | (mcs % 1 != 0)) & (mcs != MCS_NOT_SENT)
            if unknown.any():
                raise ParameterError(f"mcs holds {mcs[unknown][0]}; it must be 0 to {MCS_COUNT - 1}, or {MCS_NOT_SENT}")
        mcs = mcs.astype(np.uint8)
        if (mcs[self.n_described :] != MCS_NOT_SENT).any():
            raise ParameterError(
                f"the frame's rule sends {self.n_described} of {self.n_packets} packets; the MCS of the others must be "
                f"{MCS_NOT_SENT}, not sent"
            )
        if self.n_tokens > FREE_TOKENS:
            sent = int(np.count_nonzero(mcs != MCS_NOT_SENT)) * self.tokens_per_packet
            most = FREE_TOKENS + TOKENS_PER_TOKEN_SENT * sent
            if self.n_tokens > most:
                raise ParameterError(
                    f"the frame has {self.n_tokens} tokens, of which {sent} are sent, which allows at most {most}: "
                    "send more packets, or a smaller frame"
                )
        mcs.flags.writeable = False
        return mcs

    def __eq__(self, other: object) -> bool:
        return isinstance(other, BurstHeader) and all(
            np.array_equal(getattr(self, name), getattr(other, name)) for name in self.__dataclass_fields__
        )

    @property
    def identity(self) -> PacketIdentity:
        """Identity to which the packets' CRCs are bound."""
        return PacketIdentity(self.stream_id, self.frame_id, self.codebook_id)

    @property
    def tag_bits(self) -> int:
        """Bits of each packet's tag; 0: packets have a CRC."""
        return 0 if self.seal is None else self.seal.tag_bits

    @cached_property
    def sealed_bytes(self) -> bytes:
        """Bytes covered by the header's tag: base and extension without their CRCs, with the tag itself as zeros."""
        fields, elements = self._tell(replace(self.seal, header_tag=0))
        return base_bytes(fields) + elements.ljust(extension_bytes(fields["extension_symbols"]), b"\0")

    def opened(self, keys: KeyHolder | None) -> PacketIdentity:
        """The same, with the cipher of its packets, if a key protects them.

        Raises:
            LockedError: their key is not among the keys.
            RejectedError: the header is not from a holder of the key, or no key protects it, and the receiver takes
                none such.
        """
        said = f"frame {self.frame_id} of stream {self.stream_id}"
        if self.seal is None:
            if keys is not None and not keys.clear:
                raise RejectedError(
                    "clear", f"{said} has no key, and this receiver takes what its keys open; add 'clear' to them"
                )
            return self.identity
        cipher = None
        if keys is not None:
            cipher = keys.unlock(self.seal, self.stream_id, self.frame_id, self.sealed_bytes)
        if cipher is None:
            key = f"0x{self.seal.key_id:04x}"
            raise LockedError(
                self.seal.key_id, f"{said} is encrypted with key {key}, which is not among the keys of this receiver"
            )
        return replace(self.identity, cipher=cipher)

    @property
    def n_tokens(self) -> int:
        return prod(self.grid)

    @property
    def n_packets(self) -> int:
        """Number of packets of the frame, including those not sent."""
        return -(-self.n_tokens // max(self.tokens_per_packet, 1))

    @property
    def n_described(self) -> int:
        """Number of packets whose MCS the header tells; a rule leaves out the others."""
        return packets_sent(self.thinning, self.grid, self.tokens_per_packet)

    def positions(self) -> np.ndarray:
        """Token positions of each packet, int32 (n_packets, tokens_per_packet) (`layout.packet_positions`)."""
        return packet_positions(
            self.grid, self.tokens_per_packet, self.layout, self.layout_seed, self.quantizers, self.thinning
        )

    @property
    def extension_symbols(self) -> int:
        """OFDM symbols of one copy of the extension; 0 without an extension."""
        return self.contents[0]["extension_symbols"]

    @property
    def bits(self) -> int:
        """Number of bits of base and extension, CRCs included."""
        return BASE_BITS + extension_length(self.extension_symbols)

    def to_bits(self) -> tuple[np.ndarray, np.ndarray]:
        """Serialize to bits, uint8: BASE_BITS of the base, and those of the extension (none if not needed), each with
        its CRC.

        Raises:
            ParameterError: the elements do not fit in the longest extension.
        """
        fields, elements = self.contents
        return base_bits(fields), extension_bits(elements, fields["extension_symbols"])

    @cached_property
    def contents(self) -> tuple[dict[str, int], bytes]:
        """The base's fields, and the serialized elements."""
        return self._tell(self.seal)

    def _tell(self, seal: Seal | None) -> tuple[dict[str, int], bytes]:
        shape = shape_field(self.grid)
        mcs = self.mcs[: self.n_described]
        share = share_of(mcs)
        elements = split(self.elements)
        if shape is None:
            elements.append(Element(SHAPE, numbers_bytes(self.grid)))
        if self.quantizers > 1:
            elements.append(Element(QUANTIZERS, sizes_bytes(self.sizes)))
        if share is None:
            value = map_of(mcs)
            if len(value) > 255:
                raise _too_long(len(mcs), len(value))
            elements.append(Element(MCS_MAP, value))
        if seal is not None:
            elements += [Element(KEY, seal.key_bytes()), Element(CHECK, seal.check_bytes())]
        if self.thinning:
            elements.append(Element(THINNING, self.thinning))
        if self.companion:
            elements.append(Element(COMPANION, bytes([self.companion]), optional=True))
        if self.layout == FRAMES:
            elements.append(Element(LAYOUT, b""))
        layout, told_follows = layout_code(self.layout, self.layout_seed, self.follows)
        if self.description:
            elements.append(Element(CONDITION, self.description, optional=True))
        if self.follows and not told_follows:
            elements.append(Element(FOLLOWS, bytes([self.follows]), optional=True))
        told = join(elements)
        # n symbols hold 2 n - 3 bytes.
        symbols = (len(told) + 4) // 2 if told else 0
        if symbols > MAX_EXTENSION_SYMBOLS:
            raise _too_long(len(self.mcs), len(told))
        bits = self.payload == BITS
        size = self.tokens_per_packet - 1 if bits else (self.tokens_per_packet - 1) << 5 | self.token_bits - 1
        fields = {
            "version": VERSION, "stream_id": self.stream_id, "frame_id": self.frame_id,
            "codebook_id": self.codebook_id, "payload": PLAIN_BITS if bits else LABELS.index(self.labels),
            "layout": layout, "tokens_per_packet": size >> 5,
            "token_bits": size & 31, "shape": shape or 0, "cmi": 0 if self.cmi is None else self.cmi + 1,
            "mcs": MCS_NOT_SENT if share is None else int(mcs[0]), "share": share or 0,
            "extension_symbols": symbols,
        }  # fmt: skip
        return fields, told


def _check_unknown(elements: bytes) -> None:
    """Refuse elements that are known, that are mandatory, or that would be serialized differently."""
    try:
        found = split(elements)
    except HeaderError as error:
        raise ParameterError(f"elements cannot be read: {error}") from None
    if join(found) != elements or any(each.number in NAMES or not each.optional for each in found):
        raise ParameterError(f"elements is {elements.hex(' ')}; it must hold only unknown optional elements")


def _too_long(packets: int, size: int) -> ParameterError:
    return ParameterError(
        f"the header of {packets} packets takes {size} bytes of elements, at most "
        f"{extension_bytes(MAX_EXTENSION_SYMBOLS)}; use fewer changes of MCS or more tokens per packet"
    )
