"""Burst header: the information a receiver needs to decode a burst to a frame (docs/air-interface.md, "Header").

It has a base of fixed length, sufficient for common frames, and otherwise an extension with typed elements
(`elements`): shapes, MCS that differ from packet to packet, and future additions.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import cached_property
from math import prod

import numpy as np

from tokcom.errors import HeaderError, LockedError, ParameterError, RejectedError
from tokcom.frame import BITS, MAX_DESCRIPTION, MAX_DIMENSIONS, MAX_FOLLOWS, MAX_TOKENS, TOKENS
from tokcom.packets.crc import Crc
from tokcom.packets.elements import (
    CHECK,
    COMPANION,
    CONDITION,
    FOLLOWS,
    KEY,
    MCS_MAP,
    NAMES,
    QUANTIZERS,
    SHAPE,
    THINNING,
    Element,
    join,
    split,
)
from tokcom.packets.identity import NUMBER_BITS, PacketIdentity
from tokcom.packets.labels import LABELS, NATURAL
from tokcom.packets.layout import CONTIGUOUS, IMPORTANCE, LAYOUTS, SEEDS, SPREAD, packet_positions
from tokcom.packets.mcs_map import MCS_COUNT, MCS_NOT_SENT, map_of, mcs_of, share_of, two_groups
from tokcom.packets.seal import KeyHolder, Seal
from tokcom.packets.thinning import packets_sent

VERSION = 1
FIELDS = {
    "version": 3, "stream_id": 6, "frame_id": 20, "codebook_id": 32, "payload": 2, "layout": 11, "tokens_per_packet": 6,
    "token_bits": 5, "shape": 9, "cmi": 12, "mcs": 4, "share": 5, "extension_symbols": 7,
}  # fmt: skip
"""Bits of each field of the base, in transmission order, most significant bit first."""
CRC = Crc.named("crc16")
BASE_BITS = sum(FIELDS.values()) + CRC.width
"""Bits of the base with its CRC-16."""
FRAME_IDS = 1 << FIELDS["frame_id"]
"""Modulus of the frame number."""
MAX_PACKETS = 1 << NUMBER_BITS
MAX_TOKENS_PER_PACKET = 1 << FIELDS["tokens_per_packet"]
MAX_TOKEN_BITS = 18
MAX_BITS_PER_PACKET = MAX_TOKENS_PER_PACKET << FIELDS["token_bits"]
"""Largest packet of a payload of bits, whose size uses both fields together."""
PLAIN_BITS = len(LABELS)
"""Code of a payload of bits; the code of tokens is that of their labels."""
OTHER_LAYOUTS = {CONTIGUOUS: SEEDS, IMPORTANCE: SEEDS + 1}
"""Codes of the layouts without a seed; the code of "spread" is its seed."""
FOLLOWING = SEEDS + len(OTHER_LAYOUTS)
"""First of the codes of layouts of a frame that follows the one before: those without a seed, then "spread", as far as
the field reaches."""
MAX_EXTENSION_SYMBOLS = (1 << FIELDS["extension_symbols"]) - 1
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
        return _base_bytes(fields) + elements.ljust(extension_bytes(fields["extension_symbols"]), b"\0")

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
        return self._told[0]["extension_symbols"]

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
        fields, elements = self._told
        return _base_bits(fields), _extension_bits(elements, fields["extension_symbols"])

    @cached_property
    def _told(self) -> tuple[dict[str, int], bytes]:
        """The base's fields, and the elements."""
        return self._tell(self.seal)

    def _tell(self, seal: Seal | None) -> tuple[dict[str, int], bytes]:
        shape = _shape_field(self.grid)
        mcs = self.mcs[: self.n_described]
        share = share_of(mcs)
        elements = split(self.elements)
        if shape is None:
            elements.append(Element(SHAPE, _groups_of(self.grid)))
        if self.quantizers > 1:
            elements.append(Element(QUANTIZERS, _sizes_bytes(self.sizes)))
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
        layout, told_follows = _layout_code(self.layout, self.layout_seed, self.follows)
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


@dataclass(frozen=True)
class HeaderBase:
    """Base of a header whose CRC holds: its fields, checked as far as possible without the extension."""

    fields: dict[str, int]

    @classmethod
    def from_bits(cls, bits: np.ndarray) -> "HeaderBase":
        """Parse BASE_BITS bits.

        Raises:
            HeaderError: the CRC fails, the version is unknown, or a field has an invalid value.
        """
        if not CRC.check(bits[None])[0]:
            raise HeaderError("crc", "the header's CRC fails")
        number = int.from_bytes(np.packbits(bits).tobytes(), "big") >> -len(bits) % 8 + CRC.width
        fields = {}
        for name, width in reversed(FIELDS.items()):
            fields[name] = number & ((1 << width) - 1)
            number >>= width
        if fields["version"] != VERSION:
            raise HeaderError(
                "version", f"the header has version {fields['version']}; this receiver knows version {VERSION}"
            )
        base = cls(fields)
        symbols, mcs = base.extension_symbols, fields["mcs"]
        if symbols == 1 or (mcs == MCS_NOT_SENT and (not symbols or fields["share"])):
            raise HeaderError(
                "contents", f"MCS {mcs}, share {fields['share']} and an extension of {symbols} symbols do not agree"
            )
        if symbols:
            base._header((1,), np.zeros(1, np.uint8))
        elif base._whole._told[0] != fields:
            # A receiver rebuilds the header's waveform from its contents, so there must be only one form.
            raise HeaderError("contents", "the header is not in its shortest form")
        return base

    @property
    def extension_symbols(self) -> int:
        """OFDM symbols of one copy of the extension; 0 without an extension."""
        return self.fields["extension_symbols"]

    def header(self, extension: np.ndarray | None = None) -> BurstHeader:
        """Parse the header, with the bits of its extension (and their CRC) if it has one.

        Raises:
            HeaderError: the extension's CRC fails, it has a mandatory element that is unknown, or its content is
                impossible or not in its shortest form.
        """
        if not self.extension_symbols:
            return self._whole
        if extension is None or not CRC.check(extension[None])[0]:
            raise HeaderError("crc", "the header extension's CRC fails")
        came = np.packbits(extension[: -CRC.width]).tobytes()
        elements = {element.number: element for element in split(came)}
        unknown = [element for number, element in elements.items() if number not in NAMES]
        needed = [str(element.number) for element in unknown if not element.optional]
        if needed:
            raise HeaderError(
                "element",
                f"frame {self.fields['frame_id']} of stream {self.fields['stream_id']}, codebook "
                f"0x{self.fields['codebook_id']:08x}, needs element {', '.join(needed)} of its header, which this "
                "receiver does not know",
            )
        grid = _shape_of(elements[SHAPE].value) if SHAPE in elements else self._plain_grid
        n_packets = self._n_packets(grid)
        thinning = elements[THINNING].value if THINNING in elements else b""
        described = self._n_described(thinning, grid)
        if MCS_MAP in elements:
            mcs = mcs_of(elements[MCS_MAP].value, described)
        else:
            mcs = self._plain_mcs(described)
        mcs = np.pad(mcs, (0, n_packets - described), constant_values=MCS_NOT_SENT)
        seal = Seal.from_bytes(*(elements[number].value if number in elements else None for number in (KEY, CHECK)))
        quantizers, sizes = 1, ()
        if QUANTIZERS in elements:
            quantizers, sizes = grid[0], _sizes_of(elements[QUANTIZERS].value)
        follows = int.from_bytes(elements[FOLLOWS].value, "big") if FOLLOWS in elements else None
        description = elements[CONDITION].value if CONDITION in elements else b""
        companion = int.from_bytes(elements[COMPANION].value, "big") if COMPANION in elements else 0
        told = description, thinning, companion
        header = self._header(grid, mcs, quantizers, join(unknown), seal, sizes, follows, *told)
        fields, told = header._told
        if fields != self.fields or came != told.ljust(len(came), b"\0"):
            raise HeaderError("contents", "the header is not in its shortest form")
        return header

    @cached_property
    def _whole(self) -> BurstHeader:
        """Make the header from the base alone."""
        return self._header(self._plain_grid, self._plain_mcs(self._n_packets(self._plain_grid)))

    @property
    def _plain_grid(self) -> tuple[int, ...]:
        """Decode the base's shape."""
        shape = self.fields["shape"]
        return (1 << (shape >> 4 & 15), 1 << (shape & 15)) if shape >> 8 else (shape + 1,)

    def _plain_mcs(self, n_packets: int) -> np.ndarray:
        """Decode the base's MCS of every packet."""
        if self.fields["mcs"] == MCS_NOT_SENT:
            raise HeaderError("contents", "the header announces an MCS map but has none")
        return two_groups(self.fields["mcs"], self.fields["share"], n_packets)

    def _n_packets(self, grid: tuple[int, ...]) -> int:
        """Compute and check the number of packets, before anything of that size is allocated."""
        packets = -(-prod(grid) // self._size[0])
        if not 1 <= packets <= MAX_PACKETS:
            raise HeaderError("contents", f"the header announces {packets} packets; a frame has 1 to {MAX_PACKETS}")
        return packets

    def _n_described(self, thinning: bytes, grid: tuple[int, ...]) -> int:
        """Compute the number of packets whose MCS the header tells."""
        try:
            return packets_sent(thinning, grid, self._size[0])
        except ParameterError as error:
            raise HeaderError("contents", f"the header's rule of what is sent: {error}") from None

    @property
    def _size(self) -> tuple[int, int]:
        """Decode tokens per packet and bits per token."""
        tokens, bits = self.fields["tokens_per_packet"], self.fields["token_bits"]
        return ((tokens << 5 | bits) + 1, 1) if self.fields["payload"] == PLAIN_BITS else (tokens + 1, bits + 1)

    def _header(
        self, grid: tuple[int, ...], mcs: np.ndarray, quantizers: int = 1, elements: bytes = b"",
        seal: Seal | None = None, sizes: tuple[int, ...] = (), follows: int | None = None, description: bytes = b"",
        thinning: bytes = b"", companion: int = 0,
    ) -> BurstHeader:  # fmt: skip
        fields = self.fields
        bits = fields["payload"] == PLAIN_BITS
        layout, seed, told_follows = _layout_of(fields["layout"])
        try:
            return BurstHeader(
                fields["stream_id"], fields["frame_id"], fields["codebook_id"], grid, *self._size, mcs,
                fields["cmi"] - 1 if fields["cmi"] else None, layout, seed,
                NATURAL if bits else LABELS[fields["payload"]], BITS if bits else TOKENS, quantizers, elements, seal,
                sizes, told_follows if follows is None else follows, description, thinning, companion,
            )  # fmt: skip
        except ParameterError as error:
            raise HeaderError("contents", f"the header's CRC holds but its values are impossible: {error}") from None


def _layout_code(layout: str, seed: int, follows: int) -> tuple[int, bool]:
    """Encode a layout, and whether the code also tells that the frame follows the one before."""
    code = OTHER_LAYOUTS.get(layout, seed)
    if follows != 1:
        return code, False
    following = FOLLOWING + (code - SEEDS if layout in OTHER_LAYOUTS else len(OTHER_LAYOUTS) + seed)
    return (following, True) if following < 1 << FIELDS["layout"] else (code, False)


def _layout_of(code: int) -> tuple[str, int, int]:
    """Decode a layout, its seed, and by how many frames the frame follows another, 0 or 1."""
    named = {number: name for name, number in OTHER_LAYOUTS.items()}
    follows = int(code >= FOLLOWING)
    if follows:
        number = code - FOLLOWING
        code = SEEDS + number if number < len(OTHER_LAYOUTS) else number - len(OTHER_LAYOUTS)
    return (named[code], 0, follows) if code in named else (SPREAD, code, follows)


def extension_length(symbols: int) -> int:
    """Compute the bits of an extension of `symbols` OFDM symbols, CRC included: 16 per symbol, minus 6 of the tail
    (rate 1/3, BPSK)."""
    return 8 * extension_bytes(symbols) + CRC.width if symbols else 0


def extension_bytes(symbols: int) -> int:
    """Compute the bytes of elements in an extension of `symbols` OFDM symbols, at least 2."""
    return 2 * symbols - 3


def _base_bits(fields: Mapping[str, int]) -> np.ndarray:
    """uint8 (BASE_BITS,) of the base's fields, with their CRC."""
    bits = np.unpackbits(np.frombuffer(_base_bytes(fields), np.uint8))
    return CRC.append(bits[None, : BASE_BITS - CRC.width])[0]


def _base_bytes(fields: Mapping[str, int]) -> bytes:
    """The base's fields, and zero bits up to a whole byte."""
    number, size = 0, BASE_BITS - CRC.width
    for name, width in FIELDS.items():
        number = number << width | int(fields[name])
    return (number << -size % 8).to_bytes(-(-size // 8), "big")


def _extension_bits(elements: bytes, symbols: int) -> np.ndarray:
    """Serialize the extension with its CRC, uint8; empty if it has no symbols."""
    if not symbols:
        return np.zeros(0, np.uint8)
    whole = elements.ljust(extension_bytes(symbols), b"\0")
    return CRC.append(np.unpackbits(np.frombuffer(whole, np.uint8))[None])[0]


def _shape_field(grid: tuple[int, ...]) -> int | None:
    """Encode a shape in the base: a line of up to 256, or a grid whose sides are powers of two; None for others."""
    if len(grid) == 1:
        return grid[0] - 1 if grid[0] <= 256 else None
    if len(grid) == 2 and all(side & side - 1 == 0 and side < 1 << 16 for side in grid):
        return 256 | grid[0].bit_length() - 1 << 4 | grid[1].bit_length() - 1
    return None


def _groups_of(numbers: tuple[int, ...]) -> bytes:
    """Encode each number minus one in groups of 7 bits, most significant first; all but a number's last have their top
    bit set."""
    out = []
    for number in numbers:
        rest = number - 1
        groups = [rest & 127]
        while rest := rest >> 7:
            groups.append(rest & 127 | 128)
        out += reversed(groups)
    return bytes(out)


def _numbers_of(value: bytes) -> tuple[int, ...] | None:
    """Decode numbers from bytes: the inverse of `_groups_of`; None if the bytes are not valid."""
    numbers, number = [], 0
    for byte in value:
        number = number << 7 | byte & 127
        if not byte & 128:
            numbers.append(number + 1)
            number = 0
    return tuple(numbers) if value == _groups_of(tuple(numbers)) else None


def _shape_of(value: bytes) -> tuple[int, ...]:
    """Decode sides from bytes: the inverse of `_groups_of`.

    Raises:
        HeaderError: the bytes are not a valid shape.
    """
    sides = _numbers_of(value[: 3 * MAX_DIMENSIONS + 1])
    if sides is None or not 1 <= len(sides) <= MAX_DIMENSIONS:
        raise HeaderError("contents", f"the shape {value.hex(' ')} is not a grid of up to {MAX_DIMENSIONS} dimensions")
    return sides


def _sizes_of(value: bytes) -> tuple[int, ...]:
    """Decode the number of words of each quantizer from bytes.

    Raises:
        HeaderError: the bytes are not valid.
    """
    sizes = _numbers_of(value)
    if sizes is None:
        raise HeaderError("contents", f"the words of quantizers {value.hex(' ')} cannot be read")
    return sizes


def _sizes_bytes(sizes: tuple[int, ...]) -> bytes:
    """Encode the number of words of each quantizer.

    Raises:
        ParameterError: they do not fit in an element.
    """
    value = _groups_of(sizes)
    if len(value) > 255:
        raise ParameterError(f"the words of {len(sizes)} quantizers take {len(value)} bytes of a header, at most 255")
    return value


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
