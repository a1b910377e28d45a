"""Profiles: how long a preamble is and how often the header is sent. The receiver tells them by the preamble."""

from dataclasses import dataclass
from functools import cache, cached_property

import numpy as np

from tokcom.phy import numerology
from tokcom.tables import load_table, table_row


@dataclass(frozen=True)
class Profile:
    """A row of profiles.json.

    Attributes:
        name: "standard" or "robust".
        short_periods: repetitions of the 16 samples of the short training.
        long_sequence: values of the long training symbol.
        long_guard: samples of cyclic prefix ahead of each long symbol that has one of its own (the first, where
            `long_spacing` is 64).
        long_spacing: samples from one long symbol to the next.
        long_signs: sign of each long symbol.
        header_copies: how often the header is sent.
        window: samples over which the detector averages.
        threshold: of the detector's metric, 0 to 1.
        long_threshold: share of the energy, 0 to 1, that a long training shows at least.
        repeat_threshold: share of the energy, squared, that a long training repeats at least from one of its symbols
            to the next, for the detector to look for it without the short one.
        source: where it is from.
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
        """Samples of the short training."""
        return self.short_periods * numerology.SHORT_PERIOD

    @cached_property
    def long_start(self) -> int:
        """Samples from the burst's start to its first long symbol, after that symbol's guard."""
        return self.short_length + self.long_guard

    @cached_property
    def preamble_length(self) -> int:
        """Samples of the whole preamble."""
        return self.long_start + (len(self.long_signs) - 1) * self.long_spacing + numerology.FFT_SIZE

    @cached_property
    def long_values(self) -> np.ndarray:
        """float64 (52,): the long symbol's values on CARRIERS."""
        return numerology.long_values(self.long_sequence)

    @cached_property
    def long_pattern(self) -> np.ndarray:
        """float32 (n, 52): the values of each long symbol, its sign included."""
        return (np.array(self.long_signs)[:, None] * self.long_values).astype(np.float32)

    @cached_property
    def long_symbol(self) -> np.ndarray:
        """complex64 (64,): the long symbol, of unit mean power."""
        return numerology.time_domain(self.long_values, numerology.CARRIERS).astype(np.complex64)

    @cached_property
    def preamble(self) -> np.ndarray:
        """complex64 (preamble_length,), of unit mean power."""
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
    """A profile by name.

    Raises:
        ParameterError: no such name.
    """
    row = dict(table_row("tokcom.phy", "profiles", "profile", name))
    return Profile(name, long_signs=tuple(row.pop("long_signs")), **row)


def profile_names() -> tuple[str, ...]:
    """Names of all profiles."""
    return tuple(load_table("tokcom.phy", "profiles"))
