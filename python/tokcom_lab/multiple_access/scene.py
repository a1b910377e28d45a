"""Several transmitters, a channel for each, and one receiver: what every scheme of multiple access is measured in."""

from dataclasses import dataclass
from functools import cached_property

import numpy as np

from tokcom.channel.awgn import noise_variance
from tokcom.channel.model import NO_MULTIPATH
from tokcom.channel.multipath import load_profile, path_filters
from tokcom.errors import ParameterError
from tokcom.frame import TokenFrame
from tokcom.multiple_access.burst import modulate_cells, token_cells
from tokcom.multiple_access.frames import header_of
from tokcom.multiple_access.plan import PORTS, MultiUserPlan
from tokcom.multiple_access.receiver import MultiUserObservation, observe
from tokcom.multiple_access.searcher import MultiUserSearcher
from tokcom.phy.numerology import CARRIERS, FFT_SIZE

SAMPLE_RATE = 1e6
LEAD, TAIL = 400, 600
"""Samples of noise around a burst."""
NOISE_PER_SAMPLE = FFT_SIZE / len(CARRIERS)
"""Power of a sample's noise over that of a carrier's: 52 carriers make a mean power of 1."""


@dataclass(frozen=True)
class Surroundings:
    """Channel between transmitters and receiver.

    Args:
        profile: row of channel/profiles.json with Rayleigh fading, drawn for every burst and transmitter and constant
            meanwhile (block fading); "none": a random phase alone.
        controlled: transmitters control their power: each burst arrives at the Es/N0 asked for on average over its
            carriers. Otherwise that is the mean over all bursts.
        cfo_hz: offsets of carriers are drawn from plus or minus half of this; where there are two transmitters, theirs
            differ by just this.
        timing: samples by which the last transmitter is later than the first; others lie between.
        near_far_db: by which the first transmitter is stronger than the others, which keep their Es/N0.
        alike: all transmitters have the same channel.

    Raises:
        ParameterError: the profile does not fade.
    """

    profile: str = "etu"
    controlled: bool = True
    cfo_hz: float = 100.0
    timing: int = 2
    near_far_db: float = 0.0
    alike: bool = False

    def __post_init__(self) -> None:
        if self.profile != NO_MULTIPATH and not load_profile(self.profile).fades:
            raise ParameterError(f"profile is {self.profile!r}; a scene needs one that fades, or none")


@dataclass(frozen=True)
class Scene:
    """Frames of several transmitters that meet at a receiver.

    Args:
        frames: one per transmitter, of one codebook.
        plan: what is agreed upon.
        esn0_db: Es/N0 per transmitter in dB.
        surroundings: what lies between.
        seed: of channels and noise.
    """

    frames: tuple[TokenFrame, ...]
    plan: MultiUserPlan
    esn0_db: float
    surroundings: Surroundings
    seed: int

    @cached_property
    def tokens(self) -> np.ndarray:
        """int32 (users, n_slots): what is sent."""
        return np.stack([frame.tokens for frame in self.frames])

    @cached_property
    def noise(self) -> float:
        """Power per carrier."""
        return noise_variance(self.esn0_db)

    @cached_property
    def amplitudes(self) -> np.ndarray:
        """float64 (users,): of the transmitters."""
        return 10 ** (np.where(np.arange(len(self.frames)) == 0, self.surroundings.near_far_db, 0) / 20)

    @cached_property
    def paths(self) -> tuple[np.ndarray, np.ndarray]:
        """Offsets in samples, int64 (taps,), and gains, complex128 (users, taps), of the channels."""
        around, rng = self.surroundings, np.random.default_rng([self.seed, 1])
        users = len(self.frames)
        if around.profile == NO_MULTIPATH:
            offsets, gains = np.zeros(1, int), np.exp(2j * np.pi * rng.random((users, 1)))
        else:
            profile = load_profile(around.profile)
            offsets, filters, _ = path_filters(profile, SAMPLE_RATE)
            gains = np.stack([profile.draw(-np.inf, rng) @ filters for _ in range(users)])
        if around.controlled:
            response = np.exp(-2j * np.pi * CARRIERS[:, None] * offsets / FFT_SIZE) @ gains.T
            gains = gains / np.sqrt(np.mean(np.abs(response) ** 2, axis=0))[:, None]
        if around.alike:
            gains = np.repeat(gains[:1], users, axis=0)
        return offsets, gains

    @cached_property
    def carrier_esn0_db(self) -> np.ndarray:
        """float64 (users, 52): Es/N0 of each carrier, for schemes without a waveform."""
        offsets, gains = self.paths
        response = np.exp(-2j * np.pi * CARRIERS[:, None] * offsets / FFT_SIZE) @ gains.T
        return (20 * np.log10(np.maximum(np.abs(response), 1e-6)).T + 20 * np.log10(self.amplitudes)[:, None]) + (
            self.esn0_db
        )

    def observe(self, cells: np.ndarray | None = None) -> MultiUserObservation:
        """Receive the burst.

        Args:
            cells: complex64 (users, payload_symbols, 52), in place of the tokens' modulation vectors.

        Raises:
            BurstError: it is not found, or cannot be demodulated.
        """
        if cells is None:
            cells = np.stack([token_cells(self.plan, port, each.tokens) for port, each in enumerate(self.frames)])
        offsets, gains = self.paths
        around, rng = self.surroundings, np.random.default_rng([self.seed, 2])
        users = len(self.frames)
        n = LEAD + self.plan.length + TAIL
        total = np.zeros(n, np.complex128)
        shift = rng.uniform(-0.5, 0.5) * 1000
        for user in range(users):
            burst = modulate_cells(self.plan, user % PORTS, header_of(self.plan, self.frames[user]), cells[user])
            heard = np.zeros(n, np.complex128)
            late = round(around.timing * user / max(users - 1, 1))
            for offset, gain in zip(offsets, gains[user], strict=True):
                heard[LEAD + late + offset : LEAD + late + offset + len(burst)] += gain * burst
            apart = user / max(users - 1, 1) - 0.5
            cfo = 2 * np.pi * (shift + apart * around.cfo_hz) / SAMPLE_RATE
            total += self.amplitudes[user] * heard * np.exp(1j * cfo * np.arange(n))
        noise = rng.standard_normal((n, 2)) @ [1, 1j] * np.sqrt(self.noise * NOISE_PER_SAMPLE / 2)
        found = MultiUserSearcher(self.plan).push((total + noise).astype(np.complex64))
        if not found:
            return observe(np.zeros(0, np.complex64), 0, 0.0, self.plan)
        first = found[0]
        return observe(first.samples, first.start, first.frequency, self.plan, tuple(range(users)))
