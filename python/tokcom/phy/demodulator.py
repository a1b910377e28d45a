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


@dataclass
class HeaderReception:
    """A decoded header, and what it cost to get there."""

    header: BurstHeader
    plan: BurstPlan
    frequency: float
    channel: np.ndarray
    noise_variance: float
    long_observed: np.ndarray
    spectra: np.ndarray
    """complex64 (n, 64) of the header's OFDM symbols, freed of `frequency`."""


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
    frequency, observed, noise = _preamble_estimate(samples, sync)
    count = len(profile.long_signs)
    channel = smooth(observed, noise / count)
    n_base = base_symbols(profile)
    spectra = _symbol_spectra(samples, sync, frequency, 0, n_base)
    base = decode_base(_soft_cells(spectra, channel, noise), profile)
    n_extension = extension_symbols(profile, base.extension_bytes)
    if n_extension:
        needed = header_end(sync, base.extension_bytes)
        if needed > len(samples):
            return needed
        more = _symbol_spectra(samples, sync, frequency, n_base, n_extension)
        spectra = np.concatenate([spectra, more])
        header = decode_extension(_soft_cells(spectra, channel, noise)[n_base:], base, profile)
    else:
        header = base.header()
    return HeaderReception(header, plan_burst(header, profile), frequency, channel, noise, observed, spectra)


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
    reception = receive_header(samples, sync) if header is None else _reread(samples, sync, header)
    if isinstance(reception, int) or len(samples) < burst_end(sync, reception.plan):
        needed = reception if isinstance(reception, int) else burst_end(sync, reception.plan)
        raise BurstError(f"the burst is cut off: it has {needed} samples, {len(samples)} are here")
    return _demodulate_payload(samples, sync, reception)


def _reread(samples: np.ndarray, sync: Synchronization, header: BurstHeader) -> HeaderReception | int:
    """What `receive_header` gives, for a header that is known."""
    plan = plan_burst(header, sync.profile)
    needed = burst_end(sync, plan)
    if len(samples) < needed:
        return needed
    frequency, observed, noise = _preamble_estimate(samples, sync)
    channel = smooth(observed, noise / len(sync.profile.long_signs))
    spectra = _symbol_spectra(samples, sync, frequency, 0, plan.header_symbols)
    return HeaderReception(header, plan, frequency, channel, noise, observed, spectra)


def _preamble_estimate(samples: np.ndarray, sync: Synchronization) -> tuple[float, np.ndarray, float]:
    """Frequency offset, channel as observed on CARRIERS (complex128 (52,)), and noise variance of a cell."""
    profile = sync.profile
    signs = np.array(profile.long_signs)
    starts = sync.long_start + profile.long_spacing * np.arange(len(signs))
    spectra = grid.carriers_of(samples, starts, sync.frequency)[:, CARRIERS]
    rows = spectra.astype(np.complex128) * (signs[:, None] * profile.long_values)
    turn = float(np.angle(np.vdot(rows[:-1], rows[1:])))
    rows *= np.exp(-1j * turn * np.arange(len(signs)))[:, None]
    observed = rows.mean(axis=0)
    noise = float(np.mean(np.abs(rows - observed) ** 2)) * len(signs) / (len(signs) - 1)
    frequency = sync.frequency + turn / profile.long_spacing
    # The change of frequency turns a window by its middle, too.
    observed *= np.exp(-1j * turn / profile.long_spacing * FFT_SIZE / 2)
    noise = max(noise, 1e-12 * float(np.mean(np.abs(observed) ** 2)), 1e-30)
    return frequency, observed * np.exp(1j * (sync.frequency - frequency) * sync.long_start), noise


def _symbol_spectra(samples: np.ndarray, sync: Synchronization, frequency: float, first: int, count: int) -> np.ndarray:
    start = first_symbol_start(sync.long_start, sync.profile)
    starts = start + SYMBOL_LENGTH * np.arange(first, first + count)
    return grid.carriers_of(samples, starts, frequency)


def _soft_cells(spectra: np.ndarray, channel: np.ndarray, noise: float) -> np.ndarray:
    """complex (n, 48) matched-filter outputs of data cells, phases followed by the pilots."""
    cells = spectra[:, CARRIERS]
    known = grid.pilots(len(cells))
    at = PILOT_PLACES
    loud = _loud_symbols(spectra)[:, None]
    observed = cells[:, at].astype(np.complex128) * (known * channel[at].conj()) / loud
    power = np.abs(channel[at]) ** 2 / loud
    phase, timing = track(observed, power, CARRIERS[at].astype(np.float64), noise)
    turn = np.exp(-1j * (phase[:, None] + timing[:, None] * CARRIERS[DATA_PLACES]))
    return cells[:, DATA_PLACES] * (channel[DATA_PLACES].conj() * turn) / (noise * loud)


def _demodulate_payload(samples: np.ndarray, sync: Synchronization, reception: HeaderReception) -> DemodulatedBurst:
    header, plan, profile = reception.header, reception.plan, sync.profile
    payload = _symbol_spectra(samples, sync, reception.frequency, plan.header_symbols, plan.payload_symbols)
    spectra = np.concatenate([reception.spectra, payload])
    known = _known_cells(header, profile, len(spectra))
    n_header = plan.header_symbols
    cells = spectra[:, CARRIERS]
    loud = _loud_symbols(spectra)
    channel, noise = _refine(cells[:n_header] * known[:n_header].conj(), loud[:n_header, None], reception, profile)
    observed, power = np.empty(cells.shape, np.complex128), np.empty(cells.shape)
    _observe(cells, known, channel, loud, observed, power)
    carriers = CARRIERS.astype(np.float64)
    phase, timing = track(observed, power, carriers, noise.mean())
    equalised = np.empty((plan.payload_symbols, N_DATA), np.complex64)
    variance = np.empty(equalised.shape, np.float32)
    error = _equalise(
        cells, known, channel, noise, loud, phase, timing, carriers, DATA_PLACES, n_header, equalised, variance
    )
    symbols = grid.gather(equalised, plan.payload_values)
    variances = variance.ravel()[grid.interleaving(plan.payload_symbols)[: plan.payload_values]]
    quality = _quality(sync, reception, channel, noise, (phase, timing), error)
    return DemodulatedBurst(header, profile, symbols, variances, quality)


@numba.njit(cache=True, nogil=True)
def _observe(cells, known, channel, loud, observed, power):
    """What known cells say of phase and timing, and how much; 0 for those that are not known."""
    for t in range(cells.shape[0]):
        for k in range(cells.shape[1]):
            if known[t, k] == 0:
                observed[t, k], power[t, k] = 0, 0
            else:
                observed[t, k] = cells[t, k] * np.conj(known[t, k] * channel[k]) / loud[t]
                power[t, k] = (channel[k].real ** 2 + channel[k].imag ** 2) / loud[t]


@numba.njit(cache=True, nogil=True)
def _equalise(cells, known, channel, noise, loud, phase, timing, carriers, data, n_header, equalised, variance):
    """Data cells of the packets without channel and phase, and the noise on them; returns the mean squared error of the
    known cells."""
    total, count = 0.0, 0
    for t in range(cells.shape[0]):
        for k in range(cells.shape[1]):
            if known[t, k] != 0:
                turned = cells[t, k] * np.conj(known[t, k]) * np.exp(-1j * (phase[t] + timing[t] * carriers[k]))
                total += abs(turned - channel[k]) ** 2
                count += 1
        if t < n_header:
            continue
        for i in range(data.shape[0]):
            k = data[i]
            gain = max(channel[k].real ** 2 + channel[k].imag ** 2, 1e-30)
            turn = np.exp(-1j * (phase[t] + timing[t] * carriers[k]))
            equalised[t - n_header, i] = cells[t, k] * turn * np.conj(channel[k]) / gain
            variance[t - n_header, i] = min(max(noise[k] / gain * loud[t], 1e-12), 1e12)
    return total / count


def _known_cells(header: BurstHeader, profile: Profile, n_symbols: int) -> np.ndarray:
    """complex64 (n_symbols, 52): values that the decoded header and the pilots have; 0 where packets are."""
    known = np.zeros((n_symbols, len(CARRIERS)), np.complex64)
    cells = header_cells(header, profile)
    known[: len(cells), DATA_PLACES] = cells
    known[:, PILOT_PLACES] = grid.pilots(n_symbols)
    return known


def _refine(
    stripped: np.ndarray, loud: np.ndarray, reception: HeaderReception, profile: Profile
) -> tuple[np.ndarray, np.ndarray]:
    """Channel (52,) and noise variance by carrier (52,), from the preamble and all of the header's cells."""
    channel, noise = reception.channel, reception.noise_variance
    carriers = CARRIERS.astype(np.float64)
    n_long, n, weight = len(profile.long_signs), len(stripped), np.sum(1 / loud)
    for _ in range(2):
        power = np.abs(channel) ** 2 / loud
        phase, timing = track(stripped * channel.conj() / loud, power, carriers, noise)
        # The header's timing is the reference: the channel estimate holds its mean.
        straight = stripped * np.exp(-1j * (phase[:, None] + (timing - timing.mean())[:, None] * carriers))
        observed = (straight / loud).sum(axis=0) + n_long * reception.long_observed
        channel = smooth(observed / (weight + n_long), noise / (weight + n_long))
        error = np.abs(straight - channel) ** 2 / loud
        noise = max(float(error.mean()) * n * 52 / (n * 52 - 16 - 4), 1e-30)
    by_carrier = error.mean(axis=0)
    return channel, np.where(by_carrier > LOUD * noise, by_carrier, noise)


def _loud_symbols(spectra: np.ndarray) -> np.ndarray:
    """float64 (n,): factor by which the noise of each OFDM symbol exceeds the usual, 1 for most: impulses are heard on
    the idle carriers."""
    idle = np.mean(np.abs(spectra[:, IDLE_CARRIERS]) ** 2, axis=1)
    ratio = idle / max(float(np.median(idle)), 1e-30)
    return np.where(ratio > LOUD, ratio, 1.0)


def _quality(
    sync: Synchronization, reception: HeaderReception, channel: np.ndarray, noise: np.ndarray,
    tracks: tuple[np.ndarray, np.ndarray], error: float,
) -> BurstQuality:  # fmt: skip
    ratio = np.maximum(np.abs(channel) ** 2 / noise, 1e-10)
    # Both tracks as rates by the sample.
    turn, drift = (_slope(values) / SYMBOL_LENGTH for values in tracks)
    mean_gain = float(np.mean(np.abs(channel) ** 2))
    return BurstQuality(
        esn0_db=float(10 * np.log10(ratio.mean())),
        cfo=reception.frequency + float(turn),
        clock_offset_ppm=float(drift * FFT_SIZE / (2 * np.pi) * 1e6),
        evm_db=float(10 * np.log10(max(error / max(mean_gain, 1e-30), 1e-12))),
        sync_metric=sync.metric,
        carrier_esn0_db=(10 * np.log10(ratio)).astype(np.float32),
    )


def _slope(values: np.ndarray) -> float:
    """Of the straight line through equally spaced values that fits best."""
    places = np.arange(len(values)) - (len(values) - 1) / 2
    return float(places @ values) / max(float(places @ places), 1.0)
