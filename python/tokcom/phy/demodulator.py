"""Demodulation of one burst: from samples to its header, its constellation symbols and the noise on each.

The preamble gives a first estimate of channel and frequency, with which the header is decoded. A decoded header serves
as additional training: the estimates are refined from all of its cells. If the payload agrees with them, they hold to
the end of the burst, and only phase and timing are tracked. If not, several hypotheses (the channel moves, the gain
steps, samples are missing, parts of the payload are noisier) are compared on the payload, and the most likely is taken.
"""

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from math import log10

import numpy as np

from tokcom.errors import BurstError, HeaderError
from tokcom.kernels import kernel
from tokcom.packets.header import BurstHeader
from tokcom.phy import grid
from tokcom.phy.burst import BurstPlan, first_symbol_start, plan_burst
from tokcom.phy.descriptions import Description, describe, redescribe
from tokcom.phy.header_codec import base_symbols, decode_base, decode_extension, header_symbols
from tokcom.phy.numerology import CARRIERS, CYCLIC_PREFIX, FFT_SIZE, SYMBOL_LENGTH
from tokcom.phy.observation import (
    Observation,
    loud_symbols,
    match_cells,
    match_moving_cells,
    observe,
    pilot_cells,
    receive_spectra,
    value_places,
)
from tokcom.phy.profile import Profile
from tokcom.phy.synchronization import Synchronization

LARGEST_SAMPLE = 1e6
"""Samples with a real or imaginary part beyond this magnitude are rejected."""


@dataclass(frozen=True)
class BurstQuality:
    """Measurements of the receiver on a burst.

    Attributes:
        esn0_db: mean Es/N0 in dB over the carriers in use.
        cfo: frequency offset in rad/sample.
        clock_offset_ppm: offset of the sampling clocks in parts per million, positive if the transmitter's is fast;
            imprecise on short bursts.
        evm_db: error vector magnitude of header and pilots in dB, after equalisation.
        sync_metric: metric of the preamble, 0 to 1.
        carrier_esn0_db: float32 (52,), Es/N0 per carrier.
        gap_samples: number of samples missing in the burst; negative for surplus samples.
        doppler: Doppler spread of the channel in cycles per sample, one of a few values; 0 if static.
    """

    esn0_db: float
    cfo: float
    clock_offset_ppm: float
    evm_db: float
    sync_metric: float
    carrier_esn0_db: np.ndarray
    gap_samples: int = 0
    doppler: float = 0.0


@dataclass(frozen=True)
class DemodulatedBurst:
    """A burst's header and constellation symbols.

    Attributes:
        header: the header.
        profile: profile of the preamble.
        symbols: complex64 (n,), equalised symbols of all packets in order.
        noise_variance: float32 (n,), noise variance of each symbol.
        quality: measurements.
        plain: whether the payload agrees with the header's channel; if not, decoded packets can refine it (`retrain`).
        observation: the burst after the Fourier transform.
        description: the chosen hypothesis about the channel.
    """

    header: BurstHeader
    profile: Profile
    symbols: np.ndarray
    noise_variance: np.ndarray
    quality: BurstQuality
    plain: bool = True
    observation: Observation | None = field(default=None, repr=False, compare=False)
    description: Description | None = field(default=None, repr=False, compare=False)


@dataclass(frozen=True)
class HeaderReception:
    """Decoded header, and the layout of its burst."""

    header: BurstHeader
    plan: BurstPlan


def header_end(sync: Synchronization, extension: int = 0) -> int:
    """Count the samples needed to decode a header with `extension` symbols of extension."""
    symbols = header_symbols(sync.profile, extension)
    return first_symbol_start(sync.long_start, sync.profile) + symbols * SYMBOL_LENGTH - CYCLIC_PREFIX


def burst_end(sync: Synchronization, plan: BurstPlan) -> int:
    """Count the samples needed to demodulate a burst."""
    symbols = plan.header_symbols + plan.payload_symbols
    return first_symbol_start(sync.long_start, sync.profile) + symbols * SYMBOL_LENGTH - CYCLIC_PREFIX


def receive_header(samples: np.ndarray, sync: Synchronization) -> HeaderReception | int:
    """Decode a burst's header.

    Args:
        samples: complex64, at least header_end(sync) of them; `sync` refers to these.
        sync: position of the burst.

    Returns:
        The header; or, if it has an extension beyond the samples, the number of samples needed.

    Raises:
        HeaderError: the header is invalid.
    """
    try:
        return _read_header(samples, sync, _soft_cells)
    except HeaderError as error:
        if error.kind != "crc":
            raise
    return _read_header(samples, sync, _moving_cells)


def _read_header(
    samples: np.ndarray, sync: Synchronization, soft_cells: Callable[[np.ndarray, Synchronization, int], np.ndarray]
) -> HeaderReception | int:
    profile = sync.profile
    n_base = base_symbols(profile)
    base = decode_base(soft_cells(samples, sync, n_base), profile)
    if not base.extension_symbols:
        header = base.header()
    elif header_end(sync, base.extension_symbols) > len(samples):
        return header_end(sync, base.extension_symbols)
    else:
        cells = soft_cells(samples, sync, header_symbols(profile, base.extension_symbols))
        header = decode_extension(cells[n_base:], base, profile)
    return HeaderReception(header, plan_burst(header, profile))


def demodulate_burst(samples: np.ndarray, sync: Synchronization, header: BurstHeader | None = None) -> DemodulatedBurst:
    """Demodulate a burst that lies within the samples.

    Args:
        samples: complex64 (n,), to which `sync` refers.
        sync: position of the burst.
        header: header of the burst; None to decode it.

    Raises:
        HeaderError: the header is invalid.
        BurstError: the samples begin after the burst's long training or end before the burst does; or samples or
            frequency are NaN or impossibly large.
    """
    samples = np.ascontiguousarray(samples, np.complex64)
    if samples.size and not np.abs(samples.view(np.float32)).max() <= LARGEST_SAMPLE:
        raise BurstError(f"the samples hold NaN or values beyond {LARGEST_SAMPLE:g}")
    if not abs(sync.frequency) <= np.pi:
        raise BurstError(f"the frequency is {sync.frequency} rad/sample; it must be -pi to pi")
    if sync.long_start < 0:
        raise BurstError(f"the long training begins at {sync.long_start}, before the first sample")
    if len(samples) < header_end(sync):
        raise BurstError(f"{len(samples)} samples do not reach the end of the header at {header_end(sync)}")
    if header is None:
        reception = receive_header(samples, sync)
    else:
        reception = HeaderReception(header, plan_burst(header, sync.profile))
    if isinstance(reception, int) or len(samples) < burst_end(sync, reception.plan):
        needed = reception if isinstance(reception, int) else burst_end(sync, reception.plan)
        raise BurstError(f"the burst is cut off: it has {needed} samples, of which {len(samples)} are present")
    observation = observe(samples, sync, reception.header, reception.plan)
    observation, description, plain = describe(observation, samples)
    return _demodulated(observation, reception.header, reception.plan, description, plain)


def retrain(burst: DemodulatedBurst, values: np.ndarray, decided: np.ndarray) -> DemodulatedBurst:
    """Demodulate a burst again with the symbols of packets whose check holds as additional training.

    Args:
        burst: the burst as demodulated before.
        values: complex64 (n,), symbols of all packets in order.
        decided: bool (n,), whether a symbol is known.
    """
    observation = burst.observation.with_decided(values, decided)
    description = redescribe(observation, burst.description)
    plan = plan_burst(burst.header, burst.profile)
    retrained = _demodulated(observation, burst.header, plan, description, False)
    return replace(retrained, observation=burst.observation)


def _demodulated(
    observation: Observation, header: BurstHeader, plan: BurstPlan, description: Description, plain: bool
) -> DemodulatedBurst:
    symbols, variance = np.empty(plan.payload_values, np.complex64), np.empty(plan.payload_values, np.float32)
    places = value_places(plan.payload_values, plan.header_symbols)
    _equalise(observation.cells, description.reference, description.noise, places, symbols, variance)
    return DemodulatedBurst(
        header, observation.sync.profile, symbols, variance, _quality(observation, description), plain, observation,
        description,
    )  # fmt: skip


@kernel
def _equalise(cells, reference, noise, places, symbols, variance):
    width = cells.shape[1]
    for i in range(places.shape[0]):
        t, k = places[i] // width, places[i] % width
        h = reference[t, k]
        inverse = 1 / max(h.real * h.real + h.imag * h.imag, np.float32(1e-30))
        symbols[i] = cells[t, k] * np.conj(h) * inverse
        variance[i] = min(max(noise[t, k] * inverse, 1e-12), 1e12)


@kernel
def _known_error(cells, reference, known):
    """Compute the mean squared error of the known cells."""
    total, count = 0.0, 0
    for t in range(cells.shape[0]):
        for k in range(cells.shape[1]):
            if known[t, k] != 0:
                error = cells[t, k] - reference[t, k] * known[t, k]
                total += error.real * error.real + error.imag * error.imag
                count += 1
    return total / max(count, 1)


def _soft_cells(samples: np.ndarray, sync: Synchronization, n_symbols: int) -> np.ndarray:
    """Match the first data cells after the preamble to the channel and remove their phase, complex64 (n_symbols,
    48)."""
    long_rows, spectra, _ = receive_spectra(samples, sync, n_symbols)
    soft = np.empty((n_symbols, len(CARRIERS)), np.complex64)
    match_cells(long_rows, spectra.take(CARRIERS, axis=1), loud_symbols(spectra), pilot_cells(n_symbols), soft)
    return soft[np.arange(n_symbols)[:, None], grid.data_places(n_symbols)]


def _moving_cells(samples: np.ndarray, sync: Synchronization, n_symbols: int) -> np.ndarray:
    """Do the same for a moving channel."""
    long_rows, spectra, _ = receive_spectra(samples, sync, n_symbols)
    soft = match_moving_cells(long_rows, spectra[:, CARRIERS], pilot_cells(n_symbols))
    return soft[np.arange(n_symbols)[:, None], grid.data_places(n_symbols)]


def _quality(observation: Observation, description: Description) -> BurstQuality:
    channel, sync = observation.channel, observation.sync
    gain = channel.response.real**2 + channel.response.imag**2
    ratio = np.maximum(gain / channel.noise, 1e-10)
    error = _known_error(observation.cells, description.reference, observation.known)
    return BurstQuality(
        esn0_db=10 * log10(ratio.sum() / len(ratio)),
        cfo=observation.frequency + _slope(description.phase) / SYMBOL_LENGTH,
        clock_offset_ppm=_slope(description.timing) / SYMBOL_LENGTH * FFT_SIZE / (2 * np.pi) * 1e6,
        evm_db=10 * log10(max(error / max(gain.sum() / len(gain), 1e-30), 1e-12)),
        sync_metric=sync.metric,
        carrier_esn0_db=(10 * np.log10(ratio)).astype(np.float32),
        gap_samples=int(observation.shifts[-1]) if len(observation.shifts) else 0,
        doppler=description.moving.doppler / SYMBOL_LENGTH if description.moving else 0.0,
    )


def _slope(values: np.ndarray) -> float:
    """Fit a straight line to equally spaced values and return its slope per symbol."""
    places = np.arange(len(values)) - (len(values) - 1) / 2
    return float(places @ values) / max(float(places @ places), 1.0)
