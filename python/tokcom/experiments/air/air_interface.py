"""What the genie must ask the library: where a burst's payload is, which cells hold which values, what they say.

Whoever changes the air interface changes this file, and nothing else of the benchmark.
"""

import numpy as np

from tokcom.link.bursts import Receiver
from tokcom.packets.header import BurstHeader
from tokcom.phy import grid
from tokcom.phy.burst import first_symbol_start, plan_burst
from tokcom.phy.demodulator import DemodulatedBurst
from tokcom.phy.numerology import DATA_PLACES, SYMBOL_LENGTH
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
    values = plan_burst(header, profile).payload_values
    symbols = grid.gather(carriers[:, DATA_PLACES].astype(np.complex64), values)
    variances = variance[:, DATA_PLACES].astype(np.float32).ravel()[grid.interleaving(len(carriers))[:values]]
    return receiver.demap(DemodulatedBurst(header, profile, symbols, variances, None))
