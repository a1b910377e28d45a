import numpy as np
import pytest

from tokcom.mcs import find_mcs
from tokcom.phy.numerology import CARRIERS
from tokcom_lab.air import genie, impairments
from tokcom_lab.air.air_interface import carriers_of, payload_windows
from tokcom_lab.air.bursts import CODEBOOK, noise_power, placed, random_burst
from tokcom_lab.air.paths import Paths


def crossing(seed, mcs="16qam-1/2", packets=64):
    rng = np.random.default_rng(seed)
    sent = random_burst(rng, seed, mcs, packets)
    return rng, sent, *placed(sent, rng)


@pytest.mark.parametrize("mcs", ["qpsk-1/2", "16qam-1/2", "64qam-3/4"])
def test_in_noise_alone_it_loses_what_the_table_of_schemes_says(mcs):
    esn0_db = find_mcs(mcs).per10_esn0_db
    lost = []
    for seed in range(24):
        rng, sent, samples, start = crossing(seed, mcs)
        samples = samples + impairments.noise(len(samples), noise_power(esn0_db), rng)
        truth = genie.told(sent, start, None, noise_power(esn0_db))
        lost.append(1 - genie.decode(sent, samples, truth, (CODEBOOK,)).mean())
    assert np.mean(lost) == pytest.approx(0.1, abs=0.03)


@pytest.mark.parametrize("delays", [(0, 4), (0, 15), (0, 2.5, 7.3)])
def test_it_is_told_the_channel_of_every_symbol_and_carrier(delays):
    rng, sent, samples, start = crossing(3)
    paths = Paths.rayleigh(delays, np.zeros(len(delays)), 2e-5, len(samples), rng)
    truth = genie.told(sent, start, paths, 1e-3)
    received = carriers_of(paths.through(samples), truth.starts) / truth.gains
    meant = carriers_of(samples, start + payload_windows(sent.header, sent.profile)) / genie.CARRIER_GAIN
    strong = np.abs(truth.gains) > 0.3
    assert strong.mean() > 0.6
    assert np.sqrt(np.mean(np.abs(received - meant)[strong] ** 2)) < 0.02


def test_the_noise_that_it_is_told_is_the_noise_that_there_is():
    rng, sent, samples, start = crossing(4)
    power = np.full(len(samples), 0.01)
    power[start + 3000 : start + 3400] = 1.0
    truth = genie.told(sent, start, None, power)
    errors = np.mean(
        [np.abs(carriers_of(impairments.noise(len(samples), power, rng), truth.starts)) ** 2 for _ in range(400)],
        axis=0,
    )
    assert np.allclose(errors.mean(axis=1), truth.variance[:, 0], rtol=0.1)


@pytest.mark.parametrize("missing", [2, 9, 30])
def test_the_power_that_leaves_the_prefix_is_that_of_random_symbols(missing):
    rng, draws = np.random.default_rng(5), 20_000
    spectra = np.zeros((2, draws, 64), complex)
    spectra[:, :, CARRIERS] = np.sign(rng.standard_normal((2, draws, 52)))
    own, other = np.fft.ifft(spectra) * 64 / np.sqrt(52)
    window = own.copy()
    window[:, :missing] = other[:, :missing]
    carriers = np.fft.fft(window)[:, CARRIERS] / 8
    useful = genie.CARRIER_GAIN * (1 - missing / 64) * spectra[0][:, CARRIERS]
    assert np.allclose(np.mean(np.abs(carriers - useful) ** 2, axis=0), genie.spill(missing), rtol=0.06)


def test_the_window_spares_what_it_can():
    _, sent, _, start = crossing(6)
    windows = start + payload_windows(sent.header, sent.profile)
    late = genie.told(sent, start, Paths.still([0, 16], [1, 1]), 1e-3)
    assert np.array_equal(late.starts, windows) and late.variance == pytest.approx(1e-3)
    beyond = genie.told(sent, start, Paths.still([0, 20], [1, 0.1]), 1e-3)
    assert np.array_equal(beyond.starts, windows)  # the weak echo suffers
    precursor = genie.told(sent, start, Paths.still([0, 20], [0.1, 1]), 1e-3)
    assert np.array_equal(precursor.starts, windows + 4)
    assert beyond.variance.mean() > 1e-3 < precursor.variance.mean()


def test_what_it_is_told_to_be_lost_costs_less_than_what_it_believes():
    rng, sent, samples, start = crossing(7)
    level = noise_power(9)
    jam = np.zeros(len(samples))
    jam[start + 2000 : start + 3200] = 4.0
    samples = samples + impairments.noise(len(samples), level + jam, rng)
    told, believed = genie.told(sent, start, None, level + jam), genie.told(sent, start, None, level)
    right = [genie.decode(sent, samples, truth, (CODEBOOK,)).sum() for truth in (told, believed)]
    assert right[0] > right[1]
