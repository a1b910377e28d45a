"""Energy that a power per packet would save over one per burst, if signalling were free."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from tokcom.adaptation.power import allocate_power
from tokcom.adaptation.residual import ResidualModel
from tokcom.mcs import mcs_table
from tokcom.packets.layout import PADDING, packet_layout
from tokcom_lab.curves.adaptation_bench import Material

TOKENS_PER_PACKET = 4
LEVELS_DB = np.arange(-100, 31) / 10
"""Powers in dB, up to the peak."""


@dataclass(frozen=True)
class PowerGain:
    """Saving at one Es/N0 and one bound.

    Attributes:
        esn0_db: Es/N0 in dB at power 0 dB, AWGN.
        bound: expected share of wrong tokens.
        saved_db: energy saved by a power per packet, in dB, mean over frames.
        saved_most_db: largest saving of any frame.
        spread_db: mean difference between the strongest and the weakest packet of a frame, in dB.
        frames: number of frames for which the bound can be met; without any, the other figures are None.
    """

    esn0_db: float
    bound: float
    saved_db: float | None
    saved_most_db: float | None
    spread_db: float | None
    frames: int


def power_gain(
    material: Material, residual: ResidualModel, esn0_db: Sequence[float], bounds: Sequence[float],
    progress: Callable[[int], None] = lambda done: None,
) -> Iterator[PowerGain]:  # fmt: skip
    """Compare, per frame, the best MCS with one power and the best MCS with a power per packet.

    Args:
        material: frames and their predictability.
        residual: model of the errors after context decoding.
        esn0_db: Es/N0 in dB.
        bounds: expected shares of wrong tokens.
        progress: called with the number of frames done since the last call.
    """
    for value in esn0_db:
        for bound in bounds:
            saved, spread = [], []
            for number, (frame, bits) in enumerate(zip(material.frames, material.bits, strict=True)):
                together, apart, levels = _energies(frame.codebook_size, bits, number, residual, value, bound)
                if np.isfinite(together):
                    saved.append(10 * np.log10(together / apart))
                    spread.append(np.ptp(levels))
                progress(1)
            means = [float(f(v)) if v else None for f, v in ((np.mean, saved), (np.max, saved), (np.mean, spread))]
            yield PowerGain(value, bound, *means, len(saved))


def _energies(
    codebook_size: int, bits: np.ndarray, number: int, residual: ResidualModel, esn0_db: float, bound: float
) -> tuple[float, float, np.ndarray]:
    """Compute the energy of a frame's packets with one power and with a power per packet, and those powers in dB."""
    layout = packet_layout(len(bits), TOKENS_PER_PACKET, number)
    used = layout != PADDING
    packet_bits = np.where(used, bits[layout], 0).sum(axis=1) / used.sum(axis=1)
    allowed = bound * len(bits)
    rates = [
        residual.token_error_rates(packet_bits, float(bits.mean()), np.full(len(mcs_table()), esn0_db + level))
        for level in LEVELS_DB
    ]
    at_level = np.stack(rates, axis=1) * used.sum(axis=1)[:, None, None]
    best_together, best_apart, best_levels = np.inf, np.inf, np.zeros(1)
    for row in mcs_table():
        errors, symbols = at_level[:, :, row.index], row.symbols(codebook_size, TOKENS_PER_PACKET)
        within = errors.sum(axis=0) <= allowed
        if within.any():
            best_together = min(best_together, symbols * 10 ** (LEVELS_DB[within.argmax()] / 10))
        levels, mean, _ = allocate_power(errors, LEVELS_DB, allowed)
        if symbols * mean < best_apart:
            best_apart, best_levels = symbols * mean, levels
    return best_together, best_apart, best_levels
