"""Measurement of the MCS table's thresholds by packet size, and of the losses where a tenth is predicted."""

from collections.abc import Callable, Sequence
from itertools import count
from pathlib import Path

import numpy as np

from tokcom.adaptation.cqi import predicted_per
from tokcom.link.packet_link import LinkConfig
from tokcom.mcs import CODE, PAYLOAD_BITS, Mcs, mcs_table
from tokcom_lab.cache import FOLDER, RESULTS, SELDOM, Table, code_of, key_of
from tokcom_lab.curves.link_curve import link_curve

OFFSETS_DB = (-0.3, -0.15, 0.0, 0.15, 0.3)
"""Offsets in dB around the expected threshold; the threshold follows from a line through the log-odds there."""
FEWEST_LOST = 10
"""Smallest number of failed, and of received, packets for a point's log-odds to count."""
TRIES = 20


def measure_thresholds(
    packets: int, seed: int, payload_bits: Sequence[int] = PAYLOAD_BITS,
    progress: Callable[[int], None] = lambda done: None, listed: bool = False, kept: Path | None = FOLDER,
) -> list[dict]:  # fmt: skip
    """Measure the thresholds of the MCS table.

    Args:
        packets: packets per point of the 10% threshold; four times as many for 1%.
        seed: seed of tokens and noise.
        payload_bits: sizes to measure.
        progress: called with 1 after every MCS and size.
        listed: whether packets are list-decoded, as receivers decode packets of bits.
        kept: folder of the cache of thresholds, from which an interrupted run resumes; None for no cache.

    Returns:
        One row per MCS and size: mcs, payload_bits, per10_esn0_db, per1_esn0_db.
    """
    store = None if kept is None else Table(kept / RESULTS, "thresholds")
    content, rows = [packets, seed, listed, code_of("tokcom", without=SELDOM), code_of(__name__)], []
    for scheme in mcs_table():
        for bits in payload_bits:
            key = key_of(content, scheme.name, bits)
            row = None if store is None else next((figures for _, figures, _ in store.find([key])), None)
            if row is None:
                seeds = count(seed)
                row = {
                    "mcs": scheme.name, "payload_bits": bits,
                    "per10_esn0_db": _threshold(scheme, bits, 0.1, packets, seeds, listed),
                    "per1_esn0_db": _threshold(scheme, bits, 0.01, 4 * packets, seeds, listed),
                }  # fmt: skip
                if store is not None:
                    store.add({key: (row, None)})
            rows.append(row)
            progress(1)
    return rows


def losses_where_predicted(
    share: float, packets: int, seed: int, payload_bits: Sequence[int],
    progress: Callable[[int], None] = lambda done: None, listed: bool = False,
) -> list[dict]:  # fmt: skip
    """Measure the share of lost packets where the MCS table predicts a given share.

    Args:
        share: share of packets, above 0 and below 1.
        packets: packets per point.
        seed: seed of tokens and noise.
        payload_bits: sizes to measure.
        progress: called with 1 after every MCS and size.
        listed: whether packets are list-decoded, as receivers decode packets of bits.

    Returns:
        One row per MCS and size: mcs, payload_bits, esn0_db, predicted, per.
    """
    rows = []
    for scheme in mcs_table():
        for bits in payload_bits:
            esn0_db = _where(scheme, bits, share, listed)
            rows.append({
                "mcs": scheme.name, "payload_bits": bits, "esn0_db": round(esn0_db, 3), "predicted": share,
                "per": _lost(scheme, bits, [esn0_db], packets, seed, listed)[0],
            })  # fmt: skip
            progress(1)
    return rows


def _threshold(scheme: Mcs, payload_bits: int, share: float, packets: int, seeds: "count[int]", listed: bool) -> float:
    """Find the Es/N0 in dB, to a hundredth, at which a share of the packets is lost."""
    around = _where(scheme, payload_bits, share, listed)
    for _ in range(TRIES):
        esn0_db = around + np.array(OFFSETS_DB)
        lost = np.array(_lost(scheme, payload_bits, list(esn0_db), packets, next(seeds), listed))
        usable = (lost * packets >= FEWEST_LOST) & ((1 - lost) * packets >= FEWEST_LOST)
        if usable.sum() < 2:
            around += 1.0 if lost.mean() > share else -1.0
            continue
        odds = np.log(lost[usable] / (1 - lost[usable]))
        weights = np.sqrt(packets * lost[usable] * (1 - lost[usable]))
        slope, height = np.polyfit(esn0_db[usable], odds, 1, w=weights)
        found = (np.log(share / (1 - share)) - height) / slope
        if abs(found - around) <= OFFSETS_DB[-1]:
            return round(float(found), 2)
        around += float(np.clip(found - around, -1.0, 1.0))
    raise AssertionError(f"{scheme.name} with {payload_bits} bits per packet: no threshold near {around:.1f} dB")


def _where(scheme: Mcs, payload_bits: int, share: float, listed: bool) -> float:
    """Find the Es/N0 in dB at which a share is predicted; the curve decreases monotonically."""
    low, high = -20.0, 50.0
    while high - low > 1e-4:
        middle = (low + high) / 2
        low, high = (middle, high) if predicted_per(scheme, middle, payload_bits, listed) > share else (low, middle)
    return high


def _lost(scheme: Mcs, payload_bits: int, esn0_db: list[float], packets: int, seed: int, listed: bool) -> list[float]:
    """Measure the share of packets that fail at each Es/N0."""
    config = LinkConfig(CODE, scheme.modulation, payload_bits, rate=scheme.rate)
    # With words of one bit, packets can have any size.
    return [point.per for point in link_curve(config, esn0_db, packets, codebook_size=2, seed=seed, listed=listed)]
