"""Properties of the air interface that the genie needs: position of the payload, and cell and rotation of each value.

Cells are found by sending values that encode their own index, so that interleaving, rotation and pilots need not be
implemented a second time.
"""

import numpy as np

from tokcom.errors import TokcomError
from tokcom.link.receiver import Receiver
from tokcom.link.transmitter import TransmitConfig, Transmitter
from tokcom.packets.header import BurstHeader
from tokcom.phy.burst import first_symbol_start, plan_burst
from tokcom.phy.demodulator import DemodulatedBurst
from tokcom.phy.numerology import CARRIERS, FFT_SIZE, SYMBOL_LENGTH
from tokcom.phy.profile import Profile


def payload_windows(header: BurstHeader, profile: Profile) -> np.ndarray:
    """Compute the index in a burst of the first of each payload symbol's 64 samples, after its cyclic prefix, int64
    (n,)."""
    plan = plan_burst(header, profile)
    first = first_symbol_start(profile.long_start, profile) + plan.header_symbols * SYMBOL_LENGTH
    return first + SYMBOL_LENGTH * np.arange(plan.payload_symbols)


def payload_llrs(
    receiver: Receiver, header: BurstHeader, profile: Profile, carriers: np.ndarray, variance: np.ndarray
) -> np.ndarray:
    """Compute the LLRs of all packets' coded bits, float32.

    Args:
        receiver: receiver whose demapper is used.
        header: header of the burst.
        profile: profile of the burst.
        carriers: complex (n_symbols, 52), equalised carriers of the payload's OFDM symbols, pilots included.
        variance: float (n_symbols, 52), variance of the noise on them.
    """
    cells, turns = value_cells(header, profile)
    symbols = (carriers.ravel()[cells] * turns.conj()).astype(np.complex64)
    variances = variance.ravel()[cells].astype(np.float32)
    return receiver.demap(DemodulatedBurst(header, profile, symbols, variances, None))


def carriers_of(samples: np.ndarray, starts: np.ndarray) -> np.ndarray:
    """Compute the carriers of the 64 samples from each start by a DFT that preserves the noise power, complex128 (n,
    52)."""
    return np.fft.fft(samples[starts[:, None] + np.arange(FFT_SIZE)], axis=1)[:, CARRIERS] / np.sqrt(FFT_SIZE)


def value_cells(header: BurstHeader, profile: Profile) -> tuple[np.ndarray, np.ndarray]:
    """Find the cell of each value of a payload, and its rotation there.

    Returns:
        Cells, int64 (n_values,), counted carrier by carrier over 52 carriers per OFDM symbol; and rotations, complex128
        (n_values,) of unit magnitude.

    Raises:
        TokcomError: the transmitter does not put each value into a separate cell.
    """
    plan = plan_burst(header, profile)
    sizes = (profile.name, plan.header_symbols, plan.payload_values)
    if sizes not in _KNOWN:
        _KNOWN[sizes] = _probed(header, profile, plan.payload_values)
    return _KNOWN[sizes]


_KNOWN: dict[tuple[str, int, int], tuple[np.ndarray, np.ndarray]] = {}
"""Cells and rotations by profile, OFDM symbols of the header and values of the payload, on which alone they depend."""


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
        raise TokcomError(f"{n_values} values of a payload appear in {len(used)} cells, not each in a separate one")
    return used[order], turned[used[order]] / np.abs(turned[used[order]])
