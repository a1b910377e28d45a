"""Profiles: length of the preamble and repetitions of the header. The receiver recognises them by the preamble."""

from dataclasses import dataclass
from functools import cache, cached_property

import numpy as np

from tokcom.phy import numerology
from tokcom.tables import load_table, table_row


@dataclass(frozen=True)
class Profile:
    """Profile: a row of profiles.json.

    Attributes:
        name: "standard" or "robust".
        short_periods: repetitions of the 16 samples of the short training.
        long_sequence: values of the long training symbol.
        long_guard: samples of cyclic prefix before each long symbol that has one (only the first if `long_spacing` is
            64).
        long_spacing: samples from one long symbol to the next.
        long_signs: sign of each long symbol.
        header_copies: number of times the header is sent.
        window: samples over which the detector averages.
        threshold: threshold of the detector's metric, 0 to 1.
        long_threshold: smallest share of the energy in a long training, 0 to 1.
        repeat_threshold: smallest squared correlation, relative to the energy, between a long training's symbols for
            the detector to look for it without the short one.
        source: origin of the values.
    """

    name: str
    short_periods: int
    long_sequence: str
    long_guard: int
    long_spacing: int
    long_signs: tuple[int, ...]
    header_copies: int
    window: int
    threshold: float
    long_threshold: float
    repeat_threshold: float
    source: str

    @cached_property
    def short_length(self) -> int:
        """Length of the short training in samples."""
        return self.short_periods * numerology.SHORT_PERIOD

    @cached_property
    def long_start(self) -> int:
        """Samples from the burst's start to its first long symbol, after that symbol's guard."""
        return self.short_length + self.long_guard

    @cached_property
    def preamble_length(self) -> int:
        """Length of the whole preamble in samples."""
        return self.long_start + (len(self.long_signs) - 1) * self.long_spacing + numerology.FFT_SIZE

    @cached_property
    def long_values(self) -> np.ndarray:
        """Values of the long symbol on CARRIERS, float64 (52,)."""
        return numerology.long_values(self.long_sequence)

    @cached_property
    def long_pattern(self) -> np.ndarray:
        """Values of each long symbol, sign included, float32 (n, 52)."""
        return (np.array(self.long_signs)[:, None] * self.long_values).astype(np.float32)

    @cached_property
    def long_symbol(self) -> np.ndarray:
        """Samples of the long symbol, of unit mean power, complex64 (64,)."""
        return numerology.time_domain(self.long_values, numerology.CARRIERS).astype(np.complex64)

    @cached_property
    def preamble(self) -> np.ndarray:
        """Samples of the preamble, of unit mean power, complex64 (preamble_length,)."""
        out = np.zeros(self.preamble_length, np.complex64)
        out[: self.short_length] = np.tile(numerology.short_symbol(), self.short_periods)
        for i, sign in enumerate(self.long_signs):
            start = self.long_start + i * self.long_spacing
            guard = self.long_guard if i == 0 or self.long_spacing > numerology.FFT_SIZE else 0
            out[start - guard : start + numerology.FFT_SIZE] = (
                sign * np.r_[self.long_symbol[numerology.FFT_SIZE - guard :], self.long_symbol]
            )
        return out


@cache
def profile(name: str) -> Profile:
    """Look up a profile by name.

    Raises:
        ParameterError: no such name.
    """
    row = dict(table_row("tokcom.phy", "profiles", "profile", name))
    return Profile(name, long_signs=tuple(row.pop("long_signs")), **row)


def profile_names() -> tuple[str, ...]:
    """List the names of all profiles."""
    return tuple(load_table("tokcom.phy", "profiles"))
