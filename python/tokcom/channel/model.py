"""Radio channel with the faults of both front ends, for streams of complex baseband samples."""

import math
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from tokcom.channel.disturbances import Gaps, Impulses, Interferer, Noise
from tokcom.channel.front_end import clip, receive
from tokcom.channel.multipath import Multipath, load_profile, profile_names
from tokcom.channel.oscillator import PhaseNoise, Resampler, Rotator
from tokcom.errors import ParameterError

NO_MULTIPATH = "none"
PIECE = 16384
"""Samples taken through all stages at a time, few enough to stay in the processor's cache."""
LARGEST_DOPPLER = 0.1
"""Cycles per sample."""
RANGES = {
    "reference_power": (1e-12, 1e12, ""),
    "clip_db": (-20, math.inf, " dB"),
    "doppler_hz": (0, 1e9, " Hz"),
    "rician_k_db": (-math.inf, 100, " dB"),
    "cfo_hz": (-1e12, 1e12, " Hz"),
    "linewidth_hz": (0, 1e9, " Hz"),
    "sfo_ppm": (-1000, 1000, " ppm"),
    "interferer_db": (-math.inf, 100, " dB"),
    "interferer_hz": (-1e12, 1e12, " Hz"),
    "impulse_rate": (0, 1e12, " per second"),
    "impulse_length": (1, 1e9, " samples"),
    "impulse_db": (-100, 100, " dB"),
    "snr_db": (-100, math.inf, " dB"),
    "noise_power": (0, 1e12, ""),
    "iq_gain_db": (-20, 20, " dB"),
    "iq_phase_deg": (-90, 90, " degrees"),
    "gap_rate": (0, 1e12, " per second"),
    "gap_length": (1, 1e9, " samples"),
}
SHARES_OF_RATE = {
    "doppler_hz": LARGEST_DOPPLER, "cfo_hz": 0.5, "linewidth_hz": 0.1, "interferer_hz": 0.5, "impulse_rate": 1,
    "gap_rate": 1,
}  # fmt: skip
"""Settings whose magnitude the sample rate limits, with the limit as a share of it."""
RANDOM = ("multipath", "phase noise", "interferer", "impulse times", "impulses", "noise", "gaps")
"""Random stages, each with its own generator. Append new ones, so that the others' draws do not change."""


@dataclass(frozen=True)
class ChannelSettings:
    """Settings of a channel, in the order in which its stages act. The defaults leave the signal unchanged.

    Powers in dB are relative to `reference_power`, the mean power of the signal while it is on the air. For bursts of
    unit mean power on 52 of 64 OFDM carriers, Es/N0 of a carrier is snr_db + 10 log10(64/52) = snr_db + 0.9 dB.

    Args:
        reference_power: linear power, above 0.
        clip_db: the transmitter clips at this level, in dB relative to the reference power; inf for no clipping.
        profile: multipath profile, a row of profiles.json (see `load_profile`); "none" for no multipath.
        doppler_hz: maximum Doppler shift in Hz, at most 0.1 of the sample rate; 0 for gains that are drawn once and
            kept.
        rician_k_db: K-factor of the first path in dB; -inf for Rayleigh fading.
        cfo_hz: carrier frequency offset in Hz; positive if the transmitter's carrier is the higher one.
        linewidth_hz: linewidth in Hz of the oscillators' phase noise, a Wiener process.
        sfo_ppm: sampling clock offset in ppm; positive if the transmitter's clock is the faster one, so that the
            receiver takes fewer samples than were sent.
        interferer_db: power of a continuous wave in dB; -inf for no interferer.
        interferer_hz: frequency of that wave relative to the carrier, in Hz.
        impulse_rate: mean number of impulses per second.
        impulse_length: length of each impulse in samples.
        impulse_db: power of the impulses in dB.
        snr_db: reference power over the power of white Gaussian noise, in dB; inf for no noise.
        noise_power: linear noise power per sample, in place of snr_db; 0 for no noise.
        iq_gain_db: the receiver's gain imbalance, Q relative to I, in dB.
        iq_phase_deg: the receiver's phase imbalance, the error of the angle between Q and I, in degrees.
        dc_offset: the receiver's complex DC offset, relative to a full scale of 1.
        gap_rate: mean number of gaps per second.
        gap_length: samples lost per gap.

    Raises:
        ParameterError: a setting is out of its range.
    """

    reference_power: float = 1.0
    clip_db: float = math.inf
    profile: str = NO_MULTIPATH
    doppler_hz: float = 0.0
    rician_k_db: float = -math.inf
    cfo_hz: float = 0.0
    linewidth_hz: float = 0.0
    sfo_ppm: float = 0.0
    interferer_db: float = -math.inf
    interferer_hz: float = 0.0
    impulse_rate: float = 0.0
    impulse_length: int = 10
    impulse_db: float = 20.0
    snr_db: float = math.inf
    noise_power: float = 0.0
    iq_gain_db: float = 0.0
    iq_phase_deg: float = 0.0
    dc_offset: complex = 0.0
    gap_rate: float = 0.0
    gap_length: int = 100

    def __post_init__(self) -> None:
        for name, (low, high, unit) in RANGES.items():
            value = getattr(self, name)
            if not low <= _number(value) <= high:
                raise ParameterError(f"{name} is {value!r}; it must be a number from {low} to {high}{unit}")
        for name in ("impulse_length", "gap_length"):
            if getattr(self, name) != int(getattr(self, name)):
                raise ParameterError(f"{name} is {getattr(self, name)!r}; it must be a whole number of samples")
        if not isinstance(self.dc_offset, int | float | complex) or not abs(self.dc_offset) <= 1:
            raise ParameterError(f"dc_offset is {self.dc_offset!r}; it must be a number of magnitude at most 1")
        if self.noise_power and self.snr_db != math.inf:
            raise ParameterError(
                f"noise_power is {self.noise_power} and snr_db {self.snr_db}; only one of them can be given"
            )
        if self.profile != NO_MULTIPATH:
            self._check_profile()

    def _check_profile(self) -> None:
        if self.profile not in profile_names():
            allowed = ", ".join((NO_MULTIPATH, *profile_names()))
            raise ParameterError(f"profile is {self.profile!r}; it must be one of {allowed}")
        if not load_profile(self.profile).fades:
            for name, off in (("doppler_hz", 0), ("rician_k_db", -math.inf)):
                if getattr(self, name) != off:
                    raise ParameterError(
                        f"{name} is {getattr(self, name)}; profile {self.profile} is static and allows {off} only"
                    )

    def power(self, level_db: float) -> float:
        """Convert a level in dB relative to the reference power to linear power; 0 for -inf dB."""
        return self.reference_power * 10 ** (level_db / 10)


class ChannelModel:
    """Channel for one stream, whose output is bit for bit the same however the stream is split into chunks.

    The stages, in order: the transmitter's clipping; multipath; carrier frequency offset and phase noise; sampling
    clock offset; interferer, impulses and noise; the receiver's IQ imbalance and DC offset; gaps. Each random stage has
    its own generator, so none changes when another is switched on. A NaN or infinite sample spoils only the outputs
    within the channel's memory.

    Args:
        settings: settings of the channel.
        sample_rate: sample rate in Hz, above 0.
        seed: seed of all random stages, an integer, at least 0.

    Raises:
        ParameterError: a parameter is out of its range, or a setting exceeds what the sample rate allows.
    """

    def __init__(self, settings: ChannelSettings, sample_rate: float, seed: int):
        if not 0 < _number(sample_rate) < math.inf:
            raise ParameterError(f"sample_rate is {sample_rate!r}; it must be a number above 0 Hz")
        if not isinstance(seed, int | np.integer) or seed < 0:
            raise ParameterError(f"seed is {seed!r}; it must be an integer, at least 0")
        self.sample_rate = float(sample_rate)
        sequences = np.random.SeedSequence(int(seed)).spawn(len(RANDOM))
        rngs = {name: np.random.default_rng(sequence) for name, sequence in zip(RANDOM, sequences, strict=True)}
        self._rng = rngs["multipath"]
        self._multipath: Multipath | None = None
        self._rotator, self._phase_noise = Rotator(), PhaseNoise(rngs["phase noise"])
        self._resampler, self._interferer = Resampler(), Interferer(rngs["interferer"])
        self._impulses = Impulses(rngs["impulse times"], rngs["impulses"])
        self._noise, self._gaps = Noise(rngs["noise"]), Gaps(rngs["gaps"])
        self._clip_level = math.inf
        self._check(settings)
        self._configure(settings, new_paths=True)

    @property
    def settings(self) -> ChannelSettings:
        """Settings in force."""
        return self._settings

    @property
    def delay(self) -> int:
        """Delay of the stream in samples due to interpolation: paths between samples, sampling clock offset."""
        return (self._multipath.delay if self._multipath else 0) + self._resampler.delay

    def change(self, **settings: Any) -> None:
        """Change settings, by name, from the next sample on.

        Carriers continue without a jump in phase. Another profile, Doppler shift or K-factor begins with new gains and
        an empty delay line. The first clock offset other than 0 delays the stream (see `delay`) from there on.

        Raises:
            ParameterError: as for the constructor, and for an unknown name; nothing is changed then.
        """
        unknown = [name for name in settings if name not in ChannelSettings.__dataclass_fields__]
        if unknown:
            allowed = ", ".join(ChannelSettings.__dataclass_fields__)
            raise ParameterError(f"{unknown[0]!r} is not a setting of a channel; the settings are {allowed}")
        new, old = replace(self._settings, **settings), self._settings
        self._check(new)
        paths = ("profile", "doppler_hz", "rician_k_db")
        self._configure(new, new_paths=any(getattr(new, name) != getattr(old, name) for name in paths))

    def process(self, samples: np.ndarray) -> np.ndarray:
        """Pass the next samples of the stream through the channel.

        Args:
            samples: complex array (n,).

        Returns:
            complex64 array (m,), never the array given; m differs from n only with a sampling clock offset or gaps.
        """
        samples = np.asarray(samples, np.complex64)
        pieces = [self._process(samples[i : i + PIECE].copy()) for i in range(0, len(samples), PIECE)]
        return pieces[0] if len(pieces) == 1 else np.concatenate(pieces or [np.zeros(0, np.complex64)])

    def most_outputs(self, n_inputs: int) -> int:
        """Upper bound on the number of output samples for n_inputs input samples."""
        return self._resampler.most_outputs(n_inputs)

    def _process(self, samples: np.ndarray) -> np.ndarray:
        settings = self._settings
        samples = clip(samples, self._clip_level)
        if self._multipath:
            samples = self._multipath.process(samples)
        samples = self._phase_noise.process(self._rotator.process(samples))
        samples = self._resampler.process(samples)
        samples = self._noise.process(self._impulses.process(self._interferer.process(samples)))
        samples = receive(samples, settings.iq_gain_db, settings.iq_phase_deg, settings.dc_offset)
        return self._gaps.process(samples)

    def _check(self, settings: ChannelSettings) -> None:
        rate = self.sample_rate
        for name, share in SHARES_OF_RATE.items():
            value, limit = getattr(settings, name), share * rate
            if abs(value) > limit:
                raise ParameterError(
                    f"{name} is {value}; at a sample_rate of {rate} Hz its magnitude must be at most {limit}"
                )

    def _configure(self, settings: ChannelSettings, new_paths: bool) -> None:
        rate = self.sample_rate
        self._settings = settings
        # Beyond 300 dB single precision is exhausted.
        self._clip_level = math.sqrt(settings.power(settings.clip_db)) if settings.clip_db < 300 else math.inf
        if new_paths and settings.profile == NO_MULTIPATH:
            self._multipath = None
        elif new_paths:
            self._multipath = Multipath(
                load_profile(settings.profile), rate, settings.doppler_hz, settings.rician_k_db, self._rng
            )
        self._rotator.set_frequency(settings.cfo_hz / rate)
        self._phase_noise.set_linewidth(settings.linewidth_hz / rate)
        self._resampler.set_offset(settings.sfo_ppm * 1e-6)
        self._interferer.set_frequency(settings.interferer_hz / rate)
        self._interferer.power = settings.power(settings.interferer_db)
        self._impulses.power = settings.power(settings.impulse_db)
        self._impulses.stretches.set(settings.impulse_rate / rate, int(settings.impulse_length))
        self._noise.power = settings.noise_power or settings.power(-settings.snr_db)
        self._gaps.stretches.set(settings.gap_rate / rate, int(settings.gap_length))


def _number(value: object) -> float:
    """Convert a value to float; NaN if it is not a number."""
    return float(value) if isinstance(value, int | float | np.number) and not isinstance(value, bool) else math.nan
