"""Layout of a burst that several transmitters send at once.

training (4 repetitions) · 3 pilot symbols · header · payload with a pilot symbol after every 15 symbols and at its end

Transmitters are told apart by their port. In training, pilots and header each port has a quarter of the carriers, with
four times the energy per carrier, and moves to another quarter from symbol to symbol; in the payload every transmitter
uses all of them.
"""

from dataclasses import dataclass
from functools import cached_property, lru_cache
from math import ceil

import numpy as np

from tokcom.errors import ParameterError
from tokcom.multiple_access.codebook import ModulationCodebook
from tokcom.phy.numerology import CARRIERS, CYCLIC_PREFIX, FFT_SIZE, SYMBOL_LENGTH, pseudo_random_bits

PORTS = 4
PORT_CARRIERS = len(CARRIERS) // PORTS
PORT_BOOST = np.float32(np.sqrt(PORTS))
"""Amplitude of a carrier where a port has a quarter of them."""
REPETITIONS = 4
TRAINING_GUARD = 2 * CYCLIC_PREFIX
TRAINING_LENGTH = TRAINING_GUARD + REPETITIONS * FFT_SIZE
FIRST_PILOTS = PORTS - 1
"""With the training, they show every carrier of every port."""
HEADER_SYMBOLS = 7
PILOT_EVERY = 15
MAX_SLOTS = 4096
TURNS_SEED = 11
SIGN_OFFSET, RAKE_OFFSET = 3000, 5000
"""Start of the pilots' signs and of the ports' order in the pseudo-random sequence."""


@dataclass(frozen=True)
class MultiUserPlan:
    """Parameters that transmitters and receiver agree upon.

    Args:
        codebook: of modulation vectors.
        n_slots: tokens per burst, 1 to 4096; the same for every transmitter.

        rotated: each port turns the symbols of its tokens by quarters of its own, so that tokens are told apart where
            channels are alike. Otherwise channels and context alone tell transmitters apart, as in ToDMA.

    Raises:
        ParameterError: a parameter is out of its range.
    """

    codebook: ModulationCodebook
    n_slots: int = 256
    rotated: bool = False

    def __post_init__(self) -> None:
        if not 1 <= self.n_slots <= MAX_SLOTS:
            raise ParameterError(f"n_slots is {self.n_slots}; it must be 1 to {MAX_SLOTS}")

    @cached_property
    def payload_symbols(self) -> int:
        """OFDM symbols of the payload, pilots not counted."""
        return ceil(self.n_slots * self.codebook.length / len(CARRIERS))

    @cached_property
    def n_symbols(self) -> int:
        """OFDM symbols after the training."""
        return FIRST_PILOTS + HEADER_SYMBOLS + self.payload_symbols + ceil(self.payload_symbols / PILOT_EVERY)

    @property
    def length(self) -> int:
        """Samples of a burst."""
        return TRAINING_LENGTH + self.n_symbols * SYMBOL_LENGTH

    @cached_property
    def pilot_symbols(self) -> np.ndarray:
        """int64 (n,): which OFDM symbols after the training are pilots."""
        first = FIRST_PILOTS + HEADER_SYMBOLS
        blocks = ceil(self.payload_symbols / PILOT_EVERY)
        later = [first + min((k + 1) * PILOT_EVERY, self.payload_symbols) + k for k in range(blocks)]
        return np.array([*range(FIRST_PILOTS), *later])

    @cached_property
    def header_symbols(self) -> np.ndarray:
        """int64 (HEADER_SYMBOLS,): which OFDM symbols hold the headers."""
        return FIRST_PILOTS + np.arange(HEADER_SYMBOLS)

    @cached_property
    def data_symbols(self) -> np.ndarray:
        """int64 (payload_symbols,): which OFDM symbols hold the payload."""
        others = np.concatenate([self.pilot_symbols, self.header_symbols])
        return np.setdiff1d(np.arange(self.n_symbols), others)

    @cached_property
    def slot_cells(self) -> np.ndarray:
        """int64 (n_slots, length): cell of each symbol of each slot; cells count carrier by carrier through one payload
        symbol after the other. The symbols of a slot lie at equal distances over all carriers."""
        places = np.arange(self.codebook.length) * self.n_slots + np.arange(self.n_slots)[:, None]
        carriers, symbols = np.divmod(places, self.payload_symbols)
        return symbols * len(CARRIERS) + carriers

    def turns(self, port: int) -> np.ndarray:
        """complex64 (n_slots, length): factors of a port's symbols; ones where the plan is not rotated."""
        return _turns(self.n_slots, self.codebook.length, port if self.rotated else -1)

    @cached_property
    def starts(self) -> np.ndarray:
        """int64 (n_symbols,): first of the 64 samples of each OFDM symbol, counted from that of the first training
        symbol."""
        return REPETITIONS * FFT_SIZE + CYCLIC_PREFIX + SYMBOL_LENGTH * np.arange(self.n_symbols)


def port_places(port: int, symbol: int) -> np.ndarray:
    """int64 (13,): places among CARRIERS that a port has in an OFDM symbol, rising; the training is symbol -1.

    In each four neighbours the ports are in another order, so that a port's carriers are at no regular distance.
    """
    shift = (port + symbol + 1 + _rake()) % PORTS
    return PORTS * np.arange(PORT_CARRIERS) + shift


@lru_cache(maxsize=512)
def pilot_values(symbol: int) -> np.ndarray:
    """float32 (52,): signs of the pilots on CARRIERS in an OFDM symbol; the training is symbol -1."""
    first = SIGN_OFFSET + len(CARRIERS) * (symbol + 1)
    bits = pseudo_random_bits(first + len(CARRIERS))[first:]
    values = (1 - 2.0 * bits).astype(np.float32)
    values.flags.writeable = False
    return values


@lru_cache(maxsize=16)
def _turns(n_slots: int, length: int, port: int) -> np.ndarray:
    quarters = np.zeros((n_slots, length), int)
    if port >= 0:
        quarters = np.random.Generator(np.random.PCG64([TURNS_SEED, port])).integers(0, 4, (n_slots, length))
    turns = np.array([1, 1j, -1, -1j], np.complex64)[quarters]
    turns.flags.writeable = False
    return turns


@lru_cache(maxsize=1)
def _rake() -> np.ndarray:
    bits = pseudo_random_bits(RAKE_OFFSET + 2 * PORT_CARRIERS)[RAKE_OFFSET:].reshape(-1, 2)
    return (2 * bits[:, 0] + bits[:, 1]).astype(np.int64)


def require_port(port: int) -> None:
    """Raise ParameterError unless there is such a port."""
    if not 0 <= port < PORTS:
        raise ParameterError(f"port is {port}; it must be 0 to {PORTS - 1}")
