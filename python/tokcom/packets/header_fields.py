"""Fields of a burst header's base, and the bits of base and extension (docs/air-interface.md, "Header")."""

from collections.abc import Mapping

import numpy as np

from tokcom.packets.crc import Crc
from tokcom.packets.identity import NUMBER_BITS
from tokcom.packets.labels import LABELS
from tokcom.packets.layout import CONTIGUOUS, IMPORTANCE, SEEDS, SPREAD

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


def base_bytes(fields: Mapping[str, int]) -> bytes:
    """The base's fields, and zero bits up to a whole byte."""
    number, size = 0, BASE_BITS - CRC.width
    for name, width in FIELDS.items():
        number = number << width | int(fields[name])
    return (number << -size % 8).to_bytes(-(-size // 8), "big")


def base_bits(fields: Mapping[str, int]) -> np.ndarray:
    """uint8 (BASE_BITS,) of the base's fields, with their CRC."""
    bits = np.unpackbits(np.frombuffer(base_bytes(fields), np.uint8))
    return CRC.append(bits[None, : BASE_BITS - CRC.width])[0]


def fields_of(bits: np.ndarray) -> dict[str, int]:
    """Parse the fields of BASE_BITS bits, whatever the CRC says."""
    number = int.from_bytes(np.packbits(bits).tobytes(), "big") >> -len(bits) % 8 + CRC.width
    fields = {}
    for name, width in reversed(FIELDS.items()):
        fields[name] = number & ((1 << width) - 1)
        number >>= width
    return fields


def extension_length(symbols: int) -> int:
    """Compute the bits of an extension of `symbols` OFDM symbols, CRC included: 16 per symbol, minus 6 of the tail
    (rate 1/3, BPSK)."""
    return 8 * extension_bytes(symbols) + CRC.width if symbols else 0


def extension_bytes(symbols: int) -> int:
    """Compute the bytes of elements in an extension of `symbols` OFDM symbols, at least 2."""
    return 2 * symbols - 3


def extension_bits(elements: bytes, symbols: int) -> np.ndarray:
    """Serialize the extension with its CRC, uint8; empty if it has no symbols."""
    if not symbols:
        return np.zeros(0, np.uint8)
    whole = elements.ljust(extension_bytes(symbols), b"\0")
    return CRC.append(np.unpackbits(np.frombuffer(whole, np.uint8))[None])[0]


def layout_code(layout: str, seed: int, follows: int) -> tuple[int, bool]:
    """Encode a layout, and whether the code also tells that the frame follows the one before."""
    code = OTHER_LAYOUTS.get(layout, seed)
    if follows != 1:
        return code, False
    following = FOLLOWING + (code - SEEDS if layout in OTHER_LAYOUTS else len(OTHER_LAYOUTS) + seed)
    return (following, True) if following < 1 << FIELDS["layout"] else (code, False)


def layout_of(code: int) -> tuple[str, int, int]:
    """Decode a layout, its seed, and by how many frames the frame follows another, 0 or 1."""
    named = {number: name for name, number in OTHER_LAYOUTS.items()}
    follows = int(code >= FOLLOWING)
    if follows:
        number = code - FOLLOWING
        code = SEEDS + number if number < len(OTHER_LAYOUTS) else number - len(OTHER_LAYOUTS)
    return (named[code], 0, follows) if code in named else (SPREAD, code, follows)


def shape_field(grid: tuple[int, ...]) -> int | None:
    """Encode a shape in the base: a line of up to 256, or a grid whose sides are powers of two; None for others."""
    if len(grid) == 1:
        return grid[0] - 1 if grid[0] <= 256 else None
    if len(grid) == 2 and all(side & side - 1 == 0 and side < 1 << 16 for side in grid):
        return 256 | grid[0].bit_length() - 1 << 4 | grid[1].bit_length() - 1
    return None


def shape_of(field: int) -> tuple[int, ...]:
    """Decode a shape in the base: the inverse of `shape_field`."""
    return (1 << (field >> 4 & 15), 1 << (field & 15)) if field >> 8 else (field + 1,)
