"""Header of each transmitter's frame, sent on carriers of its own."""

from dataclasses import dataclass

import numpy as np

from tokcom.coding.convolutional import ConvolutionalCode
from tokcom.coding.viterbi import viterbi
from tokcom.errors import HeaderError, ParameterError
from tokcom.multiple_access.plan import HEADER_SYMBOLS, PORT_CARRIERS
from tokcom.packets.bits import tokens_to_bits
from tokcom.packets.crc import Crc

VERSION = 1
FIELDS = {"version": 3, "frame_id": 16, "codebook_id": 24, "cmi": 12, "rows": 6, "columns": 6, "vectors": 2}
"""Bits of each field, in their order on the air, most significant first."""
CODE = ConvolutionalCode(7, (0o133, 0o171))
CRC = Crc.named("crc16")
N_BITS = sum(FIELDS.values()) + CRC.width
CELLS = HEADER_SYMBOLS * PORT_CARRIERS
FRAME_IDS = 1 << FIELDS["frame_id"]
CODEBOOK_ID_MASK = (1 << FIELDS["codebook_id"]) - 1
VECTORS_MASK = (1 << FIELDS["vectors"]) - 1


@dataclass(frozen=True)
class UserHeader:
    """Contents of a transmitter's header.

    Args:
        frame_id: running number of the frame, modulo FRAME_IDS.
        codebook_id: the lowest 24 bits of `packets.codebook.codebook_id` of the tokens' codebook.
        grid: rows and columns of the frame, each 1 to 64.
        cmi: class label, 0 to 4094, or None.
        vectors: last 2 bits of the id of the modulation codebook, so that most others are noticed.

    Raises:
        ParameterError: a field is out of its range.
    """

    frame_id: int
    codebook_id: int
    grid: tuple[int, int]
    cmi: int | None = None
    vectors: int = 0

    def __post_init__(self) -> None:
        if len(self.grid) != 2:
            raise ParameterError(f"grid is {self.grid}; a header of multiple access takes rows and columns")
        for name, value, low, high in (
            ("frame_id", self.frame_id, 0, FRAME_IDS - 1), ("codebook_id", self.codebook_id, 0, CODEBOOK_ID_MASK),
            ("rows", self.grid[0], 1, 1 << FIELDS["rows"]), ("columns", self.grid[1], 1, 1 << FIELDS["columns"]),
            ("cmi", 0 if self.cmi is None else self.cmi, 0, (1 << FIELDS["cmi"]) - 2),
            ("vectors", self.vectors, 0, VECTORS_MASK),
        ):  # fmt: skip
            if not low <= value <= high:
                raise ParameterError(f"{name} is {value}; it must be {low} to {high}")

    def to_symbols(self) -> np.ndarray:
        """complex64 (CELLS,): QPSK symbols; those left over repeat the first ones."""
        cmi = (1 << FIELDS["cmi"]) - 1 if self.cmi is None else self.cmi
        values = (VERSION, self.frame_id, self.codebook_id, cmi, self.grid[0] - 1, self.grid[1] - 1, self.vectors)
        bits = [tokens_to_bits(np.array([v]), width) for v, width in zip(values, FIELDS.values(), strict=True)]
        coded = CODE.encode(CRC.append(np.concatenate(bits)[None]))[0]
        signs = 2.0 * np.resize(coded, 2 * CELLS) - 1
        return ((signs[0::2] + 1j * signs[1::2]) * np.sqrt(0.5)).astype(np.complex64)


def decode_header(weighted: np.ndarray) -> UserHeader:
    """The header of QPSK symbols, complex (CELLS,), each weighted so that real and imaginary part are in proportion to
    its bits' LLRs.

    Raises:
        HeaderError: it did not arrive whole, is of another version, or absurd.
    """
    llrs = np.stack([weighted.real, weighted.imag], axis=1).ravel()
    length = CODE.coded_length(N_BITS)
    combined = llrs[:length].astype(np.float32)
    repeated = llrs[length : 2 * length]
    combined[: len(repeated)] += repeated
    bits = viterbi(CODE, combined[None], N_BITS)
    if not CRC.check(bits)[0]:
        raise HeaderError("crc", "a transmitter's header did not arrive whole: its CRC fails")
    ends = np.cumsum(list(FIELDS.values()))
    parts = np.split(bits[0], ends)[:-1]
    version, frame_id, codebook_id, cmi, rows, columns, vectors = (
        int(part.astype(np.int64) @ (1 << np.arange(len(part) - 1, -1, -1))) for part in parts
    )
    if version != VERSION:
        raise HeaderError("version", f"a transmitter's header is of version {version}; this receiver knows {VERSION}")
    unknown = cmi == (1 << FIELDS["cmi"]) - 1
    return UserHeader(frame_id, codebook_id, (rows + 1, columns + 1), None if unknown else cmi, vectors)
