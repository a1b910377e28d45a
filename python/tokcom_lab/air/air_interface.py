"""What the genie must know of the air interface: where a burst's payload is, and which cells hold which values.

Where values are is seen in bursts of values that tell their own numbers: how they are interleaved and turned, and where
pilots are, remains the transmitter's affair.
"""

import numpy as np

from tokcom.errors import TokcomError
from tokcom.link.bursts import Receiver, TransmitConfig, Transmitter
from tokcom.packets.header import BurstHeader
from tokcom.phy.burst import first_symbol_start, plan_burst
from tokcom.phy.demodulator import DemodulatedBurst
from tokcom.phy.numerology import CARRIERS, FFT_SIZE, SYMBOL_LENGTH
from tokcom.phy.profile import Profile


def payload_windows(header: BurstHeader, profile: Profile) -> np.ndarray:
    """int64 (n,): index in a burst of the first of each payload symbol's 64 samples, after its cyclic prefix."""
    plan = plan_burst(header, profile)
    first = first_symbol_start(profile.long_start, profile) + plan.header_symbols * SYMBOL_LENGTH
    return first + SYMBOL_LENGTH * np.arange(plan.payload_symbols)


def payload_llrs(
    receiver: Receiver, header: BurstHeader, profile: Profile, carriers: np.ndarray, variance: np.ndarray
) -> np.ndarray:
    """float32 LLRs of all packets' coded bits.

    Args:
        receiver: whose demapper it is.
        header: of the burst.
        profile: of the burst.
        carriers: complex (n_symbols, 52), equalised carriers of the payload's OFDM symbols, pilots among them.
        variance: float (n_symbols, 52), of the noise on them.
    """
    cells, turns = value_cells(header, profile)
    symbols = (carriers.ravel()[cells] * turns.conj()).astype(np.complex64)
    variances = variance.ravel()[cells].astype(np.float32)
    return receiver.demap(DemodulatedBurst(header, profile, symbols, variances, None))


def carriers_of(samples: np.ndarray, starts: np.ndarray) -> np.ndarray:
    """complex128 (n, 52): carriers of the 64 samples from each start, by a DFT that keeps the power of noise."""
    return np.fft.fft(samples[starts[:, None] + np.arange(FFT_SIZE)], axis=1)[:, CARRIERS] / np.sqrt(FFT_SIZE)


def value_cells(header: BurstHeader, profile: Profile) -> tuple[np.ndarray, np.ndarray]:
    """The cell of each value of a payload, and how it is turned there.

    Returns:
        int64 (n_values,), cells counted carrier by carrier through all 52 of one OFDM symbol after the other; and
        complex128 (n_values,) of unit magnitude.

    Raises:
        TokcomError: the transmitter does not put each value into a cell of its own.
    """
    plan = plan_burst(header, profile)
    sizes = (profile.name, plan.header_symbols, plan.payload_values)
    if sizes not in _KNOWN:
        _KNOWN[sizes] = _probed(header, profile, plan.payload_values)
    return _KNOWN[sizes]


_KNOWN: dict[tuple[str, int, int], tuple[np.ndarray, np.ndarray]] = {}
"""Cells and turns by profile, OFDM symbols of the header and values of the payload, on which alone they depend."""


def _probed(header: BurstHeader, profile: Profile, n_values: int) -> tuple[np.ndarray, np.ndarray]:
    transmitter, windows = Transmitter(TransmitConfig(profile=profile.name)), payload_windows(header, profile)

    def sent(values: np.ndarray) -> np.ndarray:
        return carriers_of(transmitter.modulate(values.astype(np.complex64), header), windows).ravel()

    numbers = np.arange(n_values)
    nothing = sent(np.zeros(n_values))
    turned = sent(np.ones(n_values)) - nothing
    used = np.flatnonzero(np.abs(turned) > 0.5 * np.abs(turned).max())
    counted = (sent(1 + numbers) - nothing)[used] / turned[used]
    order = np.argsort(counted.real)
    if len(used) != n_values or np.abs(counted[order] - 1 - numbers).max() > 0.25:
        raise TokcomError(f"{n_values} values of a payload show in {len(used)} cells of it, not each in one of its own")
    return used[order], turned[used[order]] / np.abs(turned[used[order]])
