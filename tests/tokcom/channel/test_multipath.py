import math

import numpy as np
import pytest

from tokcom.channel.fading import draw_gains
from tokcom.channel.interpolation import DELAY
from tokcom.channel.multipath import Multipath, Profile, load_profile, path_filters
from tokcom.errors import ParameterError


def taps_of(name, rate, rng):
    """What a profile that does not move makes of an impulse."""
    profile = load_profile(name)
    impulse = np.zeros(path_filters(profile, rate)[0][-1] + 1, np.complex64)
    impulse[0] = 1
    return Multipath(profile, rate, 0.0, -math.inf, rng).process(impulse)


@pytest.mark.parametrize(
    ("name", "paths", "spread_ns", "longest_ns"), [("epa", 7, 43, 410), ("eva", 9, 357, 2510), ("etu", 9, 991, 5000)]
)
def test_profiles_have_the_delay_spread_that_the_standard_says(name, paths, spread_ns, longest_ns):
    """3GPP TS 36.101, annex B.2."""
    profile = load_profile(name)
    mean = profile.powers @ profile.delays
    spread = math.sqrt(profile.powers @ (profile.delays - mean) ** 2)
    assert len(profile.delays) == paths and round(spread * 1e9) == spread_ns
    assert profile.delays.max() == pytest.approx(longest_ns * 1e-9) and profile.powers.sum() == pytest.approx(1)


def test_drawn_gains_have_the_profiles_powers_and_do_not_depend_on_each_other():
    profile, rng = load_profile("epa"), np.random.default_rng(0)
    gains = np.array([profile.draw(-math.inf, rng) for _ in range(10000)])
    correlation = gains.conj().T @ gains / len(gains) / np.sqrt(np.outer(profile.powers, profile.powers))
    assert np.abs(correlation - np.eye(7)).max() < 0.05


def test_taps_have_the_frequency_response_of_the_paths():
    profile, rate = load_profile("eva"), 4e6
    gains = draw_gains(profile.powers, -math.inf, np.random.default_rng(3))
    taps = taps_of("eva", rate, np.random.default_rng(3))
    used = np.pi * np.linspace(-0.8, 0.8, 201)
    wanted = np.exp(-1j * np.outer(used, profile.delays * rate + DELAY)) @ gains
    got = np.exp(-1j * np.outer(used, np.arange(len(taps)))) @ taps
    assert taps.dtype == np.complex64 and np.abs(got - wanted).max() < 3e-3


def test_mean_power_of_the_taps_is_1_over_the_band_in_use():
    rng, used = np.random.default_rng(1), np.pi * np.linspace(-0.8, 0.8, 51)
    taps = np.array([taps_of("etu", 1e6, rng) for _ in range(1500)])
    response = taps @ np.exp(-1j * np.outer(np.arange(taps.shape[1]), used))
    assert np.mean(np.abs(response) ** 2) == pytest.approx(1, abs=0.05)


def test_paths_on_samples_are_single_taps_and_not_late():
    offsets, filters, late = path_filters(load_profile("epa"), 100e6)
    assert list(offsets) == [0, 3, 7, 9, 11, 19, 41] and late == 0 and np.array_equal(filters, np.eye(7))
    taps = taps_of("three-path", 1e6, np.random.default_rng(0))
    assert np.array_equal(taps, np.array([1, 0, 0.5j, 0, 0, 0.3], np.complex64))


@pytest.mark.parametrize("name", ["epa", "three-path"])
def test_a_stream_without_doppler_meets_one_realisation(name):
    profile = load_profile(name)
    taps = taps_of(name, 2e6, np.random.default_rng(5))
    samples = np.random.default_rng(1).standard_normal((300, 2)).astype(np.float32).view(np.complex64)[:, 0]
    stream = Multipath(profile, 2e6, 0.0, -math.inf, np.random.default_rng(5))
    assert np.allclose(stream.process(samples), np.convolve(samples, taps)[:300], atol=1e-5)


def test_unknown_profiles_are_named():
    with pytest.raises(ParameterError, match=r"'tdl-a'.*flat, epa, eva, etu, three-path"):
        load_profile("tdl-a")


def test_a_row_that_is_no_profile_is_refused():
    with pytest.raises(ParameterError, match="'odd'"):
        Profile("odd", np.array([0.0, 1.0]), False, np.array([1.0]), None)
