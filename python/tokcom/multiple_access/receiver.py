"""Receiver of bursts that several transmitters send at once."""

from dataclasses import dataclass, field
from itertools import combinations

import numpy as np

from tokcom.errors import BurstError, HeaderError
from tokcom.multiple_access.channel_estimate import PortChannel, estimate_port, noise_of
from tokcom.multiple_access.header import UserHeader, decode_header
from tokcom.multiple_access.plan import (
    PORT_BOOST,
    PORTS,
    REPETITIONS,
    TRAINING_GUARD,
    MultiUserPlan,
    port_places,
)
from tokcom.phy import grid
from tokcom.phy.numerology import CARRIERS, FFT_SIZE

BACKOFF = 4
"""Samples by which windows start ahead of the first path."""
EXCHANGEABLE = 9.0
"""Energy of a slot by which two channels differ, over the noise, below which exchanged tokens can pass."""
TELLING = 1.5
"""Power of what is left of the pilots, relative to the noise, from which somebody else is on their carriers."""


@dataclass(frozen=True)
class HeardUser:
    """A transmitter in a burst.

    Attributes:
        channel: of its port.
        header: what its header says; None where that did not arrive.
        esn0_db: its Es/N0 in dB.
        trouble: why there is no header; empty where there is one.
    """

    channel: PortChannel
    header: UserHeader | None
    esn0_db: float
    trouble: str = ""

    @property
    def port(self) -> int:
        return self.channel.port


@dataclass(frozen=True)
class MultiUserObservation:
    """A burst as received.

    Attributes:
        plan: what is agreed upon.
        users: those heard, by port.
        values: complex64 (n_slots, length), what was received in the slots.
        channels: complex64 (users, n_slots, length), each user's channel there.
        noise: float32 (n_slots, length), power of noise and of the channels' errors.
        noise_power: of the noise alone, per carrier.
        frequency: mean carrier offset in rad/sample, which was taken out.
        hints: what was noticed, in words.
        cells: complex64 (payload_symbols, 52), all cells of the payload.
        cell_channels: complex64 (users, payload_symbols, 52), the channels there.
    """

    plan: MultiUserPlan
    users: tuple[HeardUser, ...]
    values: np.ndarray
    channels: np.ndarray
    noise: np.ndarray
    noise_power: float
    frequency: float
    hints: tuple[str, ...] = ()
    cells: np.ndarray = field(default_factory=lambda: np.zeros(0), repr=False)
    cell_channels: np.ndarray = field(default_factory=lambda: np.zeros(0), repr=False)


def observe(
    samples: np.ndarray, start: int, frequency: float, plan: MultiUserPlan, expected: tuple[int, ...] | None = None
) -> MultiUserObservation:
    """Demodulate a burst.

    Args:
        samples: complex64 (n,), which hold the burst.
        start: index of the first path's first training sample, its guard included.
        frequency: mean carrier offset in rad/sample.
        plan: what is agreed upon.
        expected: ports that are expected to send, for the hints; None: any.

    Raises:
        BurstError: the samples end before the burst does, hold values that are not finite, or nobody is heard.
    """
    first = start + TRAINING_GUARD - BACKOFF
    starts = first + np.concatenate([FFT_SIZE * np.arange(REPETITIONS), plan.starts])
    if starts[0] < 0 or starts[-1] + FFT_SIZE > len(samples):
        raise BurstError(f"a burst of {plan.length} samples from {start} on does not lie in {len(samples)} samples")
    part = np.ascontiguousarray(samples[starts[0] : starts[-1] + FFT_SIZE], np.complex64)
    if not np.isfinite(part.view(np.float32)).all():
        raise BurstError("the burst holds samples that are not finite")
    spectra = grid.carriers_of(part, starts - starts[0], frequency) * np.float32(np.sqrt(len(CARRIERS) / FFT_SIZE))
    noise = noise_of(spectra)
    used = spectra[:, CARRIERS % FFT_SIZE]
    training, symbols = used[:REPETITIONS], used[REPETITIONS:]
    found = [estimate_port(plan, port, training, symbols, noise) for port in range(PORTS)]
    left = float(np.mean([residue for channel, residue in found]))
    heard = [channel for channel, _ in found if channel.heard]
    if not heard:
        raise BurstError("nobody is heard in the burst: no port's pilots stand out of the noise")
    users = tuple(_user(plan, channel, symbols, noise) for channel in heard)
    times = plan.starts[plan.data_symbols]
    cell_channels = np.stack([channel.at(times) for channel in heard])
    cells = symbols[plan.data_symbols]
    # Slots meet cells by number; what channels are not known by is noise, too.
    slots = plan.slot_cells
    total = max(noise, 1e-30) + sum(channel.error for channel in heard)
    values = cells.reshape(-1)[slots]
    turns = np.stack([plan.turns(channel.port) for channel in heard])
    channels = cell_channels.reshape(len(heard), -1)[:, slots] * turns
    return MultiUserObservation(
        plan, users, values, channels, np.full(slots.shape, total, np.float32), noise, frequency,
        (*_hints(users, expected, left / max(noise, 1e-30)), *_alike(users, channels, total)), cells, cell_channels,
    )  # fmt: skip


def _alike(users: tuple[HeardUser, ...], channels: np.ndarray, noise: float) -> list[str]:
    """Hints of transmitters whose tokens could be exchanged and hardly change what is received."""
    told = []
    for one, two in combinations(range(len(users)), 2):
        apart = np.mean(np.sum(np.abs(channels[one] - channels[two]) ** 2, axis=1)) / noise
        if apart < EXCHANGEABLE:
            told.append(
                f"ports {users[one].port} and {users[two].port} have nearly the same channel: context alone tells "
                "their tokens apart"
            )
    return told


def _user(plan: MultiUserPlan, channel: PortChannel, symbols: np.ndarray, noise: float) -> HeardUser:
    rows = plan.header_symbols
    response = channel.at(plan.starts[rows])
    places = np.stack([port_places(channel.port, symbol) for symbol in rows])
    lines = np.arange(len(rows))[:, None]
    weighted = symbols[rows[:, None], places] * response[lines, places].conj() * PORT_BOOST
    esn0_db = float(10 * np.log10(max(channel.power, 1e-30) / max(noise, 1e-30)))
    try:
        return HeardUser(channel, decode_header((weighted / max(noise, 1e-30)).ravel()), esn0_db)
    except HeaderError as error:
        return HeardUser(channel, None, esn0_db, str(error))


def _hints(users: tuple[HeardUser, ...], expected: tuple[int, ...] | None, left: float) -> tuple[str, ...]:
    hints = [f"port {user.port}: {user.trouble}" for user in users if user.header is None]
    ports = {user.port for user in users}
    if expected is not None:
        hints += [f"port {port} is silent" for port in sorted(set(expected) - ports)]
        hints += [f"port {port} sends though it is not expected" for port in sorted(ports - set(expected))]
    if left > TELLING:
        hints.append(
            f"pilots are {10 * np.log10(left):.1f} dB noisier than empty carriers: two transmitters on a port?"
        )
    return tuple(hints)
