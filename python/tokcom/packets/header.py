"""The burst header: what a receiver must know to make a frame of a burst (docs/air-interface.md, "Header").

It has a base of fixed length and, where packets differ in their MCS in a way that the base cannot say, an extension
that holds the MCS of each. Version 2 says more in the base: MCS 12 to 14, and two groups of packets, the second one
sent a step lighter. It is used only where version 1 lacks the words. Versions 3 and 4 are version 2 with tokens under
semantic and under contextual labels.
"""

from dataclasses import dataclass
from functools import cached_property
from math import ceil

import numpy as np

from tokcom.errors import HeaderError, ParameterError
from tokcom.packets.bits import bits_to_tokens, tokens_to_bits
from tokcom.packets.crc import Crc
from tokcom.packets.identity import PacketIdentity
from tokcom.packets.labels import CONTEXTUAL, LABELS, NATURAL, SEMANTIC

VERSIONS = (1, 2, 3, 4)
"""The plain one; then, in the order of LABELS, those with two groups and MCS 12 to 14, whose flags are taken."""
FIELDS = {
    "version": 4, "flags": 5, "stream_id": 6, "frame_id": 20, "codebook_id": 16, "layout_seed": 16, "rows": 8,
    "columns": 12, "tokens_per_packet": 6, "token_bits": 5, "cmi": 12, "mcs": 4, "extension_bytes": 8,
}  # fmt: skip
"""Bits of each field of the base, in their order on the air, most significant first."""
CRC = Crc.named("crc16")
BASE_BITS = sum(FIELDS.values()) + CRC.width
"""Bits of the base with its CRC-16."""
FRAME_IDS = 1 << FIELDS["frame_id"]
"""Frames are counted modulo this."""
MAX_PACKETS = 4096
MCS_COUNT = 15
MCS_COUNT_V1 = 12
"""MCS that version 1 knows."""
MCS_NOT_SENT = 15
"""MCS of a packet that the burst leaves out."""
LIGHTER = (1, 2, 3, 4, 5, 6, 7, 8, 10, 10, 11, 12, 13, 14, MCS_NOT_SENT)
"""MCS of the second group by that of the first, in version 2."""
SHARES = 1 << 5
"""The flags of version 2 give the first group's share of the packets in this many parts."""
MCS_IN_EXTENSION = 15
LABEL_FLAGS = {NATURAL: 0b00000, SEMANTIC: 0b00001, CONTEXTUAL: 0b00010}
"""Flags of version 1: under which labels of their codebook tokens are sent."""
RAW, RUNS = 0, 1
"""Forms of the extension: the MCS of every packet; or MCS and number of packets, run by run."""
LONGEST_RUN = 256


@dataclass(frozen=True)
class BurstHeader:
    """What the header of a burst says.

    Args:
        stream_id: of several transmitters or streams on one channel, 0 to 63.
        frame_id: running number of the frame, modulo 2**20.
        codebook_id: `codebook.codebook_id` of the codebook's name.
        layout_seed: seed of the permutation that spreads tokens over packets.
        rows: rows of the token grid, 1 to 255; 0 where the tokens form a line.
        columns: columns of the grid, or length of the line, 1 to 4095.
        tokens_per_packet: 1 to 64.
        token_bits: bits a token, 1 to 18.
        cmi: class label, 0 to 4094, or None.
        mcs: uint8 (n_packets,): index of each packet's MCS, 0 to 14, or MCS_NOT_SENT.
        labels: one of `labels.LABELS`: under which numbers the tokens are sent.

    Raises:
        ParameterError: a field is out of its range.
    """

    stream_id: int
    frame_id: int
    codebook_id: int
    layout_seed: int
    rows: int
    columns: int
    tokens_per_packet: int
    token_bits: int
    cmi: int | None
    mcs: np.ndarray
    labels: str = NATURAL

    def __post_init__(self) -> None:
        for name, low, high in (
            ("stream_id", 0, 63), ("frame_id", 0, FRAME_IDS - 1), ("codebook_id", 0, 0xFFFF),
            ("layout_seed", 0, 0xFFFF), ("rows", 0, 255), ("columns", 1, 4095), ("tokens_per_packet", 1, 64),
            ("token_bits", 1, 18),
        ):  # fmt: skip
            _within(name, getattr(self, name), low, high)
        if self.cmi is not None:
            _within("cmi", self.cmi, 0, 4094)
        if self.labels not in LABELS:
            raise ParameterError(f"labels is {self.labels!r}; it must be one of {', '.join(LABELS)}")
        _within("the number of packets", self.n_packets, 1, MAX_PACKETS)
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
        mcs.flags.writeable = False
        object.__setattr__(self, "mcs", mcs)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, BurstHeader) and all(
            np.array_equal(getattr(self, name), getattr(other, name)) for name in self.__dataclass_fields__
        )

    @property
    def grid(self) -> tuple[int, ...]:
        return (self.rows, self.columns) if self.rows else (self.columns,)

    @property
    def identity(self) -> PacketIdentity:
        """What the CRCs of its packets are bound to."""
        return PacketIdentity(self.stream_id, self.frame_id, self.codebook_id)

    @property
    def n_tokens(self) -> int:
        return max(self.rows, 1) * self.columns

    @property
    def n_packets(self) -> int:
        """Packets of the frame, those not sent included."""
        return ceil(self.n_tokens / self.tokens_per_packet)

    @property
    def extension_bytes(self) -> int:
        """Length of the extension; 0: there is none."""
        return self._told[0]["extension_bytes"]

    @property
    def version(self) -> int:
        """Of the air interface: 2 to 4 where version 1 lacks the words."""
        return self._told[0]["version"]

    @property
    def bits(self) -> int:
        """Bits of base and extension, CRCs counted."""
        return sum(len(part) for part in self._bits)

    def to_bits(self) -> tuple[np.ndarray, np.ndarray]:
        """uint8 bits of the base, BASE_BITS of them, and of the extension (none where it is not needed), each with
        its CRC.

        Raises:
            ParameterError: the packets' MCS do not fit in the extension's 255 bytes.
        """
        return tuple(bits.copy() for bits in self._bits)

    @cached_property
    def _bits(self) -> tuple[np.ndarray, np.ndarray]:
        fields, extension = self._told
        return _base_bits(fields), CRC.append(extension[None])[0] if extension.size else extension

    @cached_property
    def _told(self) -> tuple[dict[str, int], np.ndarray]:
        """The base's fields, and the bits of the extension."""
        uniform = (self.mcs == self.mcs[0]).all() and self.mcs[0] < MCS_COUNT
        share = 0 if uniform else _share_of(self.mcs)
        extension = np.zeros(0, np.uint8) if uniform or share else _extension_bits(self.mcs)
        sent = self.mcs[self.mcs != MCS_NOT_SENT]
        plain = not share and (sent < MCS_COUNT_V1).all()
        fields = {
            "version": VERSIONS[0 if plain else 1 + LABELS.index(self.labels)],
            "flags": LABEL_FLAGS[self.labels] if plain else share,
            "stream_id": self.stream_id, "frame_id": self.frame_id, "codebook_id": self.codebook_id,
            "layout_seed": self.layout_seed, "rows": self.rows, "columns": self.columns,
            "tokens_per_packet": self.tokens_per_packet - 1, "token_bits": self.token_bits,
            "cmi": 0 if self.cmi is None else self.cmi + 1,
            "mcs": MCS_IN_EXTENSION if extension.size else int(self.mcs[0]), "extension_bytes": extension.size // 8,
        }  # fmt: skip
        return fields, extension


@dataclass(frozen=True)
class HeaderBase:
    """The base of a header whose CRC holds: its fields as they came, and checked as far as they can be alone."""

    fields: dict[str, int]

    @classmethod
    def from_bits(cls, bits: np.ndarray) -> "HeaderBase":
        """The fields of BASE_BITS bits.

        Raises:
            HeaderError: the CRC fails, the version is unknown, or a field has a value that its version does not.
        """
        if not CRC.check(bits[None])[0]:
            raise HeaderError("crc", "the header's CRC fails")
        text = (bits + ord("0")).astype(np.uint8).tobytes().decode()
        fields, start = {}, 0
        for name, width in FIELDS.items():
            fields[name] = int(text[start : start + width], 2)
            start += width
        if fields["version"] not in VERSIONS:
            known = ", ".join(map(str, VERSIONS))
            raise HeaderError("version", f"the header is of version {fields['version']}; this receiver knows {known}")
        if fields["version"] == 1 and fields["flags"] not in LABEL_FLAGS.values():
            known = ", ".join(f"{flags:05b}" for flags in LABEL_FLAGS.values())
            raise HeaderError("contents", f"the header's flags are {fields['flags']:05b}; version 1 knows {known}")
        base = cls(fields)
        if (fields["mcs"] == MCS_IN_EXTENSION) != (fields["extension_bytes"] > 0):
            raise HeaderError("contents", f"MCS {fields['mcs']} with an extension of {fields['extension_bytes']} bytes")
        if base.extension_bytes:
            base._header(np.zeros(base._n_packets, np.uint8))
        # A receiver rebuilds the header's waveform from its contents, so that there may be but one.
        elif base._whole._told[0] != fields:
            raise HeaderError("contents", "the header is not the simplest that says the same")
        return base

    @property
    def extension_bytes(self) -> int:
        """Length of the extension; 0: there is none."""
        return self.fields["extension_bytes"]

    def header(self, extension: np.ndarray | None = None) -> BurstHeader:
        """The header, with the bits of its extension (and their CRC) where there is one.

        Raises:
            HeaderError: the extension's CRC fails, or it does not name the MCS of every packet in the shortest way.
        """
        if not self.extension_bytes:
            return self._whole
        if extension is None or not CRC.check(extension[None])[0]:
            raise HeaderError("crc", "the header extension's CRC fails")
        header = self._header(_mcs_of_extension(extension[: -CRC.width], self._n_packets))
        if not all(map(np.array_equal, header.to_bits(), (_base_bits(self.fields), extension))):
            raise HeaderError("contents", "the header extension is not the shortest that says the same")
        return header

    @cached_property
    def _whole(self) -> BurstHeader:
        """The header, where the base is all of it."""
        return self._header(self._mcs())

    @property
    def _n_packets(self) -> int:
        tokens = max(self.fields["rows"], 1) * self.fields["columns"]
        packets = ceil(tokens / (self.fields["tokens_per_packet"] + 1))
        if not 1 <= packets <= MAX_PACKETS:
            raise HeaderError("contents", f"the header claims {packets} packets; a burst has 1 to {MAX_PACKETS}")
        return packets

    def _mcs(self) -> np.ndarray:
        """The MCS of every packet where the base tells it."""
        first = self.fields["mcs"]
        if first >= MCS_COUNT:
            raise HeaderError("contents", f"the header names MCS {first}; there are 0 to {MCS_COUNT - 1}")
        return two_groups(first, self.fields["flags"] if self.fields["version"] > 1 else 0, self._n_packets)

    def _header(self, mcs: np.ndarray) -> BurstHeader:
        own = ("version", "flags", "mcs", "extension_bytes")
        values = {name: value for name, value in self.fields.items() if name not in own}
        values["tokens_per_packet"] += 1
        values["cmi"] = values["cmi"] - 1 if values["cmi"] else None
        version, flags = self.fields["version"], self.fields["flags"]
        of_flags = {value: name for name, value in LABEL_FLAGS.items()}
        labels = of_flags[flags] if version == 1 else LABELS[VERSIONS.index(version) - 1]
        try:
            return BurstHeader(**values, mcs=mcs, labels=labels)
        except ParameterError as error:
            raise HeaderError("contents", f"absurd header: {error}") from None


def _base_bits(fields: dict[str, int]) -> np.ndarray:
    """uint8 (BASE_BITS,) of the base's fields, with their CRC."""
    text = "".join(f"{int(fields[name]):0{width}b}" for name, width in FIELDS.items())
    return CRC.append(np.frombuffer(text.encode(), np.uint8)[None] - ord("0"))[0]


def two_groups(first: int, share: int, n_packets: int) -> np.ndarray:
    """uint8 (n_packets,): the MCS of every packet as version 2 tells it without an extension.

    Args:
        first: MCS of the first group, 0 to MCS_COUNT - 1.
        share: its share of the packets in parts of SHARES, rounded down to whole packets; 0: all are of that MCS.
        n_packets: packets of the frame.
    """
    mcs = np.full(n_packets, first, np.uint8)
    if share:
        mcs[n_packets * share // SHARES :] = LIGHTER[first]
    return mcs


def _share_of(mcs: np.ndarray) -> int:
    """The smallest share that makes `two_groups` say these MCS; 0 where none does."""
    first, n_packets = int(mcs[0]), len(mcs)
    if first == MCS_NOT_SENT:
        return 0
    length = int(np.argmin(mcs == first))
    share = -(-length * SHARES // n_packets)
    return share if share < SHARES and np.array_equal(two_groups(first, share, n_packets), mcs) else 0


def extension_length(n_bytes: int) -> int:
    """Bits of an extension of so many bytes, CRC included."""
    return n_bytes * 8 + CRC.width if n_bytes else 0


def _within(name: str, value: int, low: int, high: int) -> None:
    if not low <= value <= high:
        raise ParameterError(f"{name} is {value}; it must be {low} to {high}")


def _extension_bits(mcs: np.ndarray) -> np.ndarray:
    """The shorter of both forms, in nibbles, filled up to whole bytes."""
    starts = np.flatnonzero(np.r_[True, mcs[1:] != mcs[:-1]])
    runs = []
    for value, length in zip(mcs[starts], np.diff(np.r_[starts, len(mcs)]), strict=True):
        for first in range(0, length, LONGEST_RUN):
            run = min(LONGEST_RUN, length - first) - 1
            runs += [value, run >> 4, run & 15]
    nibbles = min([RAW, *mcs], [RUNS, *runs], key=len)
    nibbles += [0] * (len(nibbles) % 2)
    if len(nibbles) > 2 * 255:
        raise ParameterError(
            f"the MCS of {len(mcs)} packets take {len(nibbles) // 2} bytes, a header extension has 255; use fewer "
            "changes of MCS or more tokens a packet"
        )
    return tokens_to_bits(np.array(nibbles), 4)


def _mcs_of_extension(bits: np.ndarray, n_packets: int) -> np.ndarray:
    form, *nibbles = bits_to_tokens(bits, 4).tolist()
    if form == RAW:
        used, mcs = n_packets, nibbles[:n_packets]
    elif form == RUNS:
        mcs, used = [], 0
        while len(mcs) < n_packets and used + 3 <= len(nibbles):
            value, high, low = nibbles[used : used + 3]
            mcs += [value] * (16 * high + low + 1)
            used += 3
    else:
        raise HeaderError("contents", f"the header extension is of form {form}; there are {RAW} and {RUNS}")
    if len(mcs) != n_packets or any(nibbles[used:]) or len(nibbles) - used > 1:
        raise HeaderError("contents", f"the header extension does not name the MCS of {n_packets} packets")
    return np.array(mcs, np.uint8)
