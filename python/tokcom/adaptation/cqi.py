"""Channel quality: the receiver's measurement, as the effective Es/N0 that predicts packet errors, and its age."""

from dataclasses import dataclass

import numpy as np

from tokcom.errors import ParameterError
from tokcom.mcs import USUAL_BITS, Mcs, mcs_table

ROUNDING = 1e-6
"""Relative tolerance of a predicted PER, so that a PER equal to the target meets it."""


def effective_esn0_db(carrier_esn0_db: np.ndarray, beta_db: float | np.ndarray) -> np.ndarray:
    """Compute the Es/N0 in dB of the flat channel with the same PER: exponential effective SNR mapping (EESM).

    Source: 3GPP TSG-RAN WG1 R1-031303, "System-level evaluation of OFDM"; *-beta ln mean exp(-snr / beta)*.

    Args:
        carrier_esn0_db: float (n_carriers,), Es/N0 of each carrier.
        beta_db: beta of an MCS in dB, or an array of any shape.

    Returns:
        float64 of the shape of `beta_db`.

    Raises:
        ParameterError: there are no carriers, or a value is not finite.
    """
    carriers = np.asarray(carrier_esn0_db, float).ravel()
    if not carriers.size or not np.isfinite(carriers).all():
        raise ParameterError(f"carrier_esn0_db is {carrier_esn0_db!r}; it must hold the finite Es/N0 of each carrier")
    snr, beta = 10 ** (carriers / 10), 10 ** (np.asarray(beta_db, float) / 10)
    scaled = -snr / beta[..., None]
    largest = scaled.max(axis=-1)
    # Factor out the largest exponent: at high Es/N0 all others underflow.
    mean = np.exp(scaled - largest[..., None]).mean(axis=-1)
    return 10 * np.log10(-beta * (np.log(mean) + largest))


def table_esn0_db(carrier_esn0_db: np.ndarray) -> np.ndarray:
    """Compute the effective Es/N0 in dB for each scheme of the MCS table, float64 (n_mcs,)."""
    return effective_esn0_db(carrier_esn0_db, np.array([row.eesm_beta_db for row in mcs_table()]))


def predicted_per(
    scheme: Mcs, esn0_db: float | np.ndarray, payload_bits: int = USUAL_BITS, listed: bool = False
) -> np.ndarray:
    """Predict the PER by a logistic curve through the table's 10% and 1% points.

    Args:
        scheme: row of the MCS table.
        esn0_db: effective Es/N0 in dB.
        payload_bits: bits per packet without its CRC.
        listed: whether packets are list-decoded with their CRC, as in `Mcs.thresholds_db`.
    """
    per10, per1 = scheme.thresholds_db(payload_bits, listed)
    slope = (_logit(0.01) - _logit(0.1)) / (per1 - per10)
    return 1 / (1 + np.exp(-(_logit(0.1) + slope * (np.asarray(esn0_db, float) - per10))))


def choose_by_cqi(
    esn0_db: np.ndarray, target: float, symbols: np.ndarray, payload_bits: int = USUAL_BITS, listed: bool = False
) -> int:
    """Choose the MCS of fewest symbols whose predicted PER meets a target; 0, the most robust one, if none does.

    Args:
        esn0_db: float (n_mcs,), effective Es/N0 for each scheme, an outer loop's offset included.
        target: target PER, above 0 and below 1.
        symbols: int (n_mcs,), symbols per packet.
        payload_bits, listed: as in `predicted_per`.

    Raises:
        ParameterError: the target is out of its range.
    """
    if not 0 < target < 1:
        raise ParameterError(f"target is {target}; it must lie between 0 and 1")
    per = [float(predicted_per(row, esn0_db[row.index], payload_bits, listed)) for row in mcs_table()]
    good = [(symbols[index], value, index) for index, value in enumerate(per) if value <= target * (1 + ROUNDING)]
    return min(good)[2] if good else 0


@dataclass(frozen=True)
class CqiState:
    """Channel quality at present.

    Attributes:
        carrier_esn0_db: float (n_carriers,), Es/N0 of each carrier in dB, backed off if stale.
        state: "fresh", "stale" or "missing".
        age: age of the measurement in seconds; infinite if missing.
    """

    carrier_esn0_db: np.ndarray
    state: str
    age: float


class CqiMemory:
    """Memory of the last CQI, with a back-off that grows with its age.

    Args:
        max_age: seconds for which a CQI is fresh. After that `backoff_db` is subtracted per further `max_age`.
        backoff_db: back-off in dB.
        fallback_esn0_db: Es/N0 assumed without a CQI; the back-off never goes below it.

    Raises:
        ParameterError: a parameter is out of its range.
    """

    def __init__(self, max_age: float = 0.5, backoff_db: float = 3.0, fallback_esn0_db: float = 1.5):
        if not max_age > 0:
            raise ParameterError(f"max_age is {max_age}; it must be above 0 s")
        if not backoff_db >= 0:
            raise ParameterError(f"backoff_db is {backoff_db}; it must be at least 0 dB")
        if not np.isfinite(fallback_esn0_db):
            raise ParameterError(f"fallback_esn0_db is {fallback_esn0_db}; it must be a number of dB")
        self.max_age, self.backoff_db, self.fallback_esn0_db = max_age, backoff_db, fallback_esn0_db
        self._last: tuple[np.ndarray, float] | None = None

    def update(self, carrier_esn0_db: np.ndarray, now: float) -> None:
        """Store a measurement, float (n_carriers,) in dB, made at time `now` in seconds.

        Raises:
            ParameterError: a value is not finite.
        """
        carriers = np.atleast_1d(np.asarray(carrier_esn0_db, float))
        effective_esn0_db(carriers, 0.0)
        self._last = carriers, now

    def now(self, now: float) -> CqiState:
        """Return the channel quality to use at time `now` in seconds."""
        if self._last is None:
            return CqiState(np.array([self.fallback_esn0_db]), "missing", np.inf)
        carriers, measured = self._last
        age = max(0.0, now - measured)
        if age <= self.max_age:
            return CqiState(carriers, "fresh", age)
        # The channel may have changed since: a carrier that was good then is no better than the others now.
        lowest = np.minimum(carriers, max(float(np.median(carriers)), self.fallback_esn0_db))
        backed = lowest - self.backoff_db * (age / self.max_age - 1)
        floor = np.minimum(lowest, self.fallback_esn0_db)
        return CqiState(np.maximum(backed, floor), "stale", age)


def _logit(share: float) -> float:
    return float(np.log(share) - np.log1p(-share))
