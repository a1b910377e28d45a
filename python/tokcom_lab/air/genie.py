"""A receiver that is told all: time, frequency, the channel of every OFDM symbol and carrier, the power of all noise.

It takes the DFT of the payload's OFDM symbols, divides by the channel that it was told and gives the library's demapper
and decoder what it was told of the noise. What it loses, no synchronisation, estimation or tracking could save; it does
not cancel interference, nor does it detect carriers or symbols together.
"""

from dataclasses import dataclass

import numpy as np

from tokcom.link.bursts import Receiver
from tokcom.packets.codebook import Codebook
from tokcom.phy.numerology import CARRIERS, CYCLIC_PREFIX, FFT_SIZE
from tokcom_lab.air.air_interface import carriers_of, payload_llrs, payload_windows
from tokcom_lab.air.bursts import SentBurst
from tokcom_lab.air.paths import Paths

CARRIER_GAIN = np.sqrt(FFT_SIZE / len(CARRIERS))
"""Of a carrier of a burst of unit power, where unit noise power a sample is unit noise power a carrier."""
LEADS = np.arange(-24, CYCLIC_PREFIX + 1)
"""How many samples ahead of an OFDM symbol's own 64 the window may begin."""
LEAST_GAIN = 1e-9
GREATEST_VARIANCE = 1e9


@dataclass(frozen=True)
class Truth:
    """What the genie is told of a burst's payload.

    Attributes:
        starts: int64 (n_symbols,), first sample of each window.
        gains: complex128 (n_symbols, 52), of the channel, by window and carrier.
        variance: float64 (n_symbols, 52), of noise and interference there.
    """

    starts: np.ndarray
    gains: np.ndarray
    variance: np.ndarray


def told(sent: SentBurst, start: int, paths: Paths | None, variance: float | np.ndarray) -> Truth:
    """The truth on a burst that begins at sample `start` and comes by `paths` (None: one, of gain 1).

    The windows begin where the mean capacity of the carriers is greatest. What the window does not hold of a path's
    symbol, and what it holds of the symbols beside it, is interference of known power: by carrier, for independent
    carriers of equal power; those of several paths add in power.

    Args:
        sent: the burst.
        start: where it begins.
        paths: by which it comes.
        variance: of the noise of a sample; or of each sample, float (n_samples,), of the noise as it is received.
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
    """Bits a carrier, were the paths to add in power alone."""
    missing = _missing(delays, lead)
    signal = CARRIER_GAIN**2 * powers @ (1 - missing / FFT_SIZE) ** 2
    interference = sum(power * spill(count) for power, count in zip(powers, missing, strict=True))
    return float(np.log2(1 + signal / (interference + level)).mean())


def _missing(delays: np.ndarray, lead: int) -> np.ndarray:
    """float64 (n_paths,): samples of a window that hold another symbol than its own."""
    early, late = delays - (CYCLIC_PREFIX - lead), -lead - delays
    return np.clip(np.maximum(early, 0) + np.maximum(late, 0), 0, FFT_SIZE)


def spill(missing: float) -> np.ndarray:
    """float64 (52,): power of interference on a carrier where so many samples of a window hold another symbol.

    Both are pieces of a sum of independent carriers: what leaks from the other symbol's piece, and what the window's
    own symbol lacks of orthogonality.
    """
    if not missing:
        return np.zeros(len(CARRIERS))
    apart = CARRIERS[:, None] - CARRIERS
    angle = np.pi * np.where(apart == 0, 1, apart) / FFT_SIZE
    piece = np.where(apart == 0, missing**2, (np.sin(angle * missing) / np.sin(angle)) ** 2)
    return (2 * piece.sum(axis=1) - missing**2) / (FFT_SIZE * len(CARRIERS))


def _by_window(variance: float | np.ndarray, starts: np.ndarray) -> np.ndarray:
    """float64 (n_windows,): mean variance over each window."""
    if np.ndim(variance) == 0:
        return np.full(len(starts), float(variance))
    return variance[starts[:, None] + np.arange(FFT_SIZE)].mean(axis=1)


def decode(sent: SentBurst, samples: np.ndarray, truth: Truth, codebooks: tuple[Codebook, ...]) -> np.ndarray:
    """bool (n_packets,): packets that arrive right, told the truth."""
    receiver = Receiver(codebooks)
    gains = np.where(np.abs(truth.gains) < LEAST_GAIN, LEAST_GAIN, truth.gains)
    carriers = carriers_of(samples, truth.starts) / gains
    variance = np.clip(truth.variance / np.abs(gains) ** 2, 1e-12, GREATEST_VARIANCE)
    llrs = payload_llrs(receiver, sent.header, sent.profile, carriers, variance)
    tokens, ok = receiver.decode(llrs, sent.header)
    return ok & (tokens == sent.packets).all(axis=1)
