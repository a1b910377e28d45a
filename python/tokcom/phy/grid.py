"""Grid of carriers by OFDM symbols: placement and rotation of values, and conversion to samples and back."""

from functools import lru_cache
from math import ceil, gcd

import numpy as np

from tokcom.kernels import kernel
from tokcom.phy.numerology import (
    CARRIERS,
    CYCLIC_PREFIX,
    DATA_PLACES,
    FFT_SIZE,
    N_DATA,
    PILOT_PLACES,
    PILOT_SPACING,
    SYMBOL_LENGTH,
    pseudo_random_bits,
)  # fmt: skip
from tokcom.scientific import fft

CARRIER_STEP = 13
"""Data carriers, modulo 48, from one value of a packet to the next: 48 consecutive values use every carrier once, and
any two fewer than 11 positions apart are at least 4 carriers apart."""
GOLDEN = (np.sqrt(5) - 1) / 2
PILOT_OFFSET = 8192
"""Start of the pilots in the pseudo-random sequence, whose first bits are far from random."""
FILLER = np.complex64(np.sqrt(0.5) * (1 + 1j))
"""Value of cells that carry no data."""


@lru_cache(maxsize=64)
def interleaving(n_symbols: int) -> np.ndarray:
    """Compute the cell of each value, int64 (n_symbols * 48,), cells counted carrier by carrier, symbol by symbol.
    Value i sits in cell i * step modulo the number of cells, where the step is CARRIER_STEP more than a multiple of 48
    near the golden section: a packet is spread over all carriers and over the length of the burst.
    """
    cells = n_symbols * N_DATA
    base = round(GOLDEN * n_symbols)
    # The symbol count nearest to the golden section whose step visits every cell.
    for offset in sorted(range(-n_symbols, n_symbols + 1), key=lambda o: (abs(o), o)):
        step = (base + offset) * N_DATA + CARRIER_STEP
        if step > 0 and gcd(step, cells) == 1:
            break
    return _kept(np.arange(cells, dtype=np.int64) * step % cells)


@lru_cache(maxsize=64)
def rotation(n_symbols: int) -> np.ndarray:
    """Compute the rotation of each cell, complex64 (n_symbols, 48): powers of j that keep the waveform noise-like
    whatever the data; two bits of the pseudo-random sequence, most significant first, per cell in order."""
    bits = pseudo_random_bits(2 * n_symbols * N_DATA).reshape(-1, 2)
    quarters = 2 * bits[:, 0] + bits[:, 1]
    return _kept(np.array([1, 1j, -1, -1j], np.complex64)[quarters].reshape(n_symbols, N_DATA))


@lru_cache(maxsize=64)
def pilots(n_symbols: int) -> np.ndarray:
    """Compute the pilots, float32 (n_symbols, 4): +-1 in ascending order of carriers, -1 where the pseudo-random
    sequence is 1, from its bit PILOT_OFFSET on, so that every symbol's pilots are distinct."""
    bits = pseudo_random_bits(PILOT_OFFSET + 4 * n_symbols)[PILOT_OFFSET:]
    return _kept((1 - 2.0 * bits.reshape(n_symbols, 4)).astype(np.float32))


def _kept(array: np.ndarray) -> np.ndarray:
    """Mark an array as read-only: it is cached and shared."""
    array.flags.writeable = False
    return array


def symbols_for(n_values: int) -> int:
    """Count the OFDM symbols that carry n_values values."""
    return ceil(n_values / N_DATA)


def spread(values: np.ndarray) -> np.ndarray:
    """Interleave and rotate values (n,) to cells, complex64 (n_symbols, 48); unused cells hold FILLER."""
    n_symbols = symbols_for(values.size)
    cells = np.full(n_symbols * N_DATA, FILLER, np.complex64)
    cells[interleaving(n_symbols)[: values.size]] = values
    return cells.reshape(n_symbols, N_DATA) * rotation(n_symbols)


def gather(cells: np.ndarray, n_values: int) -> np.ndarray:
    """Extract the values (n_values,) from cells (n_symbols, 48): the inverse of `spread`."""
    turned_back = cells * rotation(len(cells)).conj()
    return turned_back.ravel()[interleaving(len(cells))[:n_values]]


@lru_cache(maxsize=64)
def data_places(n_symbols: int) -> np.ndarray:
    """Compute the positions among CARRIERS, int64 (n_symbols, 48), of the data cells of a burst's OFDM symbols, from
    the header's first one on."""
    return _kept(DATA_PLACES[np.arange(n_symbols) % PILOT_SPACING])


@lru_cache(maxsize=64)
def pilot_places(n_symbols: int) -> np.ndarray:
    """Compute the positions among CARRIERS, int64 (n_symbols, 4), of the pilots of a burst's OFDM symbols."""
    return _kept(PILOT_PLACES[np.arange(n_symbols) % PILOT_SPACING])


def ofdm_symbols(cells: np.ndarray) -> np.ndarray:
    """Modulate a burst's data cells (n_symbols, 48), from the header's first symbol on, with pilots, to complex64
    samples (n_symbols * 80,) of unit mean power."""
    n_symbols = len(cells)
    spectrum = np.zeros((n_symbols, FFT_SIZE), np.complex64)
    rows = np.arange(n_symbols)[:, None]
    spectrum[rows, CARRIERS[data_places(n_symbols)]] = cells
    spectrum[rows, CARRIERS[pilot_places(n_symbols)]] = pilots(n_symbols)
    out = np.empty((len(cells), SYMBOL_LENGTH), np.complex64)
    spectrum *= np.float32(FFT_SIZE / np.sqrt(len(CARRIERS)))
    out[:, CYCLIC_PREFIX:] = fft.ifft(spectrum, axis=1, overwrite_x=True)
    out[:, :CYCLIC_PREFIX] = out[:, FFT_SIZE:]
    return out.ravel()


def carriers_of(samples: np.ndarray, starts: np.ndarray, frequency: float) -> np.ndarray:
    """Compute spectra, complex64 (n, 64), of the 64 samples from each start, corrected for a frequency offset and
    scaled so that the noise power per carrier equals that per sample.

    A window that reaches beyond the end of the samples begins within its cyclic prefix instead.
    """
    over = np.maximum(starts + FFT_SIZE - len(samples), 0)
    windows = np.empty((len(starts), FFT_SIZE), np.complex64)
    _derotated_windows(samples, starts - over, frequency, windows)
    spectrum = fft.fft(windows, axis=1, overwrite_x=True)
    spectrum *= np.float32(1 / np.sqrt(FFT_SIZE))
    if over.any():
        spectrum *= np.exp(2j * np.pi / FFT_SIZE * np.outer(over, np.arange(FFT_SIZE))).astype(np.complex64)
    return spectrum


@kernel
def _derotated_windows(samples, starts, frequency, out):
    turn = np.empty(out.shape[1], np.complex64)
    for k in range(out.shape[1]):
        turn[k] = np.exp(-1j * frequency * k)
    for i in range(starts.shape[0]):
        first = np.complex64(np.exp(-1j * frequency * starts[i]))
        for k in range(out.shape[1]):
            out[i, k] = samples[starts[i] + k] * (first * turn[k])
