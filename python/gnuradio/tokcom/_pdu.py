"""PDUs to arrays and Python values, and back."""

from collections.abc import Iterator, Mapping

import numpy as np
import pmt

from tokcom.errors import FrameError

KINDS = {
    "uint8": (pmt.is_u8vector, 0, "u1"),
    "int32": (pmt.is_s32vector, 5, ">i4"),
    "float32": (pmt.is_f32vector, 8, ">f4"),
    "complex64": (pmt.is_c32vector, 10, ">c8"),
}
"""Kinds of uniform vectors: predicate, code in serial form, and element type there."""
UNIFORM_VECTOR = b"\x0a"
"""First byte of a uniform vector's serial form, the fast conversion: through lists of Python numbers a burst takes five
times as long."""
MISSING = pmt.intern("no such key")


class Metadata(Mapping):
    """PDU's metadata as Python values, converted on access, as most blocks need few of them."""

    def __init__(self, entries: object):
        self._entries = entries if pmt.is_dict(entries) else pmt.make_dict()

    def __getitem__(self, key: str) -> object:
        value = pmt.dict_ref(self._entries, pmt.intern(key), MISSING)
        if pmt.eq(value, MISSING):
            raise KeyError(key)
        return pmt.to_python(value)

    def __iter__(self) -> Iterator[str]:
        names = pmt.dict_keys(self._entries)
        while pmt.is_pair(names):
            yield pmt.symbol_to_string(pmt.car(names))
            names = pmt.cdr(names)

    def __len__(self) -> int:
        return pmt.length(pmt.dict_keys(self._entries))


def open_pdu(pdu: object, kind: str | None) -> tuple[Metadata, np.ndarray]:
    """Open a PDU: return metadata and content; kind None accepts any PDU and returns empty content.

    Raises:
        FrameError: the message is not a PDU, or of another kind than requested.
    """
    if not pmt.is_pair(pdu) or not (pmt.is_dict(pmt.car(pdu)) or pmt.is_null(pmt.car(pdu))):
        raise FrameError("the message is not a PDU (a pair of a dictionary and a vector)")
    if kind is None:
        return Metadata(pmt.car(pdu)), np.zeros(0, np.uint8)
    is_kind, _, element = KINDS[kind]
    vector = pmt.cdr(pdu)
    if not is_kind(vector):
        raise FrameError(f"the PDU does not hold {kind} values; check what is connected to this port")
    size = pmt.length(vector) * np.dtype(element).itemsize
    serial = pmt.serialize_str(vector)
    return Metadata(pmt.car(pdu)), np.frombuffer(serial[len(serial) - size :], element).astype(kind)


def make_pdu(meta: object, added: dict, data: np.ndarray) -> object:
    """Make a PDU of a PMT dictionary with keys added (or, with value None, removed) and an array's values in row-major
    order."""
    for key, value in added.items():
        if value is None:
            meta = pmt.dict_delete(meta, pmt.intern(key))
            continue
        meta = pmt.dict_add(meta, pmt.intern(key), value if isinstance(value, pmt.pmt_base) else pmt.to_pmt(value))
    return pmt.cons(meta, vector_of(data))


def vector_of(data: np.ndarray) -> object:
    """Make a uniform vector of an array's values in row-major order."""
    _, number, element = KINDS[data.dtype.name]
    head = UNIFORM_VECTOR + bytes([number]) + data.size.to_bytes(4, "big") + b"\x01\x00"
    return pmt.deserialize_str(head + data.astype(element).tobytes())


def bytes_value(value: bytes) -> object:
    """Make the value of a key that holds bytes; None for no bytes."""
    return vector_of(np.frombuffer(value, np.uint8)) if value else None


def required(meta: Mapping, key: str, kind: type) -> object:
    """Look up a key's value.

    Raises:
        FrameError: the key is missing or its value has another type.
    """
    value = meta.get(key, MISSING)
    if value is MISSING:
        raise FrameError(f"the PDU lacks the key {key!r}; is the block before this one the right one?")
    if kind is float and isinstance(value, int):
        return float(value)
    if not isinstance(value, kind) or isinstance(value, bool):
        raise FrameError(f"the PDU's key {key!r} is {value!r}; it must be of type {kind.__name__}")
    return value


def optional(meta: Mapping, key: str, kind: type, missing: object) -> object:
    """Look up a key's value, or return `missing` if the key is missing."""
    return required(meta, key, kind) if key in meta else missing


def bytes_of(meta: Mapping, key: str) -> bytes:
    """Look up a key's bytes, or return none if the key is missing.

    Raises:
        FrameError: the metadata's value is no vector.
    """
    return optional(meta, key, np.ndarray, np.zeros(0)).astype(np.uint8).tobytes()
