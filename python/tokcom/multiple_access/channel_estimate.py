"""Detection of senders, with frequency offset and channel of each, from one port's pilots at a time."""

from dataclasses import dataclass
from functools import lru_cache

import numpy as np

from tokcom.multiple_access.plan import (
    PORT_BOOST,
    MultiUserPlan,
    pilot_values,
    port_places,
)
from tokcom.phy.numerology import CARRIERS, FFT_SIZE, IDLE_CARRIERS

DELAYS = np.arange(21)
"""Delays in samples, from the start of the receiver's windows, that a channel may have."""
WIDEST_CFO = 2 * np.pi * 0.004
"""Radians per sample by which a transmitter may differ from the mean of all: 4 kHz at 1 MS/s."""
HEARD = 3.0
"""Likelihood ratio that pilots must reach, in units of what the noise's best guess brings on average, to be heard."""
LEAKAGE = 0.002
"""Share of what all ports receive that carriers of others may hear of them, for transmitters whose offsets differ."""
ITERATIONS = 12
STEPS = 3
"""Points per resolution cell of the search for a frequency."""
LEAST_POWER = 1e-12


@dataclass(frozen=True)
class PortChannel:
    """The channel of one port.

    Attributes:
        port: its number.
        heard: whether anybody sends on it.
        frequency: carrier offset in rad/sample, relative to that of the windows.
        response: complex64 (52,), at the first training sample, on CARRIERS.
        error: float, mean variance of an estimate of the response.
        delay: samples from the start of the windows to the mean of the channel's energy.
        power: mean of |response|^2.
    """

    port: int
    heard: bool
    frequency: float
    response: np.ndarray
    error: float
    delay: float
    power: float

    def at(self, starts: np.ndarray) -> np.ndarray:
        """complex64 (n, 52): the response in windows that start at these samples, counted as plan.starts."""
        turns = np.exp(1j * self.frequency * starts)
        return (turns[:, None] * self.response).astype(np.complex64)


def noise_of(spectra: np.ndarray) -> float:
    """Noise power per carrier from those that nobody uses; spectra are complex (n, 64)."""
    return float(np.mean(np.abs(spectra[:, IDLE_CARRIERS % FFT_SIZE]) ** 2))


def estimate_port(
    plan: MultiUserPlan, port: int, training: np.ndarray, symbols: np.ndarray, noise: float
) -> tuple[PortChannel, float]:
    """Frequency and channel of one port.

    The frequency is that at which the pilots of all symbols fit one channel of 21 taps best; the taps' powers are
    learnt with them (sparse Bayesian learning, Tipping 2001), so that noise comes in only where paths are.

    Args:
        plan: what is agreed upon.
        port: its number.
        training: complex (4, 52), what was received on CARRIERS in the training's repetitions.
        symbols: complex (n_symbols, 52), in the OFDM symbols after it.
        noise: power per carrier.

    Returns:
        The channel, and the mean power of what it leaves of the pilots, per carrier.
    """
    observed, rows, times = _pilots(plan, port, training, symbols)
    noise /= float(PORT_BOOST) ** 2
    frequency, gain = _frequency(observed, rows, times)
    floor = noise + LEAKAGE * float(np.mean(np.abs(training) ** 2))
    # The best of many frequencies explains more of pure noise than its taps would.
    heard = gain > HEARD * floor * (len(DELAYS) + np.log(len(observed)))
    turned = observed * np.exp(-1j * frequency * times)
    taps, covariance = _taps(rows, turned, max(noise, LEAST_POWER))
    response = _fourier() @ taps
    error = float(np.einsum("ij,jk,ik->", _fourier(), covariance, _fourier().conj()).real / len(CARRIERS))
    left = turned - rows @ taps
    energy = np.abs(taps) ** 2
    channel = PortChannel(
        port, bool(heard), frequency, response.astype(np.complex64), error,
        float(energy @ DELAYS / max(energy.sum(), LEAST_POWER)), float(np.mean(np.abs(response) ** 2)),
    )  # fmt: skip
    return channel, float(np.mean(np.abs(left) ** 2)) * float(PORT_BOOST) ** 2


def _pilots(
    plan: MultiUserPlan, port: int, training: np.ndarray, symbols: np.ndarray
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Pilots (n,) freed of their signs, what each tap adds to them (n, taps), and their times in samples (n,)."""
    places = port_places(port, -1)
    observed, where = [], []
    for repetition, row in enumerate(training):
        observed.append(row[places] * pilot_values(-1)[places])
        where.append((places, np.full(len(places), repetition * FFT_SIZE)))
    for symbol in plan.pilot_symbols:
        places = port_places(port, symbol)
        observed.append(symbols[symbol, places] * pilot_values(symbol)[places])
        where.append((places, np.full(len(places), plan.starts[symbol])))
    carriers = np.concatenate([each for each, _ in where])
    times = np.concatenate([each for _, each in where])
    return np.concatenate(observed) / PORT_BOOST, _fourier()[carriers], times


@lru_cache(maxsize=1)
def _fourier() -> np.ndarray:
    """complex128 (52, taps): what a tap is on CARRIERS."""
    return np.exp(-2j * np.pi * CARRIERS[:, None] * DELAYS / FFT_SIZE)


def _frequency(observed: np.ndarray, rows: np.ndarray, times: np.ndarray) -> tuple[float, float]:
    """The frequency, rad/sample, and the energy that the taps explain there, in units of an observation's noise."""
    span = times.max() + FFT_SIZE
    count = int(np.ceil(WIDEST_CFO / np.pi * span * STEPS / 2)) * 2 + 1
    grid = np.linspace(-WIDEST_CFO, WIDEST_CFO, count)
    gram = rows.conj().T @ rows
    # Taps of equal power, weak enough not to be fitted to noise.
    inverse = np.linalg.inv(gram + np.trace(gram).real / len(gram) * 0.05 * np.eye(len(gram)))

    def explained(frequencies: np.ndarray) -> np.ndarray:
        matched = (np.exp(-1j * frequencies[:, None] * times) * observed) @ rows.conj()
        return np.einsum("fi,ij,fj->f", matched.conj(), inverse, matched).real

    best = int(np.argmax(values := explained(grid)))
    frequency, step = grid[best], grid[1] - grid[0]
    for _ in range(3):
        around = frequency + step * np.array([-0.5, 0.0, 0.5])
        left, middle, right = explained(around)
        bend = left - 2 * middle + right
        if bend < 0:
            frequency += np.clip(0.25 * step * (left - right) / bend, -0.5 * step, 0.5 * step)
        step /= 4
    return float(frequency), float(values[best])


def _taps(rows: np.ndarray, observed: np.ndarray, noise: float) -> tuple[np.ndarray, np.ndarray]:
    """Mean (taps,) and covariance of the taps."""
    gram, matched = rows.conj().T @ rows / noise, rows.conj().T @ observed / noise
    powers = np.full(len(DELAYS), max(float(np.mean(np.abs(observed) ** 2)) / len(DELAYS), noise))
    for _ in range(ITERATIONS):
        covariance = np.linalg.inv(gram + np.diag(1 / powers))
        mean = covariance @ matched
        powers = np.maximum(np.abs(mean) ** 2 + np.diag(covariance).real, LEAST_POWER)
    return mean, covariance
