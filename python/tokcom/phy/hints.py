"""Diagnosis of bursts that are present but cannot be received, such as an inverted spectrum."""

import numpy as np

from tokcom.kernels import kernel
from tokcom.phy.detector import BLOCK, ShortTrainingDetector, block_sums, long_training, places
from tokcom.phy.grid import carriers_of
from tokcom.phy.narrowband import LAG
from tokcom.phy.numerology import CARRIERS, FFT_SIZE, SHORT_PERIOD
from tokcom.phy.profile import Profile
from tokcom.phy.synchronization import Synchronization
from tokcom.scientific import fft

INVERTED, CLIPPED = "inverted spectrum", "clipping"
TWICE, HALF = "twice the sample rate", "half the sample rate"
FASTER, SLOWER = "a higher sample rate", "a lower sample rate"
REMEDIES = {
    INVERTED: "the spectrum of a preamble is inverted: swap I and Q, or invert the spectrum, at one end",
    TWICE: "a preamble is at twice this sample rate: raise the receiver's or lower the transmitter's",
    HALF: "a preamble is at half this sample rate: lower the receiver's or raise the transmitter's",
    FASTER: "a preamble is some per mille or per cent faster than this sample rate: set both ends to the same one",
    SLOWER: "a preamble is some per mille or per cent slower than this sample rate: set both ends to the same one",
    CLIPPED: "samples are clipped: lower the receiver's gain",
}
"""Remedy for each hint."""
CERTAIN = 0.2
"""Metric of a long training from which a hint is given; noise never reaches it, half of a preamble's spectrum does."""
CLIPPED_SHARE = 0.003
"""Share of samples at a rail from which they count as clipped; without clipping only the largest one and its neighbours
are there."""
ALWAYS_THERE = 8
"""Number of samples at a rail without clipping: the largest ones."""
CLEAR = 0.35
"""Metric of a preamble from which the offset of the sampling clocks can be estimated, and a header is expected."""
LARGEST_RATE_OFFSET = 0.004
"""Relative offset of the sampling clocks beyond that of any oscillator."""
APART = 20
"""Distance of the carriers whose phases are compared for it: a larger one would be ambiguous at 2%."""
RAIL = 1e-3
"""Width of a rail, relative to its distance from the centre."""


def what_is_wrong(samples: np.ndarray, profiles: list[Profile]) -> str:
    """Search for preambles at another sample rate or with an inverted spectrum.

    Args:
        samples: complex64 (n,), with a preamble in which no long training was found.
        profiles: profiles of the preambles.

    Returns:
        A key of REMEDIES; empty if nothing was recognised.
    """
    if len(samples) < 2:
        return ""
    views = {INVERTED: samples.conj(), HALF: np.ascontiguousarray(samples[::2]), TWICE: _at_twice_the_rate(samples)}
    for hint, view in views.items():
        if any(_holds_preamble(view, profile) for profile in profiles):
            return hint
    return ""


def clipped_share(samples: np.ndarray) -> float:
    """Compute the share of samples, complex64 (n,), with a component at the largest or smallest value of all."""
    if not samples.size:
        return 0.0
    return max(_at_rails(samples) - ALWAYS_THERE, 0) / len(samples)


@kernel
def _at_rails(samples):
    most = np.array([samples[0].real, -samples[0].real, samples[0].imag, -samples[0].imag])
    for sample in samples:
        most[0], most[1] = max(most[0], sample.real), max(most[1], -sample.real)
        most[2], most[3] = max(most[2], sample.imag), max(most[3], -sample.imag)
    most -= RAIL * np.abs(most)
    count = 0
    for sample in samples:
        if sample.real >= most[0] or -sample.real >= most[1] or sample.imag >= most[2] or -sample.imag >= most[3]:
            count += 1
    return count


def rate_offset(samples: np.ndarray, sync: Synchronization) -> float:
    """Estimate the relative excess of the transmitter's sampling clock from the drift of the long symbols.

    Args:
        samples: complex64, to which `sync` refers.
        sync: position of the long training.
    """
    profile = sync.profile
    starts = sync.long_start + profile.long_spacing * np.arange(len(profile.long_signs))
    rows = carriers_of(samples, starts, sync.frequency)[:, CARRIERS] * profile.long_pattern
    turns = (rows[1:] * rows[:-1].conj()).sum(axis=0)
    # Phases of distant carriers differ most; DC is not in use.
    lower = np.flatnonzero(np.isin(CARRIERS + APART, CARRIERS))
    upper = np.searchsorted(CARRIERS, CARRIERS[lower] + APART)
    slope = np.angle((turns[upper] * turns[lower].conj()).sum()) / APART
    return float(slope * FFT_SIZE / (2 * np.pi) / profile.long_spacing)


def _at_twice_the_rate(samples: np.ndarray) -> np.ndarray:
    n = len(samples)
    spectrum = fft.fft(samples)
    padded = np.zeros(2 * n, np.complex64)
    padded[: n // 2], padded[-(n - n // 2) :] = spectrum[: n // 2], spectrum[n // 2 :]
    return fft.ifft(padded).astype(np.complex64)


def _holds_preamble(samples: np.ndarray, profile: Profile) -> bool:
    whole = len(samples) // BLOCK * BLOCK
    sums = block_sums(np.concatenate([np.zeros(SHORT_PERIOD, np.complex64), samples[:whole]]))
    sums[LAG - 1 :] = 0
    for candidate in ShortTrainingDetector(profile).push(sums[:4], 0):
        first, stop = places(profile, candidate)
        first = max(first, 0)
        if candidate.metric < CERTAIN or stop > len(samples):
            continue
        if long_training(samples[first:stop], 0, profile, candidate.frequency, CERTAIN) is not None:
            return True
    return False


@kernel
def first_rise(energies: np.ndarray, begin: int, span: int, ratio: float) -> int:
    """Find the first block, from `begin` on, where the next `span` blocks have more than `ratio` times the energy of
    the `span` blocks before; -1 if there is no such block."""
    for b in range(max(begin, span), energies.shape[0] - span + 1):
        # A cheap test first.
        if not energies[b + 2] + energies[b + 3] > 2 * (energies[b - 2] + energies[b - 3]):
            continue
        before, after = 0.0, 0.0
        for i in range(span):
            before += energies[b - 1 - i]
            after += energies[b + i]
        if after > ratio * before:
            return b
    return -1
