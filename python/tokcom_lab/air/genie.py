"""Genie: a receiver that knows time, frequency, the channel of every OFDM symbol and carrier, and the noise power.

It takes the DFT of the payload's OFDM symbols, divides by the known channel and passes the known noise to the library's
demapper and decoder. No synchronisation, estimation or tracking could save what it loses; it does not cancel
interference, nor does it detect carriers or symbols jointly.
"""

from dataclasses import dataclass

import numpy as np

from tokcom.link.receiver import Receiver
from tokcom.packets.codebook import Codebook
from tokcom.phy.numerology import CARRIERS, CYCLIC_PREFIX, FFT_SIZE
from tokcom_lab.air.air_interface import carriers_of, payload_llrs, payload_windows
from tokcom_lab.air.bursts import SentBurst
from tokcom_lab.air.paths import Paths

CARRIER_GAIN = np.sqrt(FFT_SIZE / len(CARRIERS))
"""Amplitude of a carrier in a burst of unit power, with noise power per carrier equal to that per sample."""
LEADS = np.arange(-24, CYCLIC_PREFIX + 1)
"""Candidate numbers of samples by which the window begins before an OFDM symbol's own 64."""
LEAST_GAIN = 1e-9
GREATEST_VARIANCE = 1e9


@dataclass(frozen=True)
class Truth:
    """Knowledge of the genie about a burst's payload.

    Attributes:
        starts: int64 (n_symbols,), first sample of each window.
        gains: complex128 (n_symbols, 52), gain of the channel by window and carrier.
        variance: float64 (n_symbols, 52), variance of noise and interference there.
    """

    starts: np.ndarray
    gains: np.ndarray
    variance: np.ndarray


def told(sent: SentBurst, start: int, paths: Paths | None, variance: float | np.ndarray) -> Truth:
    """Compute the genie's knowledge of a burst that begins at sample `start` and arrives by `paths` (None: one, of gain
    1).

    The windows begin where the mean capacity of the carriers is largest. The part of a path's symbol outside the
    window, and the parts of neighbouring symbols inside it, are interference whose power is known per carrier, for
    independent carriers of equal power; powers of several paths add.

    Args:
        sent: the burst.
        start: index of its first sample.
        paths: its propagation paths.
        variance: noise variance, one value or one per received sample, float (n_samples,).
    """
    paths = paths or Paths.still([0], [1])
    windows = start + payload_windows(sent.header, sent.profile)
    middle = np.abs(paths.gains_at(windows + FFT_SIZE // 2)) ** 2
    level = float(np.mean(variance))
    chosen = max(LEADS, key=lambda lead: _capacity(paths.delays, middle.mean(axis=1), lead, level))
    starts = windows - chosen
    missing = _missing(paths.delays, chosen)
    turns = np.exp(-2j * np.pi * np.outer(chosen + paths.delays, CARRIERS) / FFT_SIZE)
    whole = CARRIER_GAIN * (1 - missing / FFT_SIZE)
    gains = paths.gains_at(starts + FFT_SIZE // 2).T @ (whole[:, None] * turns)
    interference = middle.T @ np.stack([spill(count) for count in missing])
    return Truth(starts, gains, interference + _by_window(variance, starts)[:, None])


def _capacity(delays: np.ndarray, powers: np.ndarray, lead: int, level: float) -> float:
    """Compute the bits per carrier if the paths added in power."""
    missing = _missing(delays, lead)
    signal = CARRIER_GAIN**2 * powers @ (1 - missing / FFT_SIZE) ** 2
    interference = sum(power * spill(count) for power, count in zip(powers, missing, strict=True))
    return float(np.log2(1 + signal / (interference + level)).mean())


def _missing(delays: np.ndarray, lead: int) -> np.ndarray:
    """Count the samples of a window that belong to another symbol, float64 (n_paths,)."""
    early, late = delays - (CYCLIC_PREFIX - lead), -lead - delays
    return np.clip(np.maximum(early, 0) + np.maximum(late, 0), 0, FFT_SIZE)


def spill(missing: float) -> np.ndarray:
    """Compute the power of interference per carrier if `missing` samples of a window belong to another symbol, float64
    (52,).

    It has two parts, both from independent carriers: leakage of the other symbol's piece, and loss of orthogonality of
    the window's own symbol.
    """
    if not missing:
        return np.zeros(len(CARRIERS))
    apart = CARRIERS[:, None] - CARRIERS
    angle = np.pi * np.where(apart == 0, 1, apart) / FFT_SIZE
    piece = np.where(apart == 0, missing**2, (np.sin(angle * missing) / np.sin(angle)) ** 2)
    return (2 * piece.sum(axis=1) - missing**2) / (FFT_SIZE * len(CARRIERS))


def _by_window(variance: float | np.ndarray, starts: np.ndarray) -> np.ndarray:
    """Average the variance over each window, float64 (n_windows,)."""
    if np.ndim(variance) == 0:
        return np.full(len(starts), float(variance))
    return variance[starts[:, None] + np.arange(FFT_SIZE)].mean(axis=1)


def decode(sent: SentBurst, samples: np.ndarray, truth: Truth, codebooks: tuple[Codebook, ...]) -> np.ndarray:
    """Decode as the genie; return the packets that are correct, bool (n_packets,)."""
    receiver = Receiver(codebooks)
    gains = np.where(np.abs(truth.gains) < LEAST_GAIN, LEAST_GAIN, truth.gains)
    carriers = carriers_of(samples, truth.starts) / gains
    variance = np.clip(truth.variance / np.abs(gains) ** 2, 1e-12, GREATEST_VARIANCE)
    llrs = payload_llrs(receiver, sent.header, sent.profile, carriers, variance)
    tokens, ok = receiver.decode(llrs, sent.header)
    return ok & (tokens == sent.packets).all(axis=1)
