"""What the message blocks share: PDUs to arrays and back, refusal of bad ones, time keeping."""

import time
from collections.abc import Iterator, Mapping
from math import prod

import numpy as np
import pmt
from gnuradio import gr

from tokcom import keys
from tokcom.errors import FrameError, TokcomError
from tokcom.frame import LOST, TokenFrame
from tokcom.packets.header import BurstHeader
from tokcom.packets.labels import NATURAL

KINDS = {
    "uint8": (pmt.is_u8vector, 0, "u1"),
    "int32": (pmt.is_s32vector, 5, ">i4"),
    "float32": (pmt.is_f32vector, 8, ">f4"),
    "complex64": (pmt.is_c32vector, 10, ">c8"),
}
"""How each kind of uniform vector is recognised, its number in serial form, and its elements there."""
UNIFORM_VECTOR = b"\x0a"
"""What a uniform vector's serial form begins with. It is the fast way in and out: through lists of Python numbers a
burst takes five times as long."""


MISSING = pmt.intern("no such key")


class PduBlock(gr.basic_block):
    """One PDU in, one library call, one PDU out.

    A subclass names its ports and element kind (None: of any, then there is no content) and writes `process`, during
    which `_received` is the PDU's metadata. Where it FORWARDS, that goes on with what is added to it.
    Whatever that raises is logged and counted in `frames_refused`, and the block goes on with the next frame.

    Parameters:
        name: what GNU Radio calls the block.
        queue_size: PDUs that may wait at the input; of more, the oldest are dropped, logged and counted in
            `inputs_dropped`, and the metadata tells of both. 0: no limit.
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
        """Keys to add to the metadata, or with the value None to take out, and the PDU's new content; None to send
        nothing (now)."""
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
                added, out = result
                added = {**added, keys.SECONDS + self.STAGE: time.perf_counter() - started}
                counters = self.counters()
                if counters is not None:
                    added |= {keys.QUEUED + self.STAGE: counters[0], keys.DROPPED + self.STAGE: counters[1]}
                meta = pmt.car(pdu) if self.FORWARDS else pmt.make_dict()
                self.message_port_pub(self._output, make_pdu(meta, added, out))
        except Exception as error:
            self.refuse(error)

    def counters(self) -> tuple[int, int] | None:
        """PDUs that wait and that were dropped so far; None where there is no limit."""
        return (self.to_basic_block().nmsgs(self._input), self.inputs_dropped) if self._queue_size else None

    def is_connected(self, port: object) -> bool:
        """Whether anybody listens to an output: a PDU that nobody gets is not worth making."""
        return not pmt.is_null(self.to_basic_block().message_subscribers(port))

    def count_drop(self, size: int, which: str) -> None:
        """Count a PDU that found the queue full, and log it."""
        self.inputs_dropped += 1
        # Each time that their number has doubled: a log of every one would cost more time than they did.
        if self.inputs_dropped.bit_count() == 1:
            said = f"queue of {size} {self.INPUT} is full: the {which} dropped ({self.inputs_dropped} so far)"
            self.logger.warn(said)

    def refuse(self, error: Exception) -> None:
        """Log and count a frame that could not be processed."""
        self.frames_refused += 1
        self.logger.warn(f"frame refused ({self.frames_refused} so far): {reason(error)}")


def reason(error: Exception) -> str:
    """Why a frame was refused; an error that nobody foresaw is named by its type, too."""
    return str(error) if isinstance(error, TokcomError) else f"{type(error).__name__}: {error}"


class Metadata(Mapping):
    """A PDU's metadata as Python values, each made when it is asked for: most blocks want few of many."""

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
    """Metadata and content of a PDU; of kind None: of any, whose content does not matter and comes out empty.

    Raises:
        FrameError: the message is no PDU, or of another kind than wanted.
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
    """A PDU of a PMT dictionary with keys added, or with the value None taken out, and an array's values in row-major
    order."""
    for key, value in added.items():
        if value is None:
            meta = pmt.dict_delete(meta, pmt.intern(key))
            continue
        meta = pmt.dict_add(meta, pmt.intern(key), value if isinstance(value, pmt.pmt_base) else pmt.to_pmt(value))
    return pmt.cons(meta, vector_of(data))


def vector_of(data: np.ndarray) -> object:
    """A uniform vector of an array's values in row-major order."""
    _, number, element = KINDS[data.dtype.name]
    head = UNIFORM_VECTOR + bytes([number]) + data.size.to_bytes(4, "big") + b"\x01\x00"
    return pmt.deserialize_str(head + data.astype(element).tobytes())


def required(meta: Mapping, key: str, kind: type) -> object:
    """A key's value.

    Raises:
        FrameError: the key is missing or its value of another kind.
    """
    value = meta.get(key, MISSING)
    if value is MISSING:
        raise FrameError(f"the PDU lacks the key {key!r}; is the block before this one the right one?")
    if kind is float and isinstance(value, int):
        return float(value)
    if not isinstance(value, kind) or isinstance(value, bool):
        raise FrameError(f"the PDU's key {key!r} is {value!r}; it must be of type {kind.__name__}")
    return value


def frame_keys(frame: TokenFrame) -> dict:
    """Metadata that describes a frame."""
    described = {
        keys.FRAME_ID: frame.frame_id,
        keys.MODALITY: frame.modality,
        keys.CODEBOOK: frame.codebook,
        keys.CODEBOOK_SIZE: frame.codebook_size,
        keys.GRID: tuple(frame.grid),
    }
    return described if frame.cmi is None else described | {keys.CMI: frame.cmi}


def frame_of(meta: Mapping, tokens: np.ndarray) -> TokenFrame:
    """The frame of a PDU of tokens.

    Raises:
        FrameError: keys are missing, or the tokens do not fit them.
    """
    grid = required(meta, keys.GRID, tuple)
    return TokenFrame(
        tokens,
        required(meta, keys.CODEBOOK, str),
        required(meta, keys.CODEBOOK_SIZE, int),
        grid,
        required(meta, keys.MODALITY, str),
        required(meta, keys.CMI, int) if keys.CMI in meta else None,
        required(meta, keys.FRAME_ID, int),
    )


def outline_of(meta: Mapping) -> TokenFrame:
    """The frame that metadata describes, all of its tokens lost.

    Raises:
        FrameError: keys are missing or wrong.
    """
    return frame_of(meta, np.full(prod(required(meta, keys.GRID, tuple)), LOST, np.int32))


def mcs_of(meta: Mapping) -> np.ndarray:
    """uint8 (n_packets,): the MCS of each packet.

    Raises:
        FrameError: the key is missing, or is not one byte a packet.
    """
    mcs = np.asarray(required(meta, keys.MCS, np.ndarray))
    if mcs.shape != (required(meta, keys.PACKETS, int),):
        raise FrameError(f"the PDU names the MCS of {mcs.size} packets and has {meta[keys.PACKETS]}")
    return mcs.astype(np.uint8)


def misfit_of(meta: Mapping) -> np.ndarray | None:
    """float32 (n_packets, 2): how well code words can fit each packet; None where nothing is said.

    Raises:
        FrameError: the key is not two values a packet.
    """
    if keys.MISFIT not in meta:
        return None
    misfit = np.asarray(required(meta, keys.MISFIT, np.ndarray), np.float32)
    packets = required(meta, keys.PACKETS, int)
    if misfit.shape != (2 * packets,):
        raise FrameError(f"the PDU's misfit has {misfit.size} values; {packets} packets have two each")
    return misfit.reshape(packets, 2)


def labels_of(meta: Mapping) -> str:
    """Under which numbers tokens are sent: one of `labels.LABELS`, "natural" where nothing is said.

    Raises:
        FrameError: the key is no string.
    """
    return required(meta, keys.LABELS, str) if keys.LABELS in meta else NATURAL


def carriers_of(meta: Mapping) -> np.ndarray:
    """Es/N0 in dB by carrier, float32 (n_carriers,); of one where only the mean is told.

    Raises:
        FrameError: neither is told.
    """
    if keys.CARRIER_ESN0_DB in meta:
        return np.asarray(meta[keys.CARRIER_ESN0_DB], np.float32)
    return np.array([required(meta, keys.ESN0_DB, float)], np.float32)


def header_keys(header: BurstHeader) -> dict:
    """Metadata that says what a burst header says."""
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
    if header.labels != NATURAL:
        described[keys.LABELS] = header.labels
    return described if header.cmi is None else described | {keys.CMI: header.cmi}


def header_of(meta: Mapping) -> BurstHeader:
    """The burst header that metadata describes.

    Raises:
        FrameError: keys are missing.
        ParameterError: a value is out of its range.
    """
    grid = required(meta, keys.GRID, tuple)
    if len(grid) not in (1, 2):
        raise FrameError(f"the PDU's grid is {grid!r}; a burst header has room for one or two dimensions")
    rows, columns = grid if len(grid) == 2 else (0, *grid)
    numbers = (keys.STREAM_ID, keys.FRAME_ID, keys.CODEBOOK_ID, keys.LAYOUT_SEED)
    return BurstHeader(
        *(required(meta, key, int) for key in numbers),
        rows,
        columns,
        required(meta, keys.TOKENS_PER_PACKET, int),
        required(meta, keys.TOKEN_BITS, int),
        required(meta, keys.CMI, int) if keys.CMI in meta else None,
        mcs_of(meta),
        labels_of(meta),
    )


def picture_of(meta: Mapping, data: np.ndarray) -> np.ndarray:
    """The picture of a PDU, uint8 (height, width, 3).

    Raises:
        FrameError: the values do not make a picture of the size that the metadata tells.
    """
    height, width = required(meta, keys.HEIGHT, int), required(meta, keys.WIDTH, int)
    if data.size != height * width * 3 or not data.size:
        raise FrameError(f"{data.size} values are not a picture of {width} x {height} RGB pixels")
    return data.reshape(height, width, 3)


def packet_rows(meta: Mapping, data: np.ndarray) -> np.ndarray:
    """Content of a PDU as one row a packet.

    Raises:
        FrameError: the values do not make that many rows.
    """
    packets = required(meta, keys.PACKETS, int)
    if packets < 1 or not data.size or data.size % packets:
        raise FrameError(f"{data.size} values do not make {packets} packets of one length")
    return data.reshape(packets, -1)
