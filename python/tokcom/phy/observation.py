"""Received burst in the frequency domain: its OFDM symbols on the carriers in use, and their known cells."""

import cmath
from dataclasses import dataclass, replace
from functools import lru_cache

import numpy as np

from tokcom.kernels import kernel
from tokcom.mcs import mcs_table
from tokcom.packets.header import BurstHeader
from tokcom.packets.mcs_map import MCS_NOT_SENT
from tokcom.phy import grid
from tokcom.phy.burst import BurstPlan, first_symbol_start
from tokcom.phy.cell_distances import KNOWN
from tokcom.phy.channel_estimate import N_TAPS, ROUNDS, best_window, fit_channel
from tokcom.phy.fading import follow_fading, from_header
from tokcom.phy.header_codec import header_cells
from tokcom.phy.numerology import CARRIERS, CYCLIC_PREFIX, FFT_SIZE, IDLE_CARRIERS, N_DATA, SYMBOL_LENGTH
from tokcom.phy.profile import Profile
from tokcom.phy.synchronization import Synchronization
from tokcom.phy.tracking import track

LOUD = 5.0
"""A carrier or OFDM symbol whose noise exceeds LOUD times the median gets its own estimate."""
NUMBERS = CARRIERS.astype(np.float64)
FAST = (0.005, 0.02, 0.06)
"""Doppler spreads, in cycles per OFDM symbol, that are tried if a header cannot be decoded with a static channel."""
LEAST_NOISE = 1e-6
"""Smallest noise variance, relative to the power: the residual of a noiseless burst due to the taps and single
precision."""
HEADER_ROUNDS = 1
"""Iterations of the channel estimate with which the header is decoded."""
HARMLESS = 0.03
"""Interference by paths outside the prefix, relative to the noise, for which windows need not be shifted."""


@dataclass(frozen=True)
class HeaderChannel:
    """Channel estimate from preamble and header.

    Attributes:
        response: complex128 (52,), frequency response.
        error: mean variance of its error.
        powers: float64 (33,), powers of the taps.
        noise: float64 (52,), noise variance of each carrier.
        phase: float64 (n_header,), phase of each symbol in rad.
    """

    response: np.ndarray
    error: float
    powers: np.ndarray
    noise: np.ndarray
    phase: np.ndarray


@dataclass(frozen=True)
class Observation:
    """Burst after the Fourier transform, from the header's first OFDM symbol on.

    Attributes:
        sync: position of its windows.
        frequency: offset in rad/sample that has been corrected.
        cells: complex64 (n, 52), received cells; those of packets are derotated.
        known: complex64 (n, 52), values of the known cells, 0 for all others.
        order: uint8 (n, 52), KNOWN, or levels per component of the constellation (`cell_distances.KNOWN`).
        loud: float64 (n,), factor by which a symbol's noise exceeds the median on the idle carriers, 1 for most.
        n_header: number of symbols of the header.
        channel: channel estimate from preamble and header.
        shifts: int64 (n,), samples by which symbols come earlier than nominal because samples before them are missing.
    """

    sync: Synchronization
    frequency: float
    cells: np.ndarray
    known: np.ndarray
    order: np.ndarray
    loud: np.ndarray
    n_header: int
    channel: HeaderChannel
    shifts: np.ndarray

    def with_decided(self, values: np.ndarray, decided: np.ndarray) -> "Observation":
        """Return the observation with some of the packets' values, complex64 (n_values,), known, bool (n_values,)."""
        n_payload = len(self.cells) - self.n_header
        cells = np.zeros(n_payload * N_DATA, np.complex64)
        places = grid.interleaving(n_payload)[: len(values)]
        cells[places[decided]] = values[decided]
        known, order = self.known.copy(), self.order.copy()
        spread = payload_cells(cells.reshape(n_payload, N_DATA), self.n_header)
        told = spread != 0
        known[self.n_header :][told] = spread[told]
        order[self.n_header :][told] = KNOWN
        return replace(self, known=known, order=order)


def receive_spectra(samples: np.ndarray, sync: Synchronization, n_symbols: int) -> tuple[np.ndarray, np.ndarray, float]:
    """Compute the carriers of the long symbols divided by their values, complex64 (n_long, 52), the spectra of the
    first OFDM symbols after the preamble, complex64 (n_symbols, 64), and the frequency offset, which is corrected in
    both."""
    profile = sync.profile
    n_long = len(profile.long_signs)
    starts = np.empty(n_long + n_symbols, np.int64)
    starts[:n_long] = sync.long_start + profile.long_spacing * np.arange(n_long)
    starts[n_long:] = first_symbol_start(sync.long_start, profile) + SYMBOL_LENGTH * np.arange(n_symbols)
    coarse = grid.carriers_of(samples, starts[:n_long], sync.frequency).take(CARRIERS, axis=1) * profile.long_pattern
    frequency = sync.frequency + cmath.phase(np.vdot(coarse[:-1], coarse[1:])) / profile.long_spacing
    spectra = grid.carriers_of(samples, starts, frequency)
    return spectra[:n_long].take(CARRIERS, axis=1) * profile.long_pattern, spectra[n_long:], frequency


def observe(samples: np.ndarray, sync: Synchronization, header: BurstHeader, plan: BurstPlan) -> Observation:
    """Transform a burst to the frequency domain, with windows placed to lose the least of its echoes.

    Args:
        samples: complex64, to which `sync` refers; they hold the whole burst.
        sync: position of the burst.
        header: header of the burst.
        plan: layout of the burst.
    """
    head = known_cells(header, sync.profile, plan)
    n_header = plan.header_symbols
    for _ in range(2):
        long_rows, spectra, frequency = receive_spectra(samples, sync, n_header)
        channel = _header_channel(long_rows, spectra, head.known[:n_header])
        move = max(best_window(channel.powers, HARMLESS * channel.noise.mean()), -sync.long_start)
        if not move:
            break
        sync = replace(sync, long_start=sync.long_start + move)
    else:
        long_rows, spectra, frequency = receive_spectra(samples, sync, n_header)
        channel = _header_channel(long_rows, spectra, head.known[:n_header])
    shifts = np.zeros(n_header + plan.payload_symbols, np.int64)
    payload = payload_spectra(samples, sync, frequency, n_header, shifts[n_header:])
    return _assembled(sync, frequency, head, np.concatenate([spectra, payload]), n_header, channel, shifts)


def shifted(observation: Observation, samples: np.ndarray, shifts: np.ndarray) -> Observation:
    """Return the observation with symbols `shifts`, int64 (n,), samples earlier than nominal."""
    n = observation.n_header
    head = KnownCells(observation.known, observation.order)
    spectra = payload_spectra(samples, observation.sync, observation.frequency, n, shifts[n:])
    header = np.zeros((n, spectra.shape[1]), np.complex64)
    header[:, CARRIERS] = observation.cells[:n]
    out = _assembled(
        observation.sync, observation.frequency, head, np.concatenate([header, spectra]), n, observation.channel, shifts
    )
    loud = np.concatenate([observation.loud[:n], loud_symbols(spectra)])
    return replace(out, loud=loud)


def payload_spectra(
    samples: np.ndarray, sync: Synchronization, frequency: float, n_header: int, shifts: np.ndarray
) -> np.ndarray:
    """Compute the spectra of the payload's symbols, each `shifts` samples early, complex64 (n, 64); zeros beyond the
    samples."""
    symbols = n_header + np.arange(len(shifts))
    starts = first_symbol_start(sync.long_start, sync.profile) + SYMBOL_LENGTH * symbols - shifts
    inside = (starts >= 0) & (starts + FFT_SIZE - CYCLIC_PREFIX <= len(samples))
    spectra = grid.carriers_of(samples, np.where(inside, starts, 0), frequency)
    # While samples were missing, the burst's time continued, and its phase with it.
    if shifts.any():
        spectra *= np.exp(-1j * frequency * shifts)[:, None].astype(np.complex64)
    spectra[~inside] = 0
    return spectra


def _assembled(sync, frequency, head, spectra, n_header, channel, shifts) -> Observation:
    cells = spectra.take(CARRIERS, axis=1)
    turns = payload_turns(len(cells) - n_header, n_header)
    cells[n_header:] *= turns
    return Observation(sync, frequency, cells, head.known, head.order, loud_symbols(spectra), n_header, channel, shifts)


@dataclass(frozen=True)
class KnownCells:
    """Cells that are known before decoding.

    Attributes:
        known: complex64 (n, 52), their values, 0 for others.
        order: uint8 (n, 52), as in `Observation`.
    """

    known: np.ndarray
    order: np.ndarray


def known_cells(header: BurstHeader, profile: Profile, plan: BurstPlan) -> KnownCells:
    """Return header, pilots and fillers of a burst, and the constellations of the other cells."""
    payload = _payload_known(
        header.mcs.tobytes(), 1 << header.token_bits, header.tokens_per_packet, header.tag_bits, plan.header_symbols
    )
    known, order = payload.known.copy(), payload.order
    n = plan.header_symbols
    rows = np.arange(n)[:, None]
    known[rows, grid.data_places(n)] = header_cells(header, profile)
    return KnownCells(known, order)


@lru_cache(maxsize=16)
def _payload_known(mcs: bytes, codebook_size: int, tokens_per_packet: int, tag_bits: int, n_header: int) -> KnownCells:
    """Return pilots, fillers and constellations of the payload; cells of the header are left unset."""
    indices = np.frombuffer(mcs, np.uint8)
    orders, sizes = np.zeros(256, np.uint8), np.zeros(256, np.int64)
    for row in mcs_table():
        constellation = row.constellation()
        orders[row.index] = 1 if constellation.bits_per_symbol == 1 else 1 << constellation.bits_per_symbol // 2
        sizes[row.index] = row.symbols(codebook_size, tokens_per_packet, tag_bits)
    sizes[MCS_NOT_SENT] = 0
    values = np.repeat(orders[indices], sizes[indices])
    n_payload = grid.symbols_for(len(values))
    n = n_header + n_payload
    order = np.zeros((n, len(CARRIERS)), np.uint8)
    known = pilot_cells(n).copy()
    places = grid.interleaving(n_payload)
    flat = np.zeros(n_payload * N_DATA, np.uint8)
    flat[places[: len(values)]] = values
    order[n_header:] = payload_cells(flat.reshape(n_payload, N_DATA), n_header)
    spare = np.zeros(n_payload * N_DATA, np.complex64)
    spare[places[len(values) :]] = grid.FILLER
    known[n_header:] += payload_cells(spare.reshape(n_payload, N_DATA), n_header)
    return KnownCells(known, order)


@lru_cache(maxsize=32)
def pilot_cells(n_symbols: int) -> np.ndarray:
    """Return the pilots of a burst's first OFDM symbols, zeros elsewhere, complex64 (n_symbols, 52)."""
    cells = np.zeros((n_symbols, len(CARRIERS)), np.complex64)
    cells[np.arange(n_symbols)[:, None], grid.pilot_places(n_symbols)] = grid.pilots(n_symbols)
    return cells


@lru_cache(maxsize=32)
def value_places(n_values: int, n_header: int) -> np.ndarray:
    """Compute the positions of the packets' values among the carriers in use, 52 per symbol of the burst, int64
    (n_values,)."""
    n_payload = grid.symbols_for(n_values)
    rows = n_header + np.arange(n_payload)[:, None]
    places = rows * len(CARRIERS) + grid.data_places(n_header + n_payload)[n_header:]
    return places.ravel()[grid.interleaving(n_payload)[:n_values]]


def payload_cells(cells: np.ndarray, n_header: int) -> np.ndarray:
    """Place data cells (n, 48) of a payload after a header of n_header symbols on the carriers in use, (n, 52), with
    zeros at the pilots."""
    out = np.zeros((len(cells), len(CARRIERS)), cells.dtype)
    out[np.arange(len(cells))[:, None], grid.data_places(n_header + len(cells))[n_header:]] = cells
    return out


@lru_cache(maxsize=32)
def payload_turns(n_symbols: int, n_header: int) -> np.ndarray:
    """Return the factors that derotate a payload's cells, 1 at the pilots, complex64 (n_symbols, 52)."""
    turns = payload_cells(grid.rotation(n_symbols).conj(), n_header)
    turns[turns == 0] = 1
    return turns


def _header_channel(long_rows: np.ndarray, spectra: np.ndarray, known: np.ndarray) -> HeaderChannel:
    response, powers = np.empty(len(CARRIERS), np.complex128), np.empty(N_TAPS)
    noise, phase = np.empty(len(CARRIERS)), np.empty(len(spectra))
    cells = spectra.take(CARRIERS, axis=1)
    error = _refine(long_rows, cells, known, loud_symbols(spectra), response, powers, noise, phase)
    return HeaderChannel(response, error, powers, noise, phase)


@kernel
def _squared(value):
    """Compute the squared magnitude, without the root of abs."""
    return value.real**2 + value.imag**2


@kernel
def _preamble_channel(long_rows):
    """Average the channel over the long symbols (52,), and estimate the noise variance of a cell."""
    n, k = long_rows.shape
    observed = np.zeros(k, np.complex128)
    for j in range(n):
        for i in range(k):
            observed[i] += long_rows[j, i] * (1 / n)
    noise = power = 0.0
    for i in range(k):
        power += _squared(observed[i]) / k
        for j in range(n):
            noise += _squared(long_rows[j, i] - observed[i])
    return observed, max(noise / (k * (n - 1)), 1e-12 * power, 1e-30)


@kernel
def loud_symbols(spectra: np.ndarray) -> np.ndarray:
    """Compute the factor, float64 (n,), by which the noise of each OFDM symbol exceeds the median, 1 for most: impulses
    show on the idle carriers of its spectrum, complex64 (n, 64)."""
    n = spectra.shape[0]
    loud = np.ones(n)
    idle = np.zeros(n)
    for t in range(n):
        for carrier in IDLE_CARRIERS:
            idle[t] += _squared(spectra[t, carrier])
    usual = max(np.median(idle), 1e-30) if n else 1.0
    for t in range(n):
        if idle[t] > LOUD * usual:
            loud[t] = idle[t] / usual
    return loud


@kernel
def turns(phase: float, timing: float, out: np.ndarray) -> None:
    """Fill out, complex128 (52,), with the factors that remove phase and timing from each carrier, by a recursion over
    carriers for speed."""
    step = np.exp(-1j * timing)
    for i in range(out.shape[0]):
        if i and CARRIERS[i] - CARRIERS[i - 1] == 1:
            out[i] = out[i - 1] * step
        else:
            out[i] = np.exp(-1j * (phase + timing * NUMBERS[i]))


@kernel
def known_products(
    cells: np.ndarray, known: np.ndarray, reference: np.ndarray, loud: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Compute products of known cells with a reference channel (n or 1, 52), from which phase and timing follow, and
    their weights, (n, 52) each; 0 for unknown cells."""
    n, k = known.shape
    observed, power = np.zeros((n, k), np.complex128), np.zeros((n, k))
    for t in range(n):
        row = t if reference.shape[0] > 1 else 0
        for i in range(k):
            if known[t, i] != 0:
                observed[t, i] = cells[t, i] * np.conj(known[t, i] * reference[row, i]) * (1 / loud[t])
                h = reference[row, i]
                power[t, i] = (h.real**2 + h.imag**2) * (known[t, i].real ** 2 + known[t, i].imag ** 2) / loud[t]
    return observed, power


def match_moving_cells(long_rows: np.ndarray, cells: np.ndarray, pilots: np.ndarray) -> np.ndarray:
    """Do as `match_cells` for a channel that moves during the header, complex64 (n, 52)."""
    raw, noise = _preamble_channel(long_rows)
    response, powers = np.empty(len(raw), np.complex128), np.empty(N_TAPS)
    fit_channel(raw, noise / len(long_rows), ROUNDS, response, powers)
    rows = np.concatenate([long_rows, cells])
    known = np.concatenate([np.ones_like(long_rows), pilots])
    channel = follow_fading(rows, known, np.full(rows.shape, noise), [from_header(powers)], FAST)
    response, error = channel.response[len(long_rows) :], channel.error[len(long_rows) :, None]
    return (cells * response.conj() / (noise + error)).astype(np.complex64)


@kernel
def match_cells(
    long_rows: np.ndarray, cells: np.ndarray, loud: np.ndarray, pilots: np.ndarray, soft: np.ndarray
) -> None:
    """Fill soft, complex64 (n, 52), with cells matched to the preamble's channel, corrected for the pilots' phase, in
    units of the noise."""
    raw, noise = _preamble_channel(long_rows)
    channel, powers = np.empty((1, raw.shape[0]), np.complex128), np.empty(N_TAPS)
    fit_channel(raw, noise / long_rows.shape[0], HEADER_ROUNDS, channel[0], powers)
    observed, power = known_products(cells, pilots, channel, loud)
    phase, timing = track(observed, power, NUMBERS, noise)
    back = np.empty(raw.shape[0], np.complex128)
    matched = np.conj(channel[0]) * (1 / noise)
    for t in range(soft.shape[0]):
        turns(phase[t], timing[t], back)
        quiet = 1 / loud[t]
        for k in range(soft.shape[1]):
            soft[t, k] = cells[t, k] * back[k] * matched[k] * quiet


@kernel
def _refine(long_rows, cells, known, loud, response, powers, by_carrier, phases):
    """Fill in channel (52,), powers of its taps, noise variance per carrier (52,) and phase per symbol, from the
    preamble and all cells of the header; return the variance of the channel's error."""
    raw, noise = _preamble_channel(long_rows)
    n_long, n, k = long_rows.shape[0], known.shape[0], known.shape[1]
    channel = np.empty((1, k), np.complex128)
    error = fit_channel(raw, noise / n_long, 1, channel[0], powers)
    weight = np.sum(1 / loud)
    straight = np.empty((n, k), np.complex128)
    back = np.empty(k, np.complex128)
    for turn in range(2):
        observed, power = known_products(cells, known, channel, loud)
        phase, timing = track(observed, power, NUMBERS, noise)
        # The header's timing is the reference: the channel estimate contains its mean.
        middle = np.mean(timing)
        mean = n_long * raw
        for t in range(n):
            turns(phase[t], timing[t] - middle, back)
            quiet = 1 / loud[t]
            for i in range(k):
                straight[t, i] = cells[t, i] * np.conj(known[t, i]) * back[i]
                mean[i] += straight[t, i] * quiet
        rounds = ROUNDS if turn else 1
        share = 1 / (weight + n_long)
        error = fit_channel(mean * share, noise * share, rounds, channel[0], powers)
        taps = 0
        for tap in range(N_TAPS):
            taps += powers[tap] > 0
        by_carrier[:] = 0
        share = 1 / n
        for t in range(n):
            for i in range(k):
                by_carrier[i] += _squared(straight[t, i] - channel[0, i]) * (share / loud[t])
        noise = max(np.mean(by_carrier) * n * k / (n * k - taps - 4), LEAST_NOISE * np.sum(powers), 1e-30)
    for i in range(k):
        if by_carrier[i] < LOUD * noise:
            by_carrier[i] = noise
    response[:] = channel[0]
    phases[:] = phase
    return error
