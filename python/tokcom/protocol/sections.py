"""Packets of one frame as they lie in a datagram."""

import struct
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from tokcom.errors import DatagramError, ParameterError
from tokcom.frame import BITS
from tokcom.packets.bits import bits_to_tokens, tokens_to_bits
from tokcom.packets.layout import SEEDS
from tokcom.protocol.formats import FrameFormat
from tokcom.protocol.frame_elements import NO_ELEMENTS, FrameElements

FRAME_IDS = 1 << 16
"""Frames are counted modulo this."""
MAX_SECTION_PACKETS = 255
MAX_SECTIONS = 64
"""Sections in a datagram, at most: each may begin a frame, which takes far more memory than its bytes."""
UNORDERED, LABEL, END, ELEMENTS = 8, 4, 2, 1
"""Flags of a section."""
_HEAD = struct.Struct(">BHB")


@dataclass(frozen=True, eq=False)
class Section:
    """Packets of one frame.

    Attributes:
        format_id: number of the frame's format in its session.
        frame_id: running number of the frame, modulo 2**16.
        grid: of the frame.
        indices: int (count,), which packets they are; None: they travel without index, and the number of the datagram
            tells their place (`numbered_sections`).
        payloads: uint8 (count, packet_bytes).
        label: class label of the frame (CMI), 0 to 65535; None where it has none.
        end: nothing more of the frame is sent unless it is asked for.
        elements: facts about the frame that are seldom needed.
    """

    format_id: int
    frame_id: int
    grid: tuple[int, ...]
    indices: np.ndarray | None
    payloads: np.ndarray
    label: int | None = None
    end: bool = False
    elements: FrameElements = NO_ELEMENTS

    @property
    def layout_seed(self) -> int:
        """Seed of the packets' layout, modulo `layout.SEEDS`."""
        return (self.frame_id if self.elements.seed is None else self.elements.seed) % SEEDS


def payloads_of(packets: np.ndarray, token_bits: int) -> np.ndarray:
    """uint8 (n_packets, packet_bytes) of tokens, int (n_packets, tokens_per_packet), most significant bit first."""
    return np.packbits(tokens_to_bits(packets, token_bits), axis=1)


def tokens_of(payloads: np.ndarray, tokens_per_packet: int, token_bits: int) -> np.ndarray:
    """int32 tokens (n_packets, tokens_per_packet): the inverse of `payloads_of`."""
    return bits_to_tokens(np.unpackbits(payloads, axis=1)[:, : tokens_per_packet * token_bits], token_bits)


def head_bytes(form: FrameFormat, label: bool, elements: bytes = b"") -> int:
    """Bytes of a section ahead of its packets."""
    return _HEAD.size + (0 if form.grid else 3) + (2 if label else 0) + (1 + len(elements) if elements else 0)


def index_bytes(n_packets: int) -> int:
    """Bytes of a packet's index in a frame of `n_packets` packets."""
    return 1 if n_packets <= 256 else 2


def encode_section(section: Section, form: FrameFormat) -> bytes:
    """Bytes of a section.

    Raises:
        ParameterError: a value does not fit.
    """
    count = len(section.payloads)
    if not 1 <= count <= MAX_SECTION_PACKETS:
        raise ParameterError(f"a section has {count} packets; it must have 1 to {MAX_SECTION_PACKETS}")
    for name, value in (("label", section.label), ("seed", section.elements.seed)):
        if value is not None and not 0 <= value < 1 << 16:
            raise ParameterError(f"the {name} is {value}; it must be 0 to 65535")
    elements = section.elements.encode()
    flags = UNORDERED * (section.indices is None) | LABEL * (section.label is not None) | END * section.end
    flags |= ELEMENTS * bool(elements)
    parts = [_HEAD.pack(section.format_id << 4 | flags, section.frame_id, count)]
    n_tokens = int(np.prod(section.grid))
    if not form.grid:
        parts.append(n_tokens.to_bytes(3, "big"))
    if section.label is not None:
        parts.append(section.label.to_bytes(2, "big"))
    if elements:
        parts.append(bytes([len(elements)]) + elements)
    rows = section.payloads
    if section.indices is not None:
        width = index_bytes(form.packets(n_tokens))
        index = np.asarray(section.indices, f">u{width}")[:, None].view(np.uint8)
        rows = np.concatenate([index, rows], axis=1)
    parts.append(rows.tobytes())
    return b"".join(parts)


def decode_sections(data: memoryview, formats: Sequence[FrameFormat]) -> list[Section]:
    """The sections that fill bytes.

    Args:
        data: the body of a datagram.
        formats: of its session.

    Raises:
        DatagramError: they do not.
    """
    sections, at = [], 0
    while at < len(data):
        if len(sections) == MAX_SECTIONS:
            raise DatagramError(f"a datagram has more than {MAX_SECTIONS} sections")
        section, at = _decode_section(data, at, formats)
        sections.append(section)
    return sections


def _decode_section(data: memoryview, at: int, formats: Sequence[FrameFormat]) -> tuple[Section, int]:
    if len(data) - at < _HEAD.size:
        raise DatagramError(f"a section has {len(data) - at} bytes; its head alone has {_HEAD.size}")
    kind, frame_id, count = _HEAD.unpack_from(data, at)
    at += _HEAD.size
    if kind >> 4 >= len(formats) or not count:
        raise DatagramError(
            f"a section of {count} packets names format {kind >> 4} of {len(formats)} with flags {kind & 15}"
        )
    form = formats[kind >> 4]
    grid = form.grid
    if not grid:
        grid = (int.from_bytes(_take(data, at, 3), "big"),)
        at += 3
    label, elements = None, NO_ELEMENTS
    if kind & LABEL:
        label = int.from_bytes(_take(data, at, 2), "big")
        at += 2
    if kind & ELEMENTS:
        length = _take(data, at, 1)[0]
        elements = FrameElements.decode(bytes(_take(data, at + 1, length)))
        at += 1 + length
        if form.payload == BITS and elements.of_tokens:
            raise DatagramError("a section of bits has elements that only frames of tokens have")
    try:
        n_packets = form.packets(int(np.prod(grid)))
    except ParameterError as error:
        raise DatagramError(str(error)) from None
    width = 0 if kind & UNORDERED else index_bytes(n_packets)
    stride = width + form.packet_bytes
    rows = np.frombuffer(_take(data, at, count * stride), np.uint8).reshape(count, stride)
    indices = None
    if width:
        indices = rows[:, 0].astype(np.int64) if width == 1 else rows[:, 0].astype(np.int64) << 8 | rows[:, 1]
        if indices.max() >= n_packets:
            raise DatagramError(f"packet {indices.max()} of a frame that has {n_packets}")
    if count > n_packets:
        raise DatagramError(f"a section has {count} packets of a frame that has {n_packets}")
    section = Section(kind >> 4, frame_id, grid, indices, rows[:, width:], label, bool(kind & END), elements)
    return section, at + count * stride


def _take(data: memoryview, at: int, count: int) -> memoryview:
    if len(data) - at < count:
        raise DatagramError(f"a section wants {count} bytes more and {len(data) - at} are left")
    return data[at : at + count]
