"""Numbers in the values of header elements: sides of a grid, words of quantizers."""

from tokcom.errors import HeaderError, ParameterError
from tokcom.frame import MAX_DIMENSIONS


def numbers_bytes(numbers: tuple[int, ...]) -> bytes:
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
    """Decode numbers from bytes: the inverse of `numbers_bytes`; None if the bytes are not valid."""
    numbers, number = [], 0
    for byte in value:
        number = number << 7 | byte & 127
        if not byte & 128:
            numbers.append(number + 1)
            number = 0
    return tuple(numbers) if value == numbers_bytes(tuple(numbers)) else None


def sides_of(value: bytes) -> tuple[int, ...]:
    """Decode sides from bytes: the inverse of `numbers_bytes`.

    Raises:
        HeaderError: the bytes are not a valid shape.
    """
    sides = _numbers_of(value[: 3 * MAX_DIMENSIONS + 1])
    if sides is None or not 1 <= len(sides) <= MAX_DIMENSIONS:
        raise HeaderError("contents", f"the shape {value.hex(' ')} is not a grid of up to {MAX_DIMENSIONS} dimensions")
    return sides


def sizes_bytes(sizes: tuple[int, ...]) -> bytes:
    """Encode the number of words of each quantizer.

    Raises:
        ParameterError: they do not fit in an element.
    """
    value = numbers_bytes(sizes)
    if len(value) > 255:
        raise ParameterError(f"the words of {len(sizes)} quantizers take {len(value)} bytes of a header, at most 255")
    return value


def sizes_of(value: bytes) -> tuple[int, ...]:
    """Decode the number of words of each quantizer from bytes.

    Raises:
        HeaderError: the bytes are not valid.
    """
    sizes = _numbers_of(value)
    if sizes is None:
        raise HeaderError("contents", f"the words of quantizers {value.hex(' ')} cannot be read")
    return sizes
