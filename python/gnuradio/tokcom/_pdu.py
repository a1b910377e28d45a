"""Common parts of the message blocks: conversion of PDUs to arrays and back, refusal of bad ones, timing."""

import time
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import astuple, fields
from math import prod

import numpy as np
import pmt
from gnuradio import gr

from tokcom import keys
from tokcom.errors import FrameError, TokcomError
from tokcom.frame import BITS, LOST, MAX_TOKENS, TOKENS, BitFrame, Payload, TokenFrame
from tokcom.packets.header import BurstHeader
from tokcom.packets.labels import NATURAL
from tokcom.packets.layout import SPREAD
from tokcom.packets.seal import Seal

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


class PduBlock(gr.basic_block):
    """Block with one PDU in, one library call, one PDU out.

    A subclass names its ports and element kind (None for any kind, without content) and implements `process`, during
    which `_received` is the PDU's metadata. If FORWARDS is set, the metadata is forwarded with the added keys.
    Exceptions are logged and counted in `frames_refused`, and the block continues with the next frame.

    Parameters:
        name: name of the block in GNU Radio.
        queue_size: largest number of PDUs waiting at the input; beyond it the oldest are dropped, logged and counted in
            `inputs_dropped`, and both numbers are in the metadata. 0 for no limit.
    """

    INPUT: str
    OUTPUT: str
    INPUT_KIND: str | None
    STAGE: str
    FORWARDS = True

    def __init__(self, name: str, queue_size: int = 0):
        gr.basic_block.__init__(self, name=name, in_sig=None, out_sig=None)
        self.frames_refused = self.inputs_dropped = 0
        self._queue_size = queue_size
        self._received = pmt.make_dict()
        self._input, self._output = pmt.intern(self.INPUT), pmt.intern(self.OUTPUT)
        self.message_port_register_in(self._input)
        self.message_port_register_out(self._output)
        self.set_msg_handler(self._input, self._on_pdu)

    def process(self, meta: "Metadata", data: np.ndarray) -> tuple[dict, np.ndarray] | None:
        """Process a PDU: return keys to add to the metadata (or, with value None, to remove) and the new content; None
        to send nothing (now)."""
        raise NotImplementedError

    def _on_pdu(self, pdu: object) -> None:
        started = time.perf_counter()
        if self._queue_size and self.counters()[0] >= self._queue_size:
            self.count_drop(self._queue_size, "oldest")
            return
        try:
            meta, data = open_pdu(pdu, self.INPUT_KIND)
            self._received = pmt.car(pdu)
            result = self.process(meta, data)
            if result is not None:
                self._publish(self._received, *result, time.perf_counter() - started)
        except Exception as error:
            self.refuse(error)

    def _publish(self, received: object, added: dict, out: np.ndarray, seconds: float) -> None:
        """Send the result of a PDU."""
        added = {**added, keys.SECONDS + self.STAGE: seconds}
        counters = self.counters()
        if counters is not None:
            added |= {keys.QUEUED + self.STAGE: counters[0], keys.DROPPED + self.STAGE: counters[1]}
        meta = received if self.FORWARDS else pmt.make_dict()
        self.message_port_pub(self._output, make_pdu(meta, added, out))

    def counters(self) -> tuple[int, int] | None:
        """Return the numbers of PDUs waiting and dropped so far; None without a limit."""
        return (self.to_basic_block().nmsgs(self._input), self.inputs_dropped) if self._queue_size else None

    def is_connected(self, port: object) -> bool:
        """Tell whether an output is connected, so that PDUs for unconnected ones need not be made."""
        return not pmt.is_null(self.to_basic_block().message_subscribers(port))

    def count_drop(self, size: int, which: str) -> None:
        """Count and log a PDU dropped because the queue was full."""
        self.inputs_dropped += 1
        # Log whenever their number has doubled: logging each would cost more time than processing them.
        if self.inputs_dropped.bit_count() == 1:
            said = f"queue of {size} {self.INPUT} is full: the {which} dropped ({self.inputs_dropped} so far)"
            self.logger.warn(said)

    def refuse(self, error: Exception) -> None:
        """Log and count a frame that cannot be processed."""
        self.frames_refused += 1
        self.logger.warn(f"frame refused ({self.frames_refused} so far): {reason(error)}")


class Unknown:
    """Counts frames whose codebook, or key, a block does not have, or that it does not believe, and tells of each kind
    the first time.

    Parameters:
        block: what counts them.
        counter: its attribute: `frames_unknown`, by the codebook's name; `frames_locked`, by the key's id; or
            `frames_rejected`, by `RejectedError.kind`.
    """

    def __init__(self, block: PduBlock, counter: str = "frames_unknown"):
        self._block, self._counts = block, Counter()
        setattr(block, counter, self._counts)

    def count(self, lacking: str | int, said: str) -> None:
        """Count a frame; log `said` if it is the first with this codebook or key."""
        self._counts[lacking] += 1
        if self._counts[lacking] == 1:
            self._block.logger.warn(said)

    def count_frame(self, frame: Payload, known: str, fate: str) -> None:
        """Count a frame whose codebook is not among `known`; log its `fate` if it is the first with this codebook."""
        self.count(
            frame.codebook,
            f"frame {frame.frame_id} has codebook {frame.codebook}; the models here have {known}: such frames are "
            f"{fate}",
        )


def reason(error: Exception) -> str:
    """Format the reason of a refusal; unexpected exceptions include their type."""
    return str(error) if isinstance(error, TokcomError) else f"{type(error).__name__}: {error}"


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


def _optional(meta: Mapping, key: str, kind: type, missing: object) -> object:
    """Look up a key's value, or return `missing` if the key is missing."""
    return required(meta, key, kind) if key in meta else missing


def frame_keys(frame: Payload) -> dict:
    """Make the metadata that describe a frame."""
    described = {
        keys.FRAME_ID: frame.frame_id,
        keys.MODALITY: frame.modality,
        keys.CODEBOOK: frame.codebook,
        keys.CODEBOOK_SIZE: frame.codebook_size,
        keys.GRID: tuple(frame.grid),
    }
    if isinstance(frame, BitFrame):
        described[keys.PAYLOAD] = BITS
    if frame.quantizers > 1:
        described[keys.QUANTIZERS] = frame.quantizers
    if frame.sizes:
        described[keys.SIZES] = frame.sizes
    if frame.follows:
        described[keys.FOLLOWS] = frame.follows
    if frame.description:
        described[keys.DESCRIPTION] = _vector_value(frame.description)
    if frame.thinning:
        described[keys.THINNING] = _vector_value(frame.thinning)
    if frame.companion:
        described[keys.COMPANION] = frame.companion
    return described if frame.cmi is None else described | {keys.CMI: frame.cmi}


def frame_of(meta: Mapping, tokens: np.ndarray) -> Payload:
    """Make the frame of a PDU of tokens, or of bits.

    Raises:
        FrameError: keys are missing, or the tokens do not fit them.
    """
    if payload_of(meta) == BITS:
        return BitFrame(tokens, required(meta, keys.CODEBOOK, str), required(meta, keys.FRAME_ID, int))
    grid = required(meta, keys.GRID, tuple)
    return TokenFrame(
        tokens,
        required(meta, keys.CODEBOOK, str),
        required(meta, keys.CODEBOOK_SIZE, int),
        grid,
        required(meta, keys.MODALITY, str),
        _optional(meta, keys.CMI, int, None),
        required(meta, keys.FRAME_ID, int),
        _optional(meta, keys.QUANTIZERS, int, 1),
        _optional(meta, keys.SIZES, tuple, ()),
        _optional(meta, keys.FOLLOWS, int, 0),
        _bytes_of(meta, keys.DESCRIPTION),
        _bytes_of(meta, keys.THINNING),
        _optional(meta, keys.COMPANION, int, 0),
    )


def _vector_value(value: bytes) -> object:
    """Make the value of a key that holds bytes; None for no bytes."""
    return vector_of(np.frombuffer(value, np.uint8)) if value else None


def _bytes_of(meta: Mapping, key: str) -> bytes:
    """Look up a key's bytes, or return none if the key is missing.

    Raises:
        FrameError: the metadata's value is no vector.
    """
    return _optional(meta, key, np.ndarray, np.zeros(0)).astype(np.uint8).tobytes()


def payload_of(meta: Mapping) -> str:
    """Return the payload of packets, `frame.TOKENS` by default, or `frame.BITS`.

    Raises:
        FrameError: the key has another value.
    """
    payload = _optional(meta, keys.PAYLOAD, str, TOKENS)
    if payload not in (TOKENS, BITS):
        raise FrameError(f"the PDU's payload is {payload!r}; it must be {TOKENS} or {BITS}")
    return payload


def outline_of(meta: Mapping) -> Payload:
    """Make the frame that metadata describe, with all tokens lost.

    Raises:
        FrameError: keys are missing or wrong.
    """
    grid = required(meta, keys.GRID, tuple)
    if not all(isinstance(side, int) and 0 < side <= MAX_TOKENS for side in grid) or prod(grid) > MAX_TOKENS:
        raise FrameError(f"the PDU's grid is {grid!r}; a frame has at most {MAX_TOKENS} tokens")
    return frame_of(meta, np.full(prod(grid), LOST, np.int32))


def mcs_of(meta: Mapping) -> np.ndarray:
    """Return the MCS of each packet, uint8 (n_packets,).

    Raises:
        FrameError: the key is missing, or does not have one byte per packet.
    """
    mcs = np.asarray(required(meta, keys.MCS, np.ndarray))
    if mcs.shape != (required(meta, keys.PACKETS, int),):
        raise FrameError(f"the PDU has the MCS of {mcs.size} packets, but {meta[keys.PACKETS]} packets")
    return mcs.astype(np.uint8)


def misfit_of(meta: Mapping) -> np.ndarray | None:
    """Return the statistics of each packet's fit, float32 (n_packets, 2); None if missing.

    Raises:
        FrameError: the key does not have two values per packet.
    """
    if keys.MISFIT not in meta:
        return None
    misfit = np.asarray(required(meta, keys.MISFIT, np.ndarray), np.float32)
    packets = required(meta, keys.PACKETS, int)
    if misfit.shape != (2 * packets,):
        raise FrameError(f"the PDU's misfit has {misfit.size} values; {packets} packets have two each")
    return misfit.reshape(packets, 2)


def labels_of(meta: Mapping) -> str:
    """Return the labels of the tokens, one of `labels.LABELS`, "natural" by default.

    Raises:
        FrameError: the key is not a string.
    """
    return _optional(meta, keys.LABELS, str, NATURAL)


def layout_of(meta: Mapping) -> str:
    """Return the layout of the tokens, one of `layout.LAYOUTS`, "spread" by default.

    Raises:
        FrameError: the key is not a string.
    """
    return _optional(meta, keys.LAYOUT, str, SPREAD)


def carriers_of(meta: Mapping) -> np.ndarray:
    """Return the Es/N0 in dB per carrier, float32 (n_carriers,); a single value if only the mean is known.

    Raises:
        FrameError: neither is present.
    """
    if keys.CARRIER_ESN0_DB in meta:
        return np.asarray(meta[keys.CARRIER_ESN0_DB], np.float32)
    return np.array([required(meta, keys.ESN0_DB, float)], np.float32)


def header_keys(header: BurstHeader) -> dict:
    """Make the metadata that describe a burst header."""
    described = {
        keys.STREAM_ID: header.stream_id,
        keys.FRAME_ID: header.frame_id,
        keys.CODEBOOK_ID: header.codebook_id,
        keys.LAYOUT_SEED: header.layout_seed,
        keys.GRID: header.grid,
        keys.TOKENS_PER_PACKET: header.tokens_per_packet,
        keys.TOKEN_BITS: header.token_bits,
        keys.PACKETS: header.n_packets,
        keys.MCS: vector_of(header.mcs),
    }
    usual = {
        keys.CMI: (header.cmi, None),
        keys.LABELS: (header.labels, NATURAL),
        keys.LAYOUT: (header.layout, SPREAD),
        keys.PAYLOAD: (header.payload, TOKENS),
        keys.QUANTIZERS: (header.quantizers, 1),
        keys.SIZES: (header.sizes, ()),
        keys.FOLLOWS: (header.follows, 0),
        keys.COMPANION: (header.companion, 0),
        keys.SEAL: (seal_value(header.seal), None),
        keys.DESCRIPTION: (_vector_value(header.description), None),
        keys.ELEMENTS: (_vector_value(header.elements), None),
        keys.THINNING: (_vector_value(header.thinning), None),
    }
    described |= {key: value for key, (value, common) in usual.items() if value != common}
    return described


def header_of(meta: Mapping) -> BurstHeader:
    """Make the burst header that metadata describe.

    Raises:
        FrameError: keys are missing.
        ParameterError: a value is out of its range.
    """
    return BurstHeader(
        required(meta, keys.STREAM_ID, int),
        required(meta, keys.FRAME_ID, int),
        required(meta, keys.CODEBOOK_ID, int),
        required(meta, keys.GRID, tuple),
        required(meta, keys.TOKENS_PER_PACKET, int),
        required(meta, keys.TOKEN_BITS, int),
        mcs_of(meta),
        _optional(meta, keys.CMI, int, None),
        layout_of(meta),
        required(meta, keys.LAYOUT_SEED, int),
        labels_of(meta),
        payload_of(meta),
        _optional(meta, keys.QUANTIZERS, int, 1),
        _bytes_of(meta, keys.ELEMENTS),
        seal_of(meta),
        _optional(meta, keys.SIZES, tuple, ()),
        _optional(meta, keys.FOLLOWS, int, 0),
        _bytes_of(meta, keys.DESCRIPTION),
        _bytes_of(meta, keys.THINNING),
        _optional(meta, keys.COMPANION, int, 0),
    )


def seal_value(seal: Seal | None) -> tuple[int, ...] | None:
    """A seal as metadata."""
    return None if seal is None else astuple(seal)


def seal_of(meta: Mapping) -> Seal | None:
    """The key that protects packets; None: none does.

    Raises:
        FrameError: the metadata's key is no tuple of five.
        ParameterError: a value is out of its range.
    """
    value = _optional(meta, keys.SEAL, tuple, None)
    if value is None:
        return None
    if len(value) != len(fields(Seal)) or not all(isinstance(each, int) for each in value):
        names = ", ".join(field.name for field in fields(Seal))
        raise FrameError(f"seal is {value}; it must be the numbers {names}")
    return Seal(*value)


def picture_of(meta: Mapping, data: np.ndarray) -> np.ndarray:
    """Make the picture of a PDU, uint8 (height, width, 3).

    Raises:
        FrameError: the values do not make a picture of the size in the metadata.
    """
    height, width = required(meta, keys.HEIGHT, int), required(meta, keys.WIDTH, int)
    if data.size != height * width * 3 or not data.size:
        raise FrameError(f"{data.size} values are not a picture of {width} x {height} RGB pixels")
    return data.reshape(height, width, 3)


def packet_rows(meta: Mapping, data: np.ndarray) -> np.ndarray:
    """Arrange the content of a PDU as one row per packet.

    Raises:
        FrameError: the values do not make that many rows.
    """
    packets = required(meta, keys.PACKETS, int)
    if packets < 1 or not data.size or data.size % packets:
        raise FrameError(f"{data.size} values do not make {packets} packets of one length")
    return data.reshape(packets, -1)
