"""Dimensions and fixed sequences of the waveform (docs/air-interface.md): OFDM with 64 carriers, 52 of them in use."""

import numpy as np

FFT_SIZE = 64
CYCLIC_PREFIX = 16
SYMBOL_LENGTH = FFT_SIZE + CYCLIC_PREFIX
CARRIERS = np.array([k for k in range(-26, 27) if k])
"""Carriers in use, in ascending order of frequency."""
PILOT_SPACING = 13
PILOT_STEP = 5
PILOT_PLACES = (PILOT_STEP * np.arange(PILOT_SPACING)[:, None]) % PILOT_SPACING + PILOT_SPACING * np.arange(4)
"""Positions among CARRIERS of the pilots of OFDM symbol t, in row t modulo 13, int64 (13, 4). They visit every carrier
once in 13 symbols, so that a changing channel of any delay within the prefix can be tracked."""
DATA_PLACES = np.array([np.setdiff1d(np.arange(len(CARRIERS)), places) for places in PILOT_PLACES])
"""Positions of the data cells, int64 (13, 48)."""
N_DATA = DATA_PLACES.shape[1]
IDLE_CARRIERS = np.array([k for k in range(-32, 32) if abs(k) > 28])
"""Empty carriers, without DC and those next to the carriers in use: they receive only noise."""
ESN0_OVER_SNR_DB = float(10 * np.log10(FFT_SIZE / len(CARRIERS)))
"""Es/N0 of a carrier over the signal-to-noise ratio of samples: 52 of 64 carriers hold the signal, all hold noise."""
SHORT_PERIOD = 16
MAX_PAYLOAD_SYMBOLS = 2048
"""Largest number of OFDM symbols of token packets per burst, limited by the receiver's memory and by the drift of a
clock 20 ppm off."""

SHORT_SEQUENCE = {-24: 1, -20: -1, -16: 1, -12: -1, -8: -1, -4: 1, 4: -1, 8: -1, 12: 1, 16: 1, 20: 1, 24: 1}
LONG_SEQUENCES = {
    "ieee802.11": "++--++-+-++++++--++-+-++++" + "+--++-+-+-----++--+-+-++++",
    "robust": "-+-++-++-+++---+++++-+++---+-+----+-++--+--++++-+++-",
}
"""Signs of the long training symbol on CARRIERS."""


def time_domain(values: np.ndarray, carriers: np.ndarray) -> np.ndarray:
    """Convert values (..., carriers) to samples, complex128 (..., 64), by an inverse DFT that gives unit mean power if
    52 carriers have unit power."""
    spectrum = np.zeros((*values.shape[:-1], FFT_SIZE), np.complex128)
    spectrum[..., carriers] = values
    return np.fft.ifft(spectrum) * FFT_SIZE / np.sqrt(len(CARRIERS))


def short_symbol() -> np.ndarray:
    """Compute one period of the short training, of unit mean power, complex64 (16,)."""
    carriers, signs = np.array(list(SHORT_SEQUENCE)), np.array(list(SHORT_SEQUENCE.values()))
    boost = np.sqrt(len(CARRIERS) / len(carriers) / 2)
    return time_domain(signs * (1 + 1j) * boost, carriers)[:SHORT_PERIOD].astype(np.complex64)


def long_values(sequence: str) -> np.ndarray:
    """Return the values +-1 of the long training symbol on CARRIERS, float64 (52,)."""
    return np.array([1.0 if sign == "+" else -1.0 for sign in LONG_SEQUENCES[sequence]])


def pseudo_random_bits(count: int) -> np.ndarray:
    """Generate the sequence of the shift register x**15 + x**14 + 1 (the polynomial of ETSI EN 300 429), initialised
    with ones, uint8 (count,)."""
    return np.resize(_REGISTER_PERIOD, count)


def _register_period() -> np.ndarray:
    bits = np.ones((1 << 15) - 1 + 15, np.uint8)
    for i in range(15, len(bits)):
        bits[i] = bits[i - 15] ^ bits[i - 14]
    return bits[: (1 << 15) - 1]


_REGISTER_PERIOD = _register_period()
