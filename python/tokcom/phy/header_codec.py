"""Coding of the burst header: rate 1/3, BPSK, repeated in the robust profile."""

from functools import lru_cache

import numpy as np

from tokcom.coding.convolutional import ConvolutionalCode
from tokcom.coding.viterbi import viterbi
from tokcom.errors import HeaderError
from tokcom.packets.header import BurstHeader
from tokcom.packets.header_base import HeaderBase
from tokcom.packets.header_fields import BASE_BITS, extension_length
from tokcom.phy import grid
from tokcom.phy.numerology import N_DATA
from tokcom.phy.profile import Profile

CODE = ConvolutionalCode(7, (0o133, 0o171, 0o165))
"""K=7, rate 1/3 (3GPP TS 36.212, 5.1.3.1), here terminated: the packets' code with one more output."""
BASE_SYMBOLS = grid.symbols_for(CODE.coded_length(BASE_BITS))


def base_symbols(profile: Profile) -> int:
    """Count the OFDM symbols of the header's base, in all copies."""
    return BASE_SYMBOLS * profile.header_copies


def header_symbols(profile: Profile, extension: int) -> int:
    """Count the OFDM symbols of a header with `extension` symbols of extension, in all copies of both."""
    return (BASE_SYMBOLS + extension) * profile.header_copies


def encode_header(header: BurstHeader, profile: Profile) -> tuple[np.ndarray, np.ndarray]:
    """Encode base and extension to BPSK values, complex64 (copies, n) each; n is 0 without an extension."""
    return tuple(_values(bits, profile.header_copies) for bits in header.to_bits())


def header_cells(header: BurstHeader, profile: Profile) -> np.ndarray:
    """Encode a header with its extension to cells, complex64 (n_symbols, 48)."""
    return np.concatenate([_cells(values[0], len(values)) for values in encode_header(header, profile)])


def decode_base(cells: np.ndarray, profile: Profile) -> HeaderBase:
    """Decode the header's base.

    Args:
        cells: complex (base_symbols, 48), weighted so that their real parts, derotated, are proportional to the bits'
            LLRs.
        profile: profile of the preamble.

    Raises:
        HeaderError: the header is invalid.
    """
    return HeaderBase.from_bits(_bits(cells, BASE_BITS, profile.header_copies))


def decode_extension(cells: np.ndarray, base: HeaderBase, profile: Profile) -> BurstHeader:
    """Decode the extension from its cells and return the whole header.

    Raises:
        HeaderError: the header is invalid.
    """
    return base.header(_bits(cells, extension_length(base.extension_symbols), profile.header_copies))


def _values(bits: np.ndarray, copies: int) -> np.ndarray:
    if not bits.size:
        return np.zeros((copies, 0), np.complex64)
    coded = 2.0 * CODE.encode(bits[None])[0] - 1
    return np.repeat(coded[None].astype(np.complex64), copies, axis=0)


def _cells(values: np.ndarray, copies: int) -> np.ndarray:
    """Map values (copies, n) to cells, complex64 (n_symbols, 48)."""
    if not values.size:
        return np.zeros((0, N_DATA), np.complex64)
    padded = np.ones(grid.symbols_for(len(values)) * N_DATA, np.complex64)
    padded[: len(values)] = values
    cells = np.empty(copies * len(padded), np.complex64)
    cells[_places(len(padded), copies)] = padded
    cells = cells.reshape(-1, N_DATA)
    return cells * grid.rotation(len(cells))


@lru_cache(maxsize=16)
def _places(n_values: int, copies: int) -> np.ndarray:
    """Compute the cell of each value, int64 (copies, n_values). Copies follow one another in a common interleaving, so
    that no bit uses a carrier twice."""
    rows = grid.interleaving(copies * n_values // N_DATA).reshape(copies, n_values)
    return np.stack([np.roll(row, 5 * copy) for copy, row in enumerate(rows)])


def _bits(cells: np.ndarray, n_bits: int, copies: int) -> np.ndarray:
    n_values = CODE.coded_length(n_bits)
    n_symbols = grid.symbols_for(n_values)
    if len(cells) != n_symbols * copies:
        raise HeaderError("crc", f"{len(cells)} OFDM symbols do not hold a header part of {n_bits} bits")
    turns = grid.rotation(len(cells))
    straight = cells.real * turns.real + cells.imag * turns.imag
    llrs = straight.ravel()[_places(n_symbols * N_DATA, copies)].sum(axis=0)[:n_values]
    return viterbi(CODE, llrs[None], n_bits)[0]
