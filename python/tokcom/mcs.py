"""Modulation and coding schemes (MCS) of the air interface, as rows of a table."""

from dataclasses import dataclass
from functools import cache, lru_cache

import numpy as np

from tokcom.coding.packet_codec import PacketCodec
from tokcom.errors import ParameterError
from tokcom.modulation.constellation import Constellation
from tokcom.tables import load_table

CODE = "k7"
"""Mother code of all MCS."""
PAYLOAD_BITS = (10, 20, 40, 80, 160, 320, 640)
"""Packet sizes whose thresholds the table holds, in bits of tokens; the CRC-16 comes on top. Other sizes are
interpolated linearly over the logarithm of the size."""
LISTED_BITS = (16, 32, 64, 128, 256, 512)
"""The same for packets of bits, which receivers list-decode with their CRC (`link.bit_packets`)."""
USUAL_BITS = 40
"""Bits per packet of four tokens of 1024 words."""


@dataclass(frozen=True)
class Mcs:
    """MCS: a constellation and a rate of the mother code.

    Attributes:
        name: name, e.g. "16qam-1/2".
        index: number in the burst header.
        modulation: row of modulation/constellations.json.
        rate: row of coding/punctures.json.
        per10_by_size: Es/N0 in dB at which 10% of packets fail in AWGN, for each size in PAYLOAD_BITS.
        per1_by_size: the same for 1%.
        listed10_by_size: the same as `per10_by_size` if packets are list-decoded, for each size in LISTED_BITS.
        listed1_by_size: the same for 1%.
        eesm_beta_db: beta of the exponential effective SNR mapping (`cqi.effective_esn0_db`) in dB.
    """

    name: str
    index: int
    modulation: str
    rate: str
    per10_by_size: tuple[float, ...]
    per1_by_size: tuple[float, ...]
    listed10_by_size: tuple[float, ...]
    listed1_by_size: tuple[float, ...]
    eesm_beta_db: float

    @property
    def per10_esn0_db(self) -> float:
        """Es/N0 in dB at which 10% of packets of 40 bits fail in AWGN."""
        return self.thresholds_db(USUAL_BITS)[0]

    @property
    def per1_esn0_db(self) -> float:
        """The same for 1%."""
        return self.thresholds_db(USUAL_BITS)[1]

    def thresholds_db(self, payload_bits: int, listed: bool = False) -> tuple[float, float]:
        """Compute the Es/N0 in dB at which 10% and 1% of packets fail in AWGN.

        Args:
            payload_bits: bits per packet, the CRC-16 not included.
            listed: packets of bits, list-decoded with their CRC; otherwise, the Viterbi decoder's packets.
        """
        sizes = LISTED_BITS if listed else PAYLOAD_BITS
        rows = (self.listed10_by_size, self.listed1_by_size) if listed else (self.per10_by_size, self.per1_by_size)
        place = np.log2(payload_bits / sizes[0])
        below = int(np.clip(np.floor(place), 0, len(sizes) - 2))
        per10, per1 = (float(row[below] + (place - below) * (row[below + 1] - row[below])) for row in rows)
        return per10, per1

    def constellation(self) -> Constellation:
        """Constellation, in the mother code's bit order."""
        return _constellation(self.modulation)

    def codec(self, codebook_size: int, tokens_per_packet: int, tag_bits: int = 0) -> PacketCodec:
        """Code of this MCS for packets of a codebook's tokens with a CRC, or with a tag of `tag_bits` bits."""
        return _codec(codebook_size, tokens_per_packet, self.rate, tag_bits)

    def symbols(self, codebook_size: int, tokens_per_packet: int, tag_bits: int = 0) -> int:
        """Symbols of one packet."""
        return self.constellation().symbols_for(self.codec(codebook_size, tokens_per_packet, tag_bits).coded_length)


@cache
def mcs_table() -> tuple[Mcs, ...]:
    """Load all MCS, by index.

    Raises:
        ParameterError: the table's indices are not 0, 1, 2 …, or a row lacks a packet size.
    """
    rows = tuple(_row(name, row) for name, row in load_table("tokcom", "mcs").items())
    if [row.index for row in rows] != list(range(len(rows))):
        raise ParameterError(f"the MCS table's indices are {[row.index for row in rows]}; they must count from 0")
    return rows


def _row(name: str, row: dict) -> Mcs:
    sizes = dict.fromkeys(("per10_by_size", "per1_by_size"), PAYLOAD_BITS)
    sizes |= dict.fromkeys(("listed10_by_size", "listed1_by_size"), LISTED_BITS)
    for key, own in sizes.items():
        if len(row[key]) != len(own):
            raise ParameterError(f"MCS {name}: {key} has {len(row[key])} values; there are {len(own)} packet sizes")
    return Mcs(name, **row | {key: tuple(row[key]) for key in sizes})


def find_mcs(key: str | int) -> Mcs:
    """Look up an MCS by its name or index.

    Raises:
        ParameterError: the MCS does not exist.
    """
    for row in mcs_table():
        if str(key) in (row.name, str(row.index)):
            return row
    raise ParameterError(f"mcs is {key!r}; it must be 0 to {len(mcs_table()) - 1} or one of {_names()}")


def mother_codec(codebook_size: int, tokens_per_packet: int, tag_bits: int = 0) -> PacketCodec:
    """The code that all schemes have in common, with none of its bits punctured."""
    return _codec(codebook_size, tokens_per_packet, "1/2", tag_bits)


def _names() -> str:
    return ", ".join(row.name for row in mcs_table())


@cache
def _constellation(modulation: str) -> Constellation:
    return Constellation(modulation, "ieee802.11")


@lru_cache(maxsize=256)
def _codec(codebook_size: int, tokens_per_packet: int, rate: str, tag_bits: int) -> PacketCodec:
    return PacketCodec(CODE, codebook_size, tokens_per_packet, rate, tag_bits)
