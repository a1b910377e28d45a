"""Typed elements of a burst header's extension (docs/air-interface.md, "Elements").

An element has a number, which is its type, and a value of up to 255 bytes. Elements come in ascending order of their
numbers, each at most once; a zero byte ends them.
"""

from collections.abc import Iterable
from dataclasses import dataclass

from tokcom.errors import HeaderError, ParameterError

SHAPE, MCS_MAP, QUANTIZERS, CONDITION, COMPANION, KEY, CHECK, THINNING, LAYOUT, FOLLOWS = 1, 2, 3, 4, 5, 6, 7, 8, 9, 14
NAMES = {
    SHAPE: "shape", MCS_MAP: "MCS map", QUANTIZERS: "quantizers", CONDITION: "condition", COMPANION: "companion",
    KEY: "key", CHECK: "check", THINNING: "thinning", LAYOUT: "layout", FOLLOWS: "follows",
}  # fmt: skip
"""The elements that this receiver knows, by number."""
OPTIONAL = 0x80
"""Bit of an element's first byte: a receiver that does not know the number may skip the element."""
LONG_NUMBER, LONG_LENGTH = 15, 7
"""Values of number and length in the first byte that indicate a separate byte."""


@dataclass(frozen=True, order=True)
class Element:
    """Element of a burst header.

    Args:
        number: number of its type, 1 to 255.
        value: at most 255 bytes.
        optional: whether a receiver that does not know the number may skip it.

    Raises:
        ParameterError: number or value cannot be encoded.
    """

    number: int
    value: bytes
    optional: bool = False

    def __post_init__(self) -> None:
        if not 1 <= self.number <= 255 or len(self.value) > 255:
            raise ParameterError(
                f"element {self.number} of {len(self.value)} bytes; numbers are 1 to 255, values at most 255 bytes"
            )

    def to_bytes(self) -> bytes:
        """Serialize: optional 1 bit, number 4, length 3, then number and length if they need a byte, then the value."""
        number, length = min(self.number, LONG_NUMBER), min(len(self.value), LONG_LENGTH)
        head = bytes([OPTIONAL * self.optional | number << 3 | length])
        head += bytes([self.number]) if number == LONG_NUMBER else b""
        head += bytes([len(self.value)]) if length == LONG_LENGTH else b""
        return head + self.value


def join(elements: Iterable[Element]) -> bytes:
    """Concatenate elements in ascending order of their numbers."""
    return b"".join(element.to_bytes() for element in sorted(elements))


def split(data: bytes) -> list[Element]:
    """Parse elements: the inverse of `join`, with any number of trailing zero bytes.

    Raises:
        HeaderError: an element is truncated, data follow the end, or the bytes are not in the form that `join` writes.
    """
    elements, at = [], 0
    while at < len(data) and data[at]:
        optional, number, length = bool(data[at] & OPTIONAL), data[at] >> 3 & 15, data[at] & 7
        at += 1
        if number == LONG_NUMBER:
            number, at = _byte(data, at), at + 1
        if length == LONG_LENGTH:
            length, at = _byte(data, at), at + 1
        if at + length > len(data):
            raise HeaderError("contents", f"element {number} of {length} bytes is truncated after {len(data) - at}")
        if not 1 <= number <= 255:
            raise HeaderError("contents", f"an element has the number {number}; they are 1 to 255")
        elements.append(Element(number, bytes(data[at : at + length]), optional))
        at += length
    numbers = [element.number for element in elements]
    if sorted(set(numbers)) != numbers or any(data[at:]) or join(elements) != data[:at]:
        raise HeaderError("contents", f"the elements {numbers} are not in order, each once and in its shortest form")
    return elements


def _byte(data: bytes, at: int) -> int:
    if at >= len(data):
        raise HeaderError("contents", "an element is truncated in its first bytes")
    return data[at]
