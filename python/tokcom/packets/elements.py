"""Typed elements: what a burst header says beyond its base (docs/air-interface.md, "Elements").

An element has a number, which tells its type, and a value of up to 255 bytes. Elements come in rising order of their
numbers, each at most once; a zero byte ends them.
"""

from collections.abc import Iterable
from dataclasses import dataclass

from tokcom.errors import HeaderError, ParameterError

SHAPE, MCS_MAP, QUANTIZERS, KEY, CHECK = 1, 2, 3, 6, 7
NAMES = {SHAPE: "shape", MCS_MAP: "MCS map", QUANTIZERS: "quantizers", KEY: "key", CHECK: "check"}
"""The elements that this receiver knows, by number."""
OPTIONAL = 0x80
"""Bit of an element's first byte: who does not know its number may pass it over."""
LONG_NUMBER, LONG_LENGTH = 15, 7
"""Number and length, in the first byte, from which on they have a byte of their own."""


@dataclass(frozen=True, order=True)
class Element:
    """One element.

    Args:
        number: of its type, 1 to 255.
        value: at most 255 bytes.
        optional: who does not know the number may pass it over.

    Raises:
        ParameterError: number or value have no room on the air.
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
        """As on the air: optional 1 bit, number 4, length 3, then number and length where they need a byte, value."""
        number, length = min(self.number, LONG_NUMBER), min(len(self.value), LONG_LENGTH)
        head = bytes([OPTIONAL * self.optional | number << 3 | length])
        head += bytes([self.number]) if number == LONG_NUMBER else b""
        head += bytes([len(self.value)]) if length == LONG_LENGTH else b""
        return head + self.value


def join(elements: Iterable[Element]) -> bytes:
    """Elements one behind the other, in rising order of their numbers."""
    return b"".join(element.to_bytes() for element in sorted(elements))


def split(data: bytes) -> list[Element]:
    """The elements that bytes hold: the inverse of `join`, with any number of zero bytes behind.

    Raises:
        HeaderError: an element is cut off, something follows the end, or the bytes are not as `join` writes them.
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
            raise HeaderError("contents", f"element {number} of {length} bytes is cut off after {len(data) - at}")
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
        raise HeaderError("contents", "an element is cut off in its first bytes")
    return data[at]
