import numpy as np
import pytest
from scipy.signal import resample

from tokcom.phy.hints import (
    CLIPPED_SHARE,
    HALF,
    INVERTED,
    REMEDIES,
    TWICE,
    clipped_share,
    first_rise,
    rate_offset,
    what_is_wrong,
)
from tokcom.phy.profile import profile
from tokcom.phy.synchronization import Synchronization

PROFILES = [profile("standard"), profile("robust")]
each_profile = pytest.mark.parametrize("each", PROFILES, ids=lambda each: each.name)


def gaussian(rng, n, power=1.0):
    return (rng.normal(size=n) + 1j * rng.normal(size=n)) * np.sqrt(power / 2)


def received(preamble, seed, noise=0.05):
    rng = np.random.default_rng(seed)
    samples = np.concatenate([np.zeros(64), preamble, gaussian(rng, 4096 - len(preamble))])
    turned = samples * np.exp(1j * rng.uniform(-0.05, 0.05) * np.arange(len(samples)))
    return (turned + gaussian(rng, len(samples), noise)).astype(np.complex64)


@each_profile
@pytest.mark.parametrize("seed", range(5))
def test_a_preamble_in_another_guise_is_recognised(each, seed):
    whole = each.preamble
    guises = {
        INVERTED: whole.conj(),
        TWICE: resample(whole, len(whole) // 2),
        HALF: resample(whole, 2 * len(whole)),
    }
    for hint, samples in guises.items():
        assert what_is_wrong(received(samples, seed), PROFILES) == hint and hint in REMEDIES


@each_profile
def test_nothing_is_said_of_noise_tones_and_good_preambles(each):
    rng = np.random.default_rng(1)
    for seed in range(10):
        assert what_is_wrong(received(each.preamble, seed), PROFILES) == ""
        assert what_is_wrong(gaussian(rng, 4160).astype(np.complex64), PROFILES) == ""
    assert what_is_wrong(np.exp(0.3j * np.arange(4160)).astype(np.complex64), PROFILES) == ""
    assert what_is_wrong(np.zeros(4160, np.complex64), PROFILES) == ""


def test_short_pieces_hold_nothing():
    for n in (0, 1, 7, 300):
        assert what_is_wrong(np.ones(n, np.complex64), PROFILES) == ""


@each_profile
@pytest.mark.parametrize("fast", [-0.01, -0.005, 0.0, 0.0001, 0.005, 0.01])
def test_the_clocks_offset_shows_in_the_long_symbols(each, fast):
    n = each.preamble_length + 256
    stretched = resample(np.r_[np.zeros(128), each.preamble, np.zeros(128)], round(n / (1 + fast)))
    exact = n / len(stretched) - 1
    samples = stretched + gaussian(np.random.default_rng(0), len(stretched), 0.01)
    start = round((128 + each.long_start) / (1 + exact)) - 4
    sync = Synchronization(each, start, 0.0, 0.9)
    # Of eight long symbols the last has moved out of its window at 1%.
    tolerance = 0.0005 if each.name == "standard" else 0.0005 + abs(exact) * 0.3
    assert rate_offset(samples.astype(np.complex64), sync) == pytest.approx(exact, abs=tolerance)


@pytest.mark.parametrize(("limit", "share"), [(9.0, 0.0), (2.0, 0.0003), (1.0, 0.05), (0.5, 0.4)])
def test_clipped_samples_are_counted(limit, share):
    samples = gaussian(np.random.default_rng(2), 20000, 1.0)
    clipped = np.clip(samples.real, -limit, limit) + 1j * np.clip(samples.imag, -limit, limit)
    exact = np.mean((np.abs(samples.real) >= limit) | (np.abs(samples.imag) >= limit))
    found = clipped_share((0.1 * clipped + 0.02 - 0.01j).astype(np.complex64))
    assert found == pytest.approx(exact, abs=0.001) and found >= share and (found > CLIPPED_SHARE) == (limit < 2.5)


def test_what_is_not_clipped_is_not_called_so():
    rng = np.random.default_rng(3)
    for n in (0, 1, 5, 1040, 5000):
        assert clipped_share(gaussian(rng, n).astype(np.complex64)) <= CLIPPED_SHARE
    coarse = np.round(gaussian(rng, 5000) * 12) / 128
    assert clipped_share(coarse.astype(np.complex64)) <= CLIPPED_SHARE


def test_a_rise_is_found_where_it_begins():
    energies = np.ones(100)
    assert first_rise(energies, 0, 16, 4.0) == -1
    energies[40:] = 100
    first = first_rise(energies, 0, 16, 4.0)
    assert 24 < first <= 40 and first_rise(energies, 60, 16, 4.0) == -1
    energies[:16] = np.inf
    assert first_rise(energies[:40], 0, 16, 4.0) == -1
