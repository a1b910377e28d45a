"""Bursts: preamble · header · token packets, as samples of unit mean power."""

from dataclasses import dataclass
from functools import lru_cache

import numpy as np

from tokcom.errors import BurstError, HeaderError
from tokcom.mcs import mcs_table
from tokcom.packets.header import MAX_EXTENSION_SYMBOLS, BurstHeader
from tokcom.packets.mcs_map import MCS_NOT_SENT
from tokcom.phy import grid
from tokcom.phy.header_codec import header_cells, header_symbols
from tokcom.phy.numerology import CYCLIC_PREFIX, MAX_PAYLOAD_SYMBOLS, SYMBOL_LENGTH
from tokcom.phy.profile import Profile


@dataclass(frozen=True)
class BurstPlan:
    """Where everything is in a burst.

    Attributes:
        header_symbols: OFDM symbols of the header with its extension.
        payload_symbols: OFDM symbols of the token packets.
        payload_values: constellation symbols of the token packets.
        length: samples of the whole burst.
    """

    header_symbols: int
    payload_symbols: int
    payload_values: int
    length: int


def packet_symbols(header: BurstHeader) -> np.ndarray:
    """int64 (n_packets,): constellation symbols of each packet; 0 for those not sent."""
    return _symbols_by_mcs(header.token_bits, header.tokens_per_packet)[header.mcs]


@lru_cache(maxsize=64)
def _symbols_by_mcs(token_bits: int, tokens_per_packet: int) -> np.ndarray:
    sizes = np.zeros(MCS_NOT_SENT + 1, np.int64)
    for row in mcs_table():
        sizes[row.index] = row.symbols(1 << token_bits, tokens_per_packet)
    return sizes


def plan_burst(header: BurstHeader, profile: Profile) -> BurstPlan:
    """The plan of the burst that a header announces.

    Raises:
        HeaderError: it is longer than a burst may be.
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
    """Samples of the longest burst of a profile."""
    symbols = header_symbols(profile, MAX_EXTENSION_SYMBOLS) + MAX_PAYLOAD_SYMBOLS
    return profile.preamble_length + symbols * SYMBOL_LENGTH


def modulate(header: BurstHeader, symbols: np.ndarray, profile: Profile) -> np.ndarray:
    """complex64 samples of a burst.

    Args:
        header: what the burst holds.
        symbols: complex64 (n,), constellation symbols of all packets in order.
        profile: length of preamble and header.

    Raises:
        BurstError: the symbols are not as many as the header announces, or the burst would be too long.
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
    """Index of the first header symbol's 64 samples, where `long_start` is the index of the first long symbol's."""
    return long_start + profile.preamble_length - profile.long_start + CYCLIC_PREFIX
