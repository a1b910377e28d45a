"""Multipath: tapped delay lines, static or fading."""

from dataclasses import dataclass

import numpy as np

from tokcom.channel.fading import FadingFilter, FadingGains, draw_gains
from tokcom.channel.interpolation import DELAY, TAPS, fractional_delay
from tokcom.errors import ParameterError
from tokcom.kernels import kernel
from tokcom.tables import load_table, table_row

NEAR = 1e-6
"""Delays this close to a whole number of samples, in samples, are rounded to it."""


@dataclass(frozen=True)
class Profile:
    """Multipath profile: a row of profiles.json.

    Args:
        name: name of the row.
        delays: delays of the paths, in seconds, or in samples if `in_samples`.
        in_samples: whether delays are in samples.
        powers: mean linear powers of fading paths, of sum 1; None for static paths.
        gains: complex gains of static paths; None for fading paths.

    Raises:
        ParameterError: the row is not a valid profile.
    """

    name: str
    delays: np.ndarray
    in_samples: bool
    powers: np.ndarray | None
    gains: np.ndarray | None

    def __post_init__(self) -> None:
        given = self.powers if self.gains is None else self.gains
        if given is None or not 0 < len(self.delays) == len(given) or min(self.delays) < 0:
            raise ParameterError(f"profile {self.name!r} needs as many powers or gains as delays, none below 0")

    @property
    def fades(self) -> bool:
        """Whether the gains of the paths are random."""
        return self.powers is not None

    def draw(self, rician_k_db: float, rng: np.random.Generator) -> np.ndarray:
        """Draw the gains at one instant, complex128 (paths,); those of a static profile are fixed."""
        return draw_gains(self.powers, rician_k_db, rng) if self.fades else self.gains


def load_profile(name: str) -> Profile:
    """Load a row of profiles.json: flat, epa, eva, etu (3GPP TS 36.104, annex B.2), three-path (static).

    Raises:
        ParameterError: there is no such row.
    """
    row = table_row("tokcom.channel", "profiles", "profile", name)
    in_samples, static = "delays_samples" in row, "gains" in row
    delays = np.array(row["delays_samples"], float) if in_samples else np.array(row["delays_ns"], float) * 1e-9
    if static:
        return Profile(name, delays, in_samples, None, np.array(row["gains"], float) @ [1, 1j])
    powers = 10 ** (np.array(row["powers_db"], float) / 10)
    return Profile(name, delays, in_samples, powers / powers.sum(), None)


def profile_names() -> tuple[str, ...]:
    """List the names of the rows of profiles.json."""
    return tuple(load_table("tokcom.channel", "profiles"))


def path_filters(profile: Profile, sample_rate: float) -> tuple[np.ndarray, np.ndarray, int]:
    """Compute the delay of each path as an FIR filter, over the offsets that any of them uses.

    Paths between samples are interpolated (see `fractional_delay`), which delays all paths by its DELAY. If every path
    falls on a sample, each is one tap and there is no such delay.

    Args:
        profile: the paths.
        sample_rate: sample rate in Hz.

    Returns:
        Offsets in samples, int64 (taps,), ascending; filters, float64 (paths, taps); delay in samples of a path of
        delay 0.
    """
    delays = profile.delays * (1 if profile.in_samples else sample_rate)
    whole = np.floor(delays + NEAR).astype(int)
    fraction = np.where(np.abs(delays - np.rint(delays)) < NEAR, 0, delays - whole)
    late = DELAY if fraction.any() else 0
    dense = np.zeros((len(delays), whole.max() + (TAPS if late else 1)))
    for row, first, part in zip(dense, whole, fraction, strict=True):
        if part:
            row[first : first + TAPS] = fractional_delay(part)
        else:
            row[first + late] = 1
    offsets = np.flatnonzero(np.any(dense, axis=0))
    return offsets, dense[:, offsets], late


class Multipath:
    """Multipath channel for a stream.

    At a Doppler shift of 0 the gains are drawn once and kept (block fading); above, they follow the classical spectrum,
    interpolated linearly between closely spaced values.

    Args:
        profile: the paths.
        sample_rate: sample rate in Hz.
        doppler_hz: maximum Doppler shift in Hz; 0 for a static profile.
        rician_k_db: K-factor of the first path in dB; -inf for Rayleigh fading.
        rng: generator of the gains.
    """

    def __init__(
        self, profile: Profile, sample_rate: float, doppler_hz: float, rician_k_db: float, rng: np.random.Generator
    ):
        self._offsets, filters, self.delay = path_filters(profile, sample_rate)
        self._history = np.zeros(self._offsets[-1], np.complex64)
        self._fading: FadingFilter | None = None
        if profile.fades and doppler_hz > 0:
            gains = FadingGains(profile.powers, doppler_hz / sample_rate, rician_k_db, rng)
            self._fading = FadingFilter(gains, self._offsets, filters)
        else:
            self._taps = (profile.draw(rician_k_db, rng) @ filters).astype(np.complex64)

    def process(self, samples: np.ndarray) -> np.ndarray:
        """Filter the next samples of the stream, complex64 (n,), to complex64 (n,)."""
        padded = np.concatenate([self._history, samples])
        memory, self._history = len(self._history), padded[len(samples) :].copy()
        out = np.zeros(len(samples), np.complex64)
        if self._fading:
            self._fading.process(padded, out)
        else:
            _filter(padded, memory, self._offsets, self._taps, out)
        return out


@kernel
def _filter(padded, memory, offsets, taps, out):
    """Add the filtered samples to out; padded begins `memory` samples before out."""
    for k in range(offsets.shape[0]):
        tap, first = taps[k], memory - offsets[k]
        for i in range(out.shape[0]):
            out[i] += tap * padded[first + i]
