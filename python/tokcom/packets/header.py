"""The burst header: what a receiver must know to make a frame of a burst (docs/air-interface.md, "Header").

It has a base of fixed length, which says all of common frames, and where that does not do, an extension with typed
elements (`elements`): shapes, MCS that differ from packet to packet, and whatever later receivers know.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import cached_property
from math import prod

import numpy as np

from tokcom.errors import HeaderError, LockedError, ParameterError
from tokcom.frame import BITS, MAX_DIMENSIONS, MAX_TOKENS, TOKENS
from tokcom.packets.crc import Crc
from tokcom.packets.elements import KEY, MCS_MAP, NAMES, QUANTIZERS, SHAPE, Element, join, split
from tokcom.packets.identity import NUMBER_BITS, PacketIdentity
from tokcom.packets.labels import LABELS, NATURAL
from tokcom.packets.layout import CONTIGUOUS, IMPORTANCE, LAYOUTS, SEEDS, SPREAD, packet_positions
from tokcom.packets.mcs_map import MCS_COUNT, MCS_NOT_SENT, map_of, mcs_of, share_of, two_groups
from tokcom.packets.seal import Seal, StreamFinder

VERSION = 1
FIELDS = {
    "version": 3, "stream_id": 6, "frame_id": 20, "codebook_id": 32, "payload": 2, "layout": 11, "tokens_per_packet": 6,
    "token_bits": 5, "shape": 9, "cmi": 12, "mcs": 4, "share": 5, "extension_symbols": 7,
}  # fmt: skip
"""Bits of each field of the base, in their order on the air, most significant first."""
CRC = Crc.named("crc16")
BASE_BITS = sum(FIELDS.values()) + CRC.width
"""Bits of the base with its CRC-16."""
FRAME_IDS = 1 << FIELDS["frame_id"]
"""Frames are counted modulo this."""
MAX_PACKETS = 1 << NUMBER_BITS
MAX_TOKENS_PER_PACKET = 1 << FIELDS["tokens_per_packet"]
MAX_TOKEN_BITS = 18
MAX_BITS_PER_PACKET = MAX_TOKENS_PER_PACKET << FIELDS["token_bits"]
"""Of a payload of bits, whose packets' size takes both fields together."""
PLAIN_BITS = len(LABELS)
"""Number of a payload of bits; tokens have the number of their labels."""
OTHER_LAYOUTS = {CONTIGUOUS: SEEDS, IMPORTANCE: SEEDS + 1}
"""Numbers of the layouts that take no seed; "spread" has the number of its seed."""
MAX_EXTENSION_SYMBOLS = (1 << FIELDS["extension_symbols"]) - 1
FREE_TOKENS, TOKENS_PER_TOKEN_SENT = 1024, 8
"""A frame may have so many tokens whatever becomes of them, and so many more for each slot that the burst sends: what a
header announces costs the receiver time and memory."""


@dataclass(frozen=True)
class BurstHeader:
    """What the header of a burst says.

    Args:
        stream_id: of several transmitters or streams on one channel, 0 to 63.
        frame_id: running number of the frame, modulo FRAME_IDS.
        codebook_id: `codebook.codebook_id` of the codebook's name; of bits, of what they hold.
        grid: shape of the frame, up to 4 dimensions and 2**20 tokens; of bits, how many they are.
        tokens_per_packet: 1 to 64; of bits, 1 to 2048.
        token_bits: bits a token, 1 to 18; of bits, 1.
        mcs: uint8 (n_packets,): index of each packet's MCS, 0 to 14, or MCS_NOT_SENT.
        cmi: class label, 0 to 4094, or None.
        layout: one of `layout.LAYOUTS`: which token travels in which packet; of bits, "contiguous".
        layout_seed: of the layout "spread", 0 to 1023; of others, 0.
        labels: one of `labels.LABELS`: under which numbers the tokens are sent.
        payload: `frame.TOKENS` or `frame.BITS`.
        quantizers: residual quantizers; several of them are the first axis of the grid.
        elements: elements that are unknown here and may be passed over, as they came.
        seal: what the packets are encrypted with; None: nothing.
        sizes: words of each quantizer, where they differ; empty: all have as many.

    Raises:
        ParameterError: a field is out of its range, or the frame is larger than what the burst sends of it allows.
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
        """The read-only MCS of each packet, of a frame that is not too large for what is sent of it."""
        mcs = np.array(self.mcs)
        if mcs.shape != (self.n_packets,):
            raise ParameterError(
                f"mcs has shape {mcs.shape}; {self.n_tokens} tokens make {self.n_packets} packets of "
                f"{self.tokens_per_packet}"
            )
        # Those of headers from the air are of this type, and none of them is wrong.
        if mcs.dtype != np.uint8 or mcs.max() > MCS_NOT_SENT:
            unknown = ((mcs < 0) | (mcs >= MCS_COUNT) | (mcs % 1 != 0)) & (mcs != MCS_NOT_SENT)
            if unknown.any():
                raise ParameterError(f"mcs holds {mcs[unknown][0]}; it must be 0 to {MCS_COUNT - 1}, or {MCS_NOT_SENT}")
        mcs = mcs.astype(np.uint8)
        if self.n_tokens > FREE_TOKENS:
            sent = int(np.count_nonzero(mcs != MCS_NOT_SENT)) * self.tokens_per_packet
            most = FREE_TOKENS + TOKENS_PER_TOKEN_SENT * sent
            if self.n_tokens > most:
                raise ParameterError(
                    f"the frame has {self.n_tokens} tokens, of which {sent} are sent; that allows for {most}: send "
                    "more packets, or a smaller frame"
                )
        mcs.flags.writeable = False
        return mcs

    def __eq__(self, other: object) -> bool:
        return isinstance(other, BurstHeader) and all(
            np.array_equal(getattr(self, name), getattr(other, name)) for name in self.__dataclass_fields__
        )

    @property
    def identity(self) -> PacketIdentity:
        """What the CRCs of its packets are bound to."""
        return PacketIdentity(self.stream_id, self.frame_id, self.codebook_id)

    def opened(self, keys: StreamFinder | None) -> PacketIdentity:
        """The same, with the key stream that its packets are encrypted with, if they are.

        Raises:
            LockedError: their key is not among the keys.
        """
        if self.seal is None:
            return self.identity
        stream = None if keys is None else keys.find(self.seal)
        if stream is None:
            raise LockedError(
                self.seal.key_id,
                f"frame {self.frame_id} of stream {self.stream_id} is encrypted with key 0x{self.seal.key_id:04x}, "
                "which is not here",
            )
        return replace(self.identity, key_stream=stream)

    @property
    def n_tokens(self) -> int:
        return prod(self.grid)

    @property
    def n_packets(self) -> int:
        """Packets of the frame, those not sent included."""
        return -(-self.n_tokens // max(self.tokens_per_packet, 1))

    def positions(self) -> np.ndarray:
        """int32 (n_packets, tokens_per_packet): which tokens each packet carries (`layout.packet_positions`)."""
        return packet_positions(self.grid, self.tokens_per_packet, self.layout, self.layout_seed, self.quantizers)

    @property
    def extension_symbols(self) -> int:
        """OFDM symbols of one copy of the extension; 0: there is none."""
        return self._told[0]["extension_symbols"]

    @property
    def bits(self) -> int:
        """Bits of base and extension, CRCs counted."""
        return BASE_BITS + extension_length(self.extension_symbols)

    def to_bits(self) -> tuple[np.ndarray, np.ndarray]:
        """uint8 bits of the base, BASE_BITS of them, and of the extension (none where it is not needed), each with
        its CRC.

        Raises:
            ParameterError: the elements do not fit in the longest extension.
        """
        fields, elements = self._told
        return _base_bits(fields), _extension_bits(elements, fields["extension_symbols"])

    @cached_property
    def _told(self) -> tuple[dict[str, int], bytes]:
        """The base's fields, and the elements."""
        shape = _shape_field(self.grid)
        share = share_of(self.mcs)
        elements = split(self.elements)
        if shape is None:
            elements.append(Element(SHAPE, _groups_of(self.grid)))
        if self.quantizers > 1:
            elements.append(Element(QUANTIZERS, _sizes_bytes(self.sizes)))
        if share is None:
            value = map_of(self.mcs)
            if len(value) > 255:
                raise _too_long(len(self.mcs), len(value))
            elements.append(Element(MCS_MAP, value))
        if self.seal is not None:
            elements.append(Element(KEY, self.seal.to_bytes()))
        told = join(elements)
        # So many symbols hold 2 n - 3 bytes.
        symbols = (len(told) + 4) // 2 if told else 0
        if symbols > MAX_EXTENSION_SYMBOLS:
            raise _too_long(len(self.mcs), len(told))
        bits = self.payload == BITS
        size = self.tokens_per_packet - 1 if bits else (self.tokens_per_packet - 1) << 5 | self.token_bits - 1
        fields = {
            "version": VERSION, "stream_id": self.stream_id, "frame_id": self.frame_id,
            "codebook_id": self.codebook_id, "payload": PLAIN_BITS if bits else LABELS.index(self.labels),
            "layout": OTHER_LAYOUTS.get(self.layout, self.layout_seed), "tokens_per_packet": size >> 5,
            "token_bits": size & 31, "shape": shape or 0, "cmi": 0 if self.cmi is None else self.cmi + 1,
            "mcs": MCS_NOT_SENT if share is None else int(self.mcs[0]), "share": share or 0,
            "extension_symbols": symbols,
        }  # fmt: skip
        return fields, told


@dataclass(frozen=True)
class HeaderBase:
    """The base of a header whose CRC holds: its fields as they came, and checked as far as they can be alone."""

    fields: dict[str, int]

    @classmethod
    def from_bits(cls, bits: np.ndarray) -> "HeaderBase":
        """The fields of BASE_BITS bits.

        Raises:
            HeaderError: the CRC fails, the version is unknown, or a field has a value that it cannot have.
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
                "version", f"the header is of version {fields['version']}; this receiver knows version {VERSION}"
            )
        if fields["layout"] >= SEEDS and fields["layout"] not in OTHER_LAYOUTS.values():
            raise HeaderError("contents", f"the header names layout {fields['layout']}; this receiver knows none such")
        base = cls(fields)
        symbols, mcs = base.extension_symbols, fields["mcs"]
        if symbols == 1 or (mcs == MCS_NOT_SENT and (not symbols or fields["share"])):
            raise HeaderError(
                "contents", f"MCS {mcs}, share {fields['share']} and an extension of {symbols} symbols do not agree"
            )
        if symbols:
            base._header((1,), np.zeros(1, np.uint8))
        elif base._whole._told[0] != fields:
            # A receiver rebuilds the header's waveform from its contents, so that there may be but one.
            raise HeaderError("contents", "the header is not the simplest that says the same")
        return base

    @property
    def extension_symbols(self) -> int:
        """OFDM symbols of one copy of the extension; 0: there is none."""
        return self.fields["extension_symbols"]

    def header(self, extension: np.ndarray | None = None) -> BurstHeader:
        """The header, with the bits of its extension (and their CRC) where there is one.

        Raises:
            HeaderError: the extension's CRC fails, it has an element that must be known and is not, or it says what
                cannot be or what could be said more shortly.
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
        if MCS_MAP in elements:
            mcs = mcs_of(elements[MCS_MAP].value, n_packets)
        else:
            mcs = self._plain_mcs(n_packets)
        seal = Seal.from_bytes(elements[KEY].value) if KEY in elements else None
        quantizers, sizes = 1, ()
        if QUANTIZERS in elements:
            quantizers, sizes = grid[0], _sizes_of(elements[QUANTIZERS].value)
        header = self._header(grid, mcs, quantizers, join(unknown), seal, sizes)
        fields, told = header._told
        if fields != self.fields or came != told.ljust(len(came), b"\0"):
            raise HeaderError("contents", "the header is not the simplest that says the same")
        return header

    @cached_property
    def _whole(self) -> BurstHeader:
        """The header, where the base is all of it."""
        return self._header(self._plain_grid, self._plain_mcs(self._n_packets(self._plain_grid)))

    @property
    def _plain_grid(self) -> tuple[int, ...]:
        """The shape that the base tells."""
        shape = self.fields["shape"]
        return (1 << (shape >> 4 & 15), 1 << (shape & 15)) if shape >> 8 else (shape + 1,)

    def _plain_mcs(self, n_packets: int) -> np.ndarray:
        """The MCS of every packet that the base tells."""
        if self.fields["mcs"] == MCS_NOT_SENT:
            raise HeaderError("contents", "the header tells of an MCS map and has none")
        return two_groups(self.fields["mcs"], self.fields["share"], n_packets)

    def _n_packets(self, grid: tuple[int, ...]) -> int:
        """Packets of a frame: the first thing to know of it, ahead of whatever has their number."""
        packets = -(-prod(grid) // self._size[0])
        if not 1 <= packets <= MAX_PACKETS:
            raise HeaderError("contents", f"the header claims {packets} packets; a frame has 1 to {MAX_PACKETS}")
        return packets

    @property
    def _size(self) -> tuple[int, int]:
        """Tokens a packet, and bits a token."""
        tokens, bits = self.fields["tokens_per_packet"], self.fields["token_bits"]
        return ((tokens << 5 | bits) + 1, 1) if self.fields["payload"] == PLAIN_BITS else (tokens + 1, bits + 1)

    def _header(
        self, grid: tuple[int, ...], mcs: np.ndarray, quantizers: int = 1, elements: bytes = b"",
        seal: Seal | None = None, sizes: tuple[int, ...] = (),
    ) -> BurstHeader:  # fmt: skip
        fields = self.fields
        bits = fields["payload"] == PLAIN_BITS
        named = {number: name for name, number in OTHER_LAYOUTS.items()}
        layout = named.get(fields["layout"], SPREAD)
        try:
            return BurstHeader(
                fields["stream_id"], fields["frame_id"], fields["codebook_id"], grid, *self._size, mcs,
                fields["cmi"] - 1 if fields["cmi"] else None, layout, fields["layout"] if layout == SPREAD else 0,
                NATURAL if bits else LABELS[fields["payload"]], BITS if bits else TOKENS, quantizers, elements, seal,
                sizes,
            )  # fmt: skip
        except ParameterError as error:
            raise HeaderError("contents", f"absurd header: {error}") from None


def extension_length(symbols: int) -> int:
    """Bits of an extension of so many OFDM symbols, CRC included: with six of tail, rate 1/3 and BPSK, a symbol for
    each 16."""
    return 8 * extension_bytes(symbols) + CRC.width if symbols else 0


def extension_bytes(symbols: int) -> int:
    """Bytes of elements that an extension of so many OFDM symbols has, at least 2 of them."""
    return 2 * symbols - 3


def _base_bits(fields: Mapping[str, int]) -> np.ndarray:
    """uint8 (BASE_BITS,) of the base's fields, with their CRC."""
    number = 0
    for name, width in FIELDS.items():
        number = number << width | int(fields[name])
    size = BASE_BITS - CRC.width
    bits = np.unpackbits(np.frombuffer((number << -size % 8).to_bytes(-(-size // 8), "big"), np.uint8))
    return CRC.append(bits[None, :size])[0]


def _extension_bits(elements: bytes, symbols: int) -> np.ndarray:
    """uint8 bits of the extension with its CRC; none of no symbols."""
    if not symbols:
        return np.zeros(0, np.uint8)
    whole = elements.ljust(extension_bytes(symbols), b"\0")
    return CRC.append(np.unpackbits(np.frombuffer(whole, np.uint8))[None])[0]


def _shape_field(grid: tuple[int, ...]) -> int | None:
    """What the base says of a shape: a line of up to 256, or a grid whose sides are powers of two; None of others."""
    if len(grid) == 1:
        return grid[0] - 1 if grid[0] <= 256 else None
    if len(grid) == 2 and all(side & side - 1 == 0 and side < 1 << 16 for side in grid):
        return 256 | grid[0].bit_length() - 1 << 4 | grid[1].bit_length() - 1
    return None


def _groups_of(numbers: tuple[int, ...]) -> bytes:
    """Each number less one, in groups of 7 bits, the most significant first; all but a number's last have their top
    bit."""
    out = []
    for number in numbers:
        rest = number - 1
        groups = [rest & 127]
        while rest := rest >> 7:
            groups.append(rest & 127 | 128)
        out += reversed(groups)
    return bytes(out)


def _numbers_of(value: bytes) -> tuple[int, ...] | None:
    """The numbers that bytes tell: the inverse of `_groups_of`; None where they are none of its."""
    numbers, number = [], 0
    for byte in value:
        number = number << 7 | byte & 127
        if not byte & 128:
            numbers.append(number + 1)
            number = 0
    return tuple(numbers) if value == _groups_of(tuple(numbers)) else None


def _shape_of(value: bytes) -> tuple[int, ...]:
    """The sides that bytes tell.

    Raises:
        HeaderError: they tell no shape.
    """
    sides = _numbers_of(value[: 3 * MAX_DIMENSIONS + 1])
    if sides is None or not 1 <= len(sides) <= MAX_DIMENSIONS:
        raise HeaderError("contents", f"the shape {value.hex(' ')} is no grid of up to {MAX_DIMENSIONS} dimensions")
    return sides


def _sizes_of(value: bytes) -> tuple[int, ...]:
    """The words of each quantizer that bytes tell.

    Raises:
        HeaderError: they tell none.
    """
    sizes = _numbers_of(value)
    if sizes is None:
        raise HeaderError("contents", f"the words of quantizers {value.hex(' ')} cannot be read")
    return sizes


def _sizes_bytes(sizes: tuple[int, ...]) -> bytes:
    """The value of the element that tells of quantizers.

    Raises:
        ParameterError: it has no room.
    """
    value = _groups_of(sizes)
    if len(value) > 255:
        raise ParameterError(f"the words of {len(sizes)} quantizers take {len(value)} bytes of a header, at most 255")
    return value


def _check_unknown(elements: bytes) -> None:
    """Refuse what this receiver knows, what may not be passed over, and what would not be sent as it came."""
    try:
        found = split(elements)
    except HeaderError as error:
        raise ParameterError(f"elements cannot be read: {error}") from None
    if join(found) != elements or any(each.number in NAMES or not each.optional for each in found):
        raise ParameterError(f"elements is {elements.hex(' ')}; it may hold none but unknown ones to be passed over")


def _too_long(packets: int, size: int) -> ParameterError:
    return ParameterError(
        f"the header of {packets} packets takes {size} bytes of elements, at most "
        f"{extension_bytes(MAX_EXTENSION_SYMBOLS)}; use fewer changes of MCS or more tokens a packet"
    )
