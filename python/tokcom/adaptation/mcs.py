"""The modulation and coding schemes (MCS) of the air interface: a table of data, one row each."""

from dataclasses import dataclass
from functools import cache, lru_cache

from tokcom.coding.packet_codec import PacketCodec
from tokcom.errors import ParameterError
from tokcom.modulation.constellation import Constellation
from tokcom.tables import load_table

CODE = "k7"
"""The mother code of all of them."""


@dataclass(frozen=True)
class Mcs:
    """A constellation and a rate of the mother code.

    Attributes:
        name: e.g. "16qam-1/2".
        index: its number in the burst header.
        modulation: row of modulation/constellations.json.
        rate: row of coding/punctures.json.
        per10_esn0_db: Es/N0 in dB at which 10% of packets of 56 bits (40 and CRC-16) fail in AWGN.
        per1_esn0_db: the same for 1%.
        eesm_beta_db: beta of the exponential effective SNR mapping (`cqi.effective_esn0_db`) in dB.
    """

    name: str
    index: int
    modulation: str
    rate: str
    per10_esn0_db: float
    per1_esn0_db: float
    eesm_beta_db: float

    def constellation(self) -> Constellation:
        """Its constellation, in the mother code's bit order."""
        return _constellation(self.modulation)

    def codec(self, codebook_size: int, tokens_per_packet: int) -> PacketCodec:
        """Its code, for packets of a codebook's tokens."""
        return _codec(codebook_size, tokens_per_packet, self.rate)

    def symbols(self, codebook_size: int, tokens_per_packet: int) -> int:
        """Symbols of one packet."""
        return self.constellation().symbols_for(self.codec(codebook_size, tokens_per_packet).coded_length)


@cache
def mcs_table() -> tuple[Mcs, ...]:
    """All schemes, by index.

    Raises:
        ParameterError: the table's indices are not 0, 1, 2 …
    """
    rows = tuple(Mcs(name, **row) for name, row in load_table("tokcom.adaptation", "mcs").items())
    if [row.index for row in rows] != list(range(len(rows))):
        raise ParameterError(f"the MCS table's indices are {[row.index for row in rows]}; they must count from 0")
    return rows


def find_mcs(key: str | int) -> Mcs:
    """A scheme by its name or index.

    Raises:
        ParameterError: there is no such scheme.
    """
    for row in mcs_table():
        if str(key) in (row.name, str(row.index)):
            return row
    raise ParameterError(f"mcs is {key!r}; it must be 0 to {len(mcs_table()) - 1} or one of {_names()}")


def _names() -> str:
    return ", ".join(row.name for row in mcs_table())


@cache
def _constellation(modulation: str) -> Constellation:
    return Constellation(modulation, "ieee802.11")


@lru_cache(maxsize=256)
def _codec(codebook_size: int, tokens_per_packet: int, rate: str) -> PacketCodec:
    return PacketCodec(CODE, codebook_size, tokens_per_packet, rate)
