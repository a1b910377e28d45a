"""Bursts: preamble, header and token packets, as samples of unit mean power."""

from dataclasses import dataclass
from functools import lru_cache

import numpy as np

from tokcom.errors import BurstError, HeaderError
from tokcom.mcs import mcs_table
from tokcom.packets.header import BurstHeader
from tokcom.packets.header_fields import MAX_EXTENSION_SYMBOLS
from tokcom.packets.mcs_map import MCS_NOT_SENT
from tokcom.phy import grid
from tokcom.phy.header_codec import header_cells, header_symbols
from tokcom.phy.numerology import CYCLIC_PREFIX, MAX_PAYLOAD_SYMBOLS, SYMBOL_LENGTH
from tokcom.phy.profile import Profile


@dataclass(frozen=True)
class BurstPlan:
    """Layout of a burst.

    Attributes:
        header_symbols: OFDM symbols of the header with its extension.
        payload_symbols: OFDM symbols of the token packets.
        payload_values: constellation symbols of the token packets.
        length: length of the whole burst in samples.
    """

    header_symbols: int
    payload_symbols: int
    payload_values: int
    length: int


def packet_symbols(header: BurstHeader) -> np.ndarray:
    """Count the constellation symbols of each packet, int64 (n_packets,); 0 for packets not sent."""
    return _symbols_by_mcs(header.token_bits, header.tokens_per_packet, header.tag_bits)[header.mcs]


@lru_cache(maxsize=64)
def _symbols_by_mcs(token_bits: int, tokens_per_packet: int, tag_bits: int) -> np.ndarray:
    sizes = np.zeros(MCS_NOT_SENT + 1, np.int64)
    for row in mcs_table():
        sizes[row.index] = row.symbols(1 << token_bits, tokens_per_packet, tag_bits)
    return sizes


def plan_burst(header: BurstHeader, profile: Profile) -> BurstPlan:
    """Compute the layout of the burst that a header announces.

    Raises:
        HeaderError: the burst would be too long.
    """
    values = int(packet_symbols(header).sum())
    payload = grid.symbols_for(values)
    if payload > MAX_PAYLOAD_SYMBOLS:
        raise HeaderError(
            "contents",
            f"{header.n_packets} packets take {payload} OFDM symbols; a burst has at most {MAX_PAYLOAD_SYMBOLS}: send "
            "a smaller frame, or a faster MCS",
        )
    symbols = header_symbols(profile, header.extension_symbols)
    return BurstPlan(symbols, payload, values, profile.preamble_length + (symbols + payload) * SYMBOL_LENGTH)


def longest_burst(profile: Profile) -> int:
    """Return the length in samples of a profile's longest burst."""
    symbols = header_symbols(profile, MAX_EXTENSION_SYMBOLS) + MAX_PAYLOAD_SYMBOLS
    return profile.preamble_length + symbols * SYMBOL_LENGTH


def modulate(header: BurstHeader, symbols: np.ndarray, profile: Profile) -> np.ndarray:
    """Modulate a burst to complex64 samples.

    Args:
        header: header of the burst.
        symbols: complex64 (n,), constellation symbols of all packets in order.
        profile: profile of preamble and header.

    Raises:
        BurstError: the number of symbols is not the one that the header announces, or the burst would be too long.
    """
    try:
        plan = plan_burst(header, profile)
    except HeaderError as error:
        raise BurstError(str(error)) from None
    if symbols.shape != (plan.payload_values,):
        raise BurstError(f"symbols have shape {symbols.shape}; the header announces {plan.payload_values}")
    cells = np.concatenate([header_cells(header, profile), grid.spread(symbols)])
    return np.concatenate([profile.preamble, grid.ofdm_symbols(cells)])


def first_symbol_start(long_start: int, profile: Profile) -> int:
    """Return the index of the first header symbol's window, given that of the first long symbol's, `long_start`."""
    return long_start + profile.preamble_length - profile.long_start + CYCLIC_PREFIX
