"""From the samples of one burst to its header, its constellation symbols and the noise on each.

The preamble gives a first estimate of channel and frequency, with which the header is decoded. A decoded header is one
more training sequence: estimates are then made anew from all of its cells, and only the packets lean on pilots alone.
"""

from dataclasses import dataclass

import numba
import numpy as np

from tokcom.errors import BurstError
from tokcom.packets.header import BurstHeader
from tokcom.phy import grid
from tokcom.phy.burst import BurstPlan, first_symbol_start, plan_burst
from tokcom.phy.channel_estimate import smooth
from tokcom.phy.header_codec import base_symbols, decode_base, decode_extension, extension_symbols, header_cells
from tokcom.phy.numerology import (
    CARRIERS,
    CYCLIC_PREFIX,
    DATA_PLACES,
    FFT_SIZE,
    IDLE_CARRIERS,
    N_DATA,
    PILOT_PLACES,
    SYMBOL_LENGTH,
)  # fmt: skip
from tokcom.phy.profile import Profile
from tokcom.phy.tracking import track

LARGEST_SAMPLE = 1e6
"""Real and imaginary parts beyond this are no samples."""
LOUD = 5.0
"""Times the usual noise from which a carrier or an OFDM symbol gets a noise estimate of its own."""


NUMBERS = CARRIERS.astype(np.float64)
DATA_ORDER = np.cumsum(np.isin(np.arange(len(CARRIERS)), DATA_PLACES)) - 1
"""Number of the data cell of each of CARRIERS, for those that are one."""


@dataclass(frozen=True)
class Synchronization:
    """Where a burst is.

    Attributes:
        profile: what its preamble says.
        long_start: index of the first sample of the first long symbol's window.
        frequency: offset in rad/sample.
        metric: of the long training, 0 to 1: the share of the energy that looks like it.
    """

    profile: Profile
    long_start: int
    frequency: float
    metric: float


@dataclass(frozen=True)
class BurstQuality:
    """What the receiver measured on a burst.

    Attributes:
        esn0_db: mean Es/N0 in dB over the carriers in use.
        cfo: frequency offset in rad/sample.
        clock_offset_ppm: sampling clocks' offset in parts per million, positive where the transmitter's is fast; a
            rough value on short bursts.
        evm_db: error vector magnitude of header and pilots in dB, after equalisation.
        sync_metric: of the preamble, 0 to 1.
        carrier_esn0_db: float32 (52,), Es/N0 by carrier.
    """

    esn0_db: float
    cfo: float
    clock_offset_ppm: float
    evm_db: float
    sync_metric: float
    carrier_esn0_db: np.ndarray


@dataclass(frozen=True)
class DemodulatedBurst:
    """A burst's header and constellation symbols.

    Attributes:
        header: the header.
        profile: of the preamble.
        symbols: complex64 (n,), equalised, of all packets in order.
        noise_variance: float32 (n,), of each symbol.
        quality: figures.
    """

    header: BurstHeader
    profile: Profile
    symbols: np.ndarray
    noise_variance: np.ndarray
    quality: BurstQuality


@dataclass(frozen=True)
class HeaderReception:
    """A decoded header, and where in the burst everything is."""

    header: BurstHeader
    plan: BurstPlan


def header_end(sync: Synchronization, extension: int = 0) -> int:
    """Samples needed to decode a header with an extension of so many bytes."""
    symbols = base_symbols(sync.profile) + extension_symbols(sync.profile, extension)
    return first_symbol_start(sync.long_start, sync.profile) + symbols * SYMBOL_LENGTH - CYCLIC_PREFIX


def burst_end(sync: Synchronization, plan: BurstPlan) -> int:
    """Samples needed to demodulate a burst."""
    symbols = plan.header_symbols + plan.payload_symbols
    return first_symbol_start(sync.long_start, sync.profile) + symbols * SYMBOL_LENGTH - CYCLIC_PREFIX


def receive_header(samples: np.ndarray, sync: Synchronization) -> HeaderReception | int:
    """Decode a burst's header.

    Args:
        samples: complex64, from which `sync` counts; at least header_end(sync) of them.
        sync: where the burst is.

    Returns:
        The header; or, where it has an extension that the samples do not reach, the number of samples needed.

    Raises:
        HeaderError: the header cannot be used.
    """
    profile = sync.profile
    n_base = base_symbols(profile)
    base = decode_base(_soft_cells(samples, sync, n_base), profile)
    n_extension = extension_symbols(profile, base.extension_bytes)
    if not n_extension:
        header = base.header()
    elif header_end(sync, base.extension_bytes) > len(samples):
        return header_end(sync, base.extension_bytes)
    else:
        cells = _soft_cells(samples, sync, n_base + n_extension)
        header = decode_extension(cells[n_base:], base, profile)
    return HeaderReception(header, plan_burst(header, profile))


def demodulate_burst(samples: np.ndarray, sync: Synchronization, header: BurstHeader | None = None) -> DemodulatedBurst:
    """Demodulate a burst that lies within the samples.

    Args:
        samples: complex64 (n,), from which `sync` counts.
        sync: where the burst is.
        header: the burst's; None: it is decoded.

    Raises:
        HeaderError: the header cannot be used.
        BurstError: the samples begin after the burst's long training or end before the burst does; or they or the
            frequency are no numbers, or absurdly large.
    """
    samples = np.ascontiguousarray(samples, np.complex64)
    if samples.size and not np.abs(samples.view(np.float32)).max() <= LARGEST_SAMPLE:
        raise BurstError(f"the samples hold NaN or values beyond {LARGEST_SAMPLE:g}")
    if not abs(sync.frequency) <= np.pi:
        raise BurstError(f"the frequency is {sync.frequency} rad/sample; it must be -pi to pi")
    if sync.long_start < 0:
        raise BurstError(f"the long training begins at {sync.long_start}, ahead of the samples")
    if len(samples) < header_end(sync):
        raise BurstError(f"{len(samples)} samples do not reach to the header's end at {header_end(sync)}")
    if header is None:
        reception = receive_header(samples, sync)
    else:
        reception = HeaderReception(header, plan_burst(header, sync.profile))
    if isinstance(reception, int) or len(samples) < burst_end(sync, reception.plan):
        needed = reception if isinstance(reception, int) else burst_end(sync, reception.plan)
        raise BurstError(f"the burst is cut off: it has {needed} samples, {len(samples)} are here")
    return _demodulate(samples, sync, reception.header, reception.plan)


def _spectra(samples: np.ndarray, sync: Synchronization, n_symbols: int) -> tuple[np.ndarray, np.ndarray, float]:
    """complex64 carriers of the long symbols, freed of their values, (n_long, 52), spectra (n_symbols, 64) of the first
    OFDM symbols after the preamble, and the frequency offset of which both are freed."""
    profile = sync.profile
    n_long = len(profile.long_signs)
    starts = np.empty(n_long + n_symbols, np.int64)
    starts[:n_long] = sync.long_start + profile.long_spacing * np.arange(n_long)
    starts[n_long:] = first_symbol_start(sync.long_start, profile) + SYMBOL_LENGTH * np.arange(n_symbols)
    coarse = grid.carriers_of(samples, starts[:n_long], sync.frequency)[:, CARRIERS] * profile.long_pattern
    frequency = sync.frequency + float(np.angle(np.vdot(coarse[:-1], coarse[1:]))) / profile.long_spacing
    spectra = grid.carriers_of(samples, starts, frequency)
    return spectra[:n_long, CARRIERS] * profile.long_pattern, spectra[n_long:], frequency


def _soft_cells(samples: np.ndarray, sync: Synchronization, n_symbols: int) -> np.ndarray:
    """complex64 (n_symbols, 48): the first data cells after the preamble, matched-filtered, freed of the phase."""
    long_rows, spectra, _ = _spectra(samples, sync, n_symbols)
    soft = np.empty((n_symbols, N_DATA), np.complex64)
    _match_cells(long_rows, spectra, grid.pilots(n_symbols), soft)
    return soft


def _demodulate(samples: np.ndarray, sync: Synchronization, header: BurstHeader, plan: BurstPlan) -> DemodulatedBurst:
    long_rows, spectra, frequency = _spectra(samples, sync, plan.header_symbols + plan.payload_symbols)
    known = np.zeros((len(spectra), len(CARRIERS)), np.complex64)
    known[: plan.header_symbols, DATA_PLACES] = header_cells(header, sync.profile)
    known[:, PILOT_PLACES] = grid.pilots(len(spectra))
    equalised = np.empty((plan.payload_symbols, N_DATA), np.complex64)
    variance = np.empty(equalised.shape, np.float32)
    measured = _equalise(long_rows, spectra, known, plan.header_symbols, equalised, variance)
    symbols = grid.gather(equalised, plan.payload_values)
    variances = variance.ravel()[grid.interleaving(plan.payload_symbols)[: plan.payload_values]]
    return DemodulatedBurst(header, sync.profile, symbols, variances, _quality(sync, frequency, *measured))


@numba.njit(cache=True, nogil=True)
def _preamble_channel(long_rows):
    """Channel observed on the long symbols (52,), and noise variance of a cell."""
    n, k = long_rows.shape
    observed = np.zeros(k, np.complex128)
    for j in range(n):
        observed += long_rows[j] / n
    noise = power = 0.0
    for i in range(k):
        power += abs(observed[i]) ** 2 / k
        for j in range(n):
            noise += abs(long_rows[j, i] - observed[i]) ** 2
    return observed, max(noise / (k * (n - 1)), 1e-12 * power, 1e-30)


@numba.njit(cache=True, nogil=True)
def _loud_symbols(spectra):
    """Factor (n,) by which the noise of each OFDM symbol exceeds the usual, 1 for most: impulses are heard on the idle
    carriers."""
    n = spectra.shape[0]
    loud = np.ones(n)
    idle = np.zeros(n)
    for t in range(n):
        for carrier in IDLE_CARRIERS:
            idle[t] += abs(spectra[t, carrier]) ** 2
    usual = max(np.median(idle), 1e-30)
    for t in range(n):
        if idle[t] > LOUD * usual:
            loud[t] = idle[t] / usual
    return loud


@numba.njit(cache=True, nogil=True)
def _turns(phase, timing, out):
    """What takes phase and timing off each carrier: a product from one carrier to the next, for speed."""
    step = np.exp(-1j * timing)
    for i in range(out.shape[0]):
        if i and CARRIERS[i] - CARRIERS[i - 1] == 1:
            out[i] = out[i - 1] * step
        else:
            out[i] = np.exp(-1j * (phase + timing * NUMBERS[i]))


@numba.njit(cache=True, nogil=True)
def _observe(spectra, known, channel, loud):
    """What known cells say of phase and timing, and how much, (n, 52) each; 0 for those that are not known."""
    n, k = known.shape
    observed, power = np.zeros((n, k), np.complex128), np.zeros((n, k))
    for t in range(n):
        for i in range(k):
            if known[t, i] != 0:
                observed[t, i] = spectra[t, CARRIERS[i]] * np.conj(known[t, i] * channel[i]) / loud[t]
                power[t, i] = (channel[i].real ** 2 + channel[i].imag ** 2) / loud[t]
    return observed, power


@numba.njit(cache=True, nogil=True)
def _match_cells(long_rows, spectra, pilots, soft):
    raw, noise = _preamble_channel(long_rows)
    channel = smooth(raw, noise / long_rows.shape[0])
    loud = _loud_symbols(spectra)
    known = np.zeros((spectra.shape[0], CARRIERS.shape[0]), np.complex64)
    for p in range(PILOT_PLACES.shape[0]):
        known[:, PILOT_PLACES[p]] = pilots[:, p]
    observed, power = _observe(spectra, known, channel, loud)
    phase, timing = track(observed, power, NUMBERS, noise)
    back = np.empty(CARRIERS.shape[0], np.complex128)
    for t in range(soft.shape[0]):
        _turns(phase[t], timing[t], back)
        for i in range(soft.shape[1]):
            k = DATA_PLACES[i]
            soft[t, i] = spectra[t, CARRIERS[k]] * back[k] * np.conj(channel[k]) / (noise * loud[t])


@numba.njit(cache=True, nogil=True)
def _refine(long_rows, spectra, known, loud):
    """Channel (52,) and noise variance by carrier (52,), from the preamble and all cells of the header."""
    raw, noise = _preamble_channel(long_rows)
    n_long, n, k = long_rows.shape[0], known.shape[0], known.shape[1]
    channel = smooth(raw, noise / n_long)
    weight = np.sum(1 / loud)
    straight = np.empty((n, k), np.complex128)
    by_carrier, back = np.zeros(k), np.empty(k, np.complex128)
    for _ in range(2):
        observed, power = _observe(spectra, known, channel, loud)
        phase, timing = track(observed, power, NUMBERS, noise)
        # The header's timing is the reference: the channel estimate holds its mean.
        middle = np.mean(timing)
        mean = n_long * raw
        for t in range(n):
            _turns(phase[t], timing[t] - middle, back)
            for i in range(k):
                straight[t, i] = spectra[t, CARRIERS[i]] * np.conj(known[t, i]) * back[i]
                mean[i] += straight[t, i] / loud[t]
        channel = smooth(mean / (weight + n_long), noise / (weight + n_long))
        for i in range(k):
            by_carrier[i] = 0
            for t in range(n):
                by_carrier[i] += abs(straight[t, i] - channel[i]) ** 2 / loud[t] / n
        noise = max(np.mean(by_carrier) * n * k / (n * k - CYCLIC_PREFIX - 4), 1e-30)
    for i in range(k):
        if by_carrier[i] < LOUD * noise:
            by_carrier[i] = noise
    return channel, by_carrier


@numba.njit(cache=True, nogil=True)
def _equalise(long_rows, spectra, known, n_header, equalised, variance):
    """Data cells of the packets without channel and phase, and the noise on them; returns channel, noise, phase, timing
    and the mean squared error of the known cells."""
    loud = _loud_symbols(spectra)
    channel, noise = _refine(long_rows, spectra[:n_header], known[:n_header], loud[:n_header])
    observed, power = _observe(spectra, known, channel, loud)
    phase, timing = track(observed, power, NUMBERS, np.mean(noise))
    error, count = 0.0, 0
    back = np.empty(known.shape[1], np.complex128)
    for t in range(spectra.shape[0]):
        _turns(phase[t], timing[t], back)
        for k in range(known.shape[1]):
            turned = spectra[t, CARRIERS[k]] * back[k]
            if known[t, k] != 0:
                error += abs(turned * np.conj(known[t, k]) - channel[k]) ** 2
                count += 1
            elif t >= n_header:
                gain = max(channel[k].real ** 2 + channel[k].imag ** 2, 1e-30)
                place = DATA_ORDER[k]
                equalised[t - n_header, place] = turned * np.conj(channel[k]) / gain
                variance[t - n_header, place] = min(max(noise[k] / gain * loud[t], 1e-12), 1e12)
    return channel, noise, phase, timing, error / count


def _quality(
    sync: Synchronization,
    frequency: float,
    channel: np.ndarray,
    noise: np.ndarray,
    phase: np.ndarray,
    timing: np.ndarray,
    error: float,
) -> BurstQuality:
    ratio = np.maximum(np.abs(channel) ** 2 / noise, 1e-10)
    mean_gain = float(np.mean(np.abs(channel) ** 2))
    return BurstQuality(
        esn0_db=float(10 * np.log10(ratio.mean())),
        cfo=frequency + _slope(phase) / SYMBOL_LENGTH,
        clock_offset_ppm=_slope(timing) / SYMBOL_LENGTH * FFT_SIZE / (2 * np.pi) * 1e6,
        evm_db=float(10 * np.log10(max(error / max(mean_gain, 1e-30), 1e-12))),
        sync_metric=sync.metric,
        carrier_esn0_db=(10 * np.log10(ratio)).astype(np.float32),
    )


def _slope(values: np.ndarray) -> float:
    """Of the straight line through equally spaced values that fits best, by the symbol."""
    places = np.arange(len(values)) - (len(values) - 1) / 2
    return float(places @ values) / max(float(places @ places), 1.0)
