"""Hypotheses (descriptions) about the channel after the header, compared on the payload; the most likely is taken."""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from itertools import pairwise

import numpy as np

from tokcom.kernels import kernel
from tokcom.phy.cell_distances import excess
from tokcom.phy.fading import FadingChannel, follow_fading, from_header
from tokcom.phy.gaps import find_gaps
from tokcom.phy.noise_levels import noise_levels
from tokcom.phy.numerology import CARRIERS
from tokcom.phy.observation import NUMBERS, Observation, known_products, shifted, turns
from tokcom.phy.tracking import track

MISFIT_SHARE = 0.1
"""Share by which a payload's errors may exceed the noise before another hypothesis is tried."""
MISFIT_DEVIATIONS = 5.0, 6.5
"""Standard deviations by which they must exceed it, too: over many cells, and over one symbol or carrier, whose sums
have longer tails."""
NEIGHBOURS = 8
"""OFDM symbols per window over which errors are summed."""
STEP_DB = 1.0
"""Smallest step of the gain that is searched for, in dB."""
MAX_STEPS = 4
FEWEST_SYMBOLS = 4
"""Smallest number of symbols in which a step is searched for."""
FADING_ROUNDS = 2
MOST_NOISE = 4.0
"""Noise of the static hypothesis, relative to the header's, above which a moving channel is tried: motion appears as
noise."""


@dataclass(frozen=True)
class Description:
    """Hypothesis about the channel during a burst.

    Attributes:
        name: "static", "gain" or "fading".
        reference: complex64 (n, 52), channel at every cell, phase included.
        noise: float64 (n, 52), noise variance of every cell.
        evidence: log-likelihood of the cells relative to noise alone; NaN if not computed.
        phase: float64 (n,), common phase in rad.
        timing: float64 (n,), timing in rad per carrier.
        gain: float64 (n,), gain per symbol relative to the header's channel, if it steps.
        noise_gain: float64 (n,), gain of the noise power, if the receiver's own gain steps.
        moving: the channel, if it moves.
    """

    name: str
    reference: np.ndarray
    noise: np.ndarray
    evidence: float
    phase: np.ndarray
    timing: np.ndarray
    gain: np.ndarray | None = None
    noise_gain: np.ndarray | None = None
    moving: FadingChannel | None = None


def describe(observation: Observation, samples: np.ndarray) -> tuple[Observation, Description, bool]:
    """Find the most likely description of a burst, and whether it is the plain one: the header's channel to the end.

    Args:
        observation: observation of the burst.
        samples: complex64, from which it was made; gaps are searched for in them.

    Returns:
        The observation, with its windows shifted if samples are missing; the description; whether it is the plain one.
    """
    plain = static(observation)
    if fits(observation, plain):
        return observation, plain, True
    starts = [(observation, plain)]
    shifts = find_gaps(samples, observation)
    if shifts is not None:
        moved = shifted(observation, samples, shifts)
        starts.append((moved, static(moved)))
    tried = [(each, found) for each, start in starts for found in _descriptions(each, start)]
    return *max(tried, key=lambda pair: pair[1].evidence), False


def redescribe(observation: Observation, description: Description) -> Description:
    """Make a description of the same kind from an observation with more known cells."""
    if description.moving is None:
        heard = _heard(observation, description)
        return weighed(observation, static(observation, description.gain, description.noise_gain, heard))
    return fading(observation, description)


def _descriptions(observation: Observation, plain: Description) -> Iterator[Description]:
    heard = _heard(observation, weighed(observation, plain))
    plain = weighed(observation, static(observation, heard=heard))
    yield plain
    for each in _gain_steps(observation, plain):
        yield weighed(observation, each)
    yield fading(observation, plain)


def static(
    observation: Observation, gain: np.ndarray | None = None, noise_gain: np.ndarray | None = None,
    heard: np.ndarray | None = None,
) -> Description:  # fmt: skip
    """Describe the burst by the channel of its header, with phase and timing tracked.

    Args:
        observation: observation of the burst.
        gain: float64 (n,), gain of the channel per symbol; None for 1.
        noise_gain: float64 (n,), gain of the noise power per symbol; None for 1.
        heard: float64 (n,), noise level of each symbol, used for tracking phase and timing; None to take it from the
            idle carriers.
    """
    channel = observation.channel
    n = len(observation.cells)
    response = channel.response[None]
    if gain is not None:
        response = response * gain[:, None]
    reference = np.empty((n, len(CARRIERS)), np.complex64)
    loud = observation.loud if heard is None else heard
    phase, timing = _follow_phase(observation.cells, observation.known, response, loud, channel.noise, reference)
    noise = (channel.noise + channel.error) * observation.loud[:, None]
    if noise_gain is not None:
        noise *= noise_gain[:, None]
    name = "static" if gain is None else "gain"
    return Description(name, reference, noise, np.nan, phase, timing, gain, noise_gain)


def fits(observation: Observation, description: Description) -> bool:
    """Test whether the noise explains the payload's distances from its constellation points and its power: as a whole,
    over any NEIGHBOURS consecutive symbols, and on every carrier."""
    n = observation.n_header
    if len(observation.cells) == n:
        return True
    more, variance = excess(
        observation.cells[n:], description.reference[n:], description.noise[n:], observation.known[n:],
        observation.order[n:],
    )  # fmt: skip
    trained = observation.cells[:n].size
    explained = not _stands_out(more[0], variance[0], trained, False)
    return explained and not _stands_out(more[1], variance[1], trained, True)


def weighed(observation: Observation, description: Description) -> Description:
    """Return the description with the noise estimated from the payload, and its evidence."""
    n = observation.n_header
    if len(observation.cells) == n:
        return replace(description, evidence=0.0)
    levels = noise_levels(
        observation.cells[n:], description.reference[n:], description.noise[n:], observation.known[n:],
        observation.order[n:],
    )  # fmt: skip
    noise = description.noise.copy()
    noise[n:] *= levels.factor
    # Relative to noise with each symbol's power: shifted windows have other cells to explain.
    power = np.maximum((np.abs(observation.cells[n:]) ** 2).mean(axis=1), 1e-30)
    nothing = -len(CARRIERS) * (np.log(power) + 1).sum()
    return replace(description, noise=noise, evidence=levels.evidence - nothing)


def _heard(observation: Observation, description: Description) -> np.ndarray:
    """Estimate each symbol's noise relative to the header's from its known cells, float64 (n,)."""
    ratio = description.noise / (observation.channel.noise + observation.channel.error)
    return np.nanmedian(np.where(observation.known != 0, ratio, np.nan), axis=1)


def _gain_steps(observation: Observation, plain: Description) -> Iterator[Description]:
    """Yield static channels with steps of the gain, if the payload's power shows any: of the signal alone, and of the
    receiver, which scales signal and noise."""
    n = observation.n_header
    base = (np.abs(plain.reference[n:]) ** 2).sum(axis=1)
    power = (np.abs(observation.cells[n:]) ** 2).sum(axis=1)
    noise = observation.channel.noise.sum()
    for ratio, receiver in (((power - noise) / base, False), (power / (base + noise), True)):
        levels = _steps(np.log(np.maximum(ratio, 1e-3)), 10 ** (STEP_DB / 10))
        if np.ptp(levels) or abs(levels[0]) > np.log(10) * STEP_DB / 10:
            gain = np.ones(len(observation.cells))
            gain[n:] = np.exp(levels / 2)
            yield static(observation, gain, gain**2 if receiver else None)


def _steps(values: np.ndarray, least: float) -> np.ndarray:
    """Fit a piecewise constant function: at most MAX_STEPS steps, found greedily where they explain most."""
    if len(values) < FEWEST_SYMBOLS:
        return np.full(len(values), values.mean())
    edges = [0, len(values)]
    spread = max(np.var(np.diff(values)) / 2, 1e-4)
    for _ in range(MAX_STEPS):
        best = (12 * spread, None)
        for a, b in pairwise(edges):
            if b - a < FEWEST_SYMBOLS:
                continue
            sums = np.cumsum(values[a:b])
            left = np.arange(1, b - a)
            right = b - a - left
            gap = sums[:-1] / left - (sums[-1] - sums[:-1]) / right
            gain = gap**2 * left * right / (b - a)
            gain[np.abs(gap) < np.log(least)] = 0
            place = int(np.argmax(gain))
            if gain[place] > best[0]:
                best = (gain[place], a + place + 1)
        if best[1] is None:
            break
        edges = sorted([*edges, best[1]])
    out = np.empty(len(values))
    for a, b in pairwise(edges):
        out[a:b] = values[a:b].mean()
    return out


def fading(observation: Observation, start: Description) -> Description:
    """A channel that moves, by the noise of another description to start with, and by its channel if that moves."""
    slope = _slope(observation.channel.phase)
    n = len(observation.cells)
    turn = np.exp(1j * slope * np.arange(n))[:, None].astype(np.complex64)
    cells = observation.cells * turn.conj()
    usual = np.broadcast_to(observation.channel.noise, (n, len(CARRIERS)))
    priors = [from_header(observation.channel.powers)] if start.moving is None else start.moving.priors
    best, noise = start, np.minimum(start.noise, MOST_NOISE * usual) if start.moving is None else start.noise
    for _ in range(FADING_ROUNDS if start.moving is None else 1):
        moving = follow_fading(cells, observation.known, noise, priors)
        best = Description(
            "fading", (moving.response * turn).astype(np.complex64), usual + moving.error[:, None], np.nan,
            slope * np.arange(n), np.zeros(n), moving=moving,
        )  # fmt: skip
        best = weighed(observation, best)
        noise, priors = best.noise, moving.priors
    return best


def _slope(values: np.ndarray) -> float:
    """Fit a straight line to equally spaced values and return its slope per symbol."""
    places = np.arange(len(values)) - (len(values) - 1) / 2
    return float(places @ values) / max(float(places @ places), 1.0)


@kernel
def _stands_out(more, variance, trained, both_ways):
    """Test whether the excess errors of all cells, any NEIGHBOURS consecutive symbols, any symbol or any carrier are
    significant. more, variance: (n, 52); trained: number of cells from which their noise was estimated; both_ways: a
    deficit counts as much as an excess."""
    n, k = more.shape
    rows, columns = np.zeros((2, n)), np.zeros((2, k))
    _add_up(more, rows[0], columns[0])
    _add_up(variance, rows[1], columns[1])
    many, few = MISFIT_DEVIATIONS
    for t in range(n):
        if _exceeds(rows[0, t], rows[1, t], k, few, trained, both_ways):
            return True
    for i in range(k):
        if _exceeds(columns[0, i], columns[1, i], n, few, trained, both_ways):
            return True
    length = min(NEIGHBOURS, n)
    total, spread = 0.0, 0.0
    for t in range(n):
        total += rows[0, t]
        spread += rows[1, t]
        if t >= length:
            total -= rows[0, t - length]
            spread -= rows[1, t - length]
        if t >= length - 1 and _exceeds(total, spread, length * k, many, trained, both_ways):
            return True
    return _exceeds(rows[0].sum(), rows[1].sum(), n * k, many, trained, both_ways)


@kernel(fastmath=True)
def _add_up(values, rows, columns):
    for t in range(values.shape[0]):
        total = 0.0
        for i in range(values.shape[1]):
            total += values[t, i]
            columns[i] += values[t, i]
        rows[t] = total


@kernel
def _exceeds(more, variance, cells, deviations, trained, both_ways):
    """Test whether a sum of errors exceeds what the cells' noise explains, itself estimated from `trained` cells."""
    if both_ways:
        more = abs(more)
    limit = deviations * np.sqrt(variance + cells * cells / trained)
    return more > limit and more > MISFIT_SHARE * cells


@kernel
def _follow_phase(cells, known, response, loud, carrier_noise, reference):
    """Fill in the channel of every cell, (n, 52), from the response, (n or 1, 52); return phase and timing, (n,)
    each."""
    observed, power = known_products(cells, known, response, loud)
    phase, timing = track(observed, power, NUMBERS, np.mean(carrier_noise))
    back = np.empty(cells.shape[1], np.complex128)
    for t in range(cells.shape[0]):
        row = t if response.shape[0] > 1 else 0
        turns(phase[t], timing[t], back)
        for k in range(cells.shape[1]):
            reference[t, k] = response[row, k] * np.conj(back[k])
    return phase, timing
