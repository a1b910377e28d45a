import numpy as np
import pytest
from scipy.special import j0

from tokcom.phy import grid
from tokcom.phy.channel_estimate import DELAYS, STEERING
from tokcom.phy.fading import SPAN, TAPS, SpanPrior, follow_fading, from_header
from tokcom.phy.numerology import CARRIERS

pytestmark = pytest.mark.filterwarnings("error")


def circular(rng, *shape):
    return (rng.normal(size=shape) + 1j * rng.normal(size=shape)) * np.sqrt(0.5)


def courses(rng, n, doppler, taps):
    """Rayleigh taps of unit mean power with the correlation of Clarke's model, J0, complex128 (n, taps)."""
    times = np.arange(n)
    correlation = j0(2 * np.pi * doppler * (times[:, None] - times))
    values, vectors = np.linalg.eigh(correlation)
    return vectors @ (np.sqrt(np.maximum(values, 0))[:, None] * circular(rng, n, taps))


def a_moving_channel(doppler, delays=(4, 8), n=50, esn0_db=20, seed=0, decided=0.0):
    """Cells, what is known of them, noise and powers as a receiver has them, and the true response. Nine symbols of
    header are known, then four pilots of 52, and a share of other cells."""
    rng = np.random.default_rng(seed)
    steering = np.exp(-2j * np.pi * np.outer(CARRIERS, delays) / 64)
    response = courses(rng, n, doppler, len(delays)) @ steering.T / np.sqrt(len(delays))
    sent = np.exp(1j * np.pi / 4 * (1 + 2 * rng.integers(0, 4, (n, 52))))
    told = rng.random((n, 52)) < decided
    told[:9] = True
    told[np.arange(n)[:, None], grid.pilot_places(n)] = True
    noise = np.full((n, 52), 10 ** (-esn0_db / 10))
    cells = (response * sent + np.sqrt(noise) * circular(rng, n, 52)).astype(np.complex64)
    seen = np.abs(STEERING.conj().T @ response[4]) ** 2 / 52**2 * np.isin(DELAYS, delays)
    return cells, np.where(told, sent, 0).astype(np.complex64), noise, seen, response


def errors(doppler, repeats=12, **options):
    """Mean squared error of the response over that of the noise, and over what is claimed; dopplers found."""
    true, told, found = [], [], []
    for seed in range(repeats):
        cells, known, noise, powers, response = a_moving_channel(doppler, seed=seed, **options)
        channel = follow_fading(cells, known, noise, [from_header(powers)])
        squared = np.mean(np.abs(channel.response - response) ** 2)
        true.append(squared / noise[0, 0])
        told.append(squared / channel.error.mean())
        found.append(channel.doppler)
    return np.mean(true), np.mean(told), np.median(found)


@pytest.mark.parametrize("doppler", [0.0016, 0.0032, 0.008, 0.024])
def test_pilots_tell_where_a_channel_goes(doppler):
    """5 and 10 Hz at 250 kS/s, 100 and 300 Hz at 1 MS/s: what is missed lies below the noise."""
    true, told, _ = errors(doppler)
    assert true < 0.6 and 0.4 < told < 2.5


def test_known_cells_tell_more():
    assert errors(0.008, decided=0.7)[0] < 0.4 * errors(0.008)[0]


def test_the_doppler_spread_is_told_to_a_step():
    slow, fast = errors(0.001)[2], errors(0.03)[2]
    assert slow <= 0.005 and fast >= 0.02


@pytest.mark.parametrize("delays", [(4,), (4, 13), (4, 5, 7, 20)])
def test_echoes_of_any_delay_are_followed(delays):
    """Four pilots 13 carriers apart cannot tell delays 5 apart in one symbol: from symbol to symbol they move."""
    assert errors(0.006, delays=delays)[0] < 0.8


def test_the_estimate_is_the_least_mean_square_one():
    """Beside the closed form for Gaussian taps of flat Doppler spectrum, cell by cell; the functions that are left out
    cost a little."""
    doppler, n = 0.01, 24
    cells, known, noise, powers, _ = a_moving_channel(doppler, n=n, seed=7, esn0_db=15, decided=0.3)
    prior = SpanPrior(powers[TAPS], doppler)
    channel = follow_fading(cells, known, noise, [prior])
    times, carriers = (grid.ravel() for grid in np.mgrid[:n, :52])
    steering = STEERING[:, TAPS] * np.sqrt(prior.powers)
    covariance = np.sinc(2 * doppler * (times[:, None] - times)) * (steering @ steering.conj().T)[carriers][:, carriers]
    told = known.ravel() != 0
    received = cells.ravel()[told] / known.ravel()[told]
    variance = noise.ravel()[told] / np.abs(known.ravel()[told]) ** 2
    gain = np.linalg.solve(covariance[told][:, told] + np.diag(variance), covariance[told]).conj().T
    expected = (gain @ received).reshape(n, 52)
    left = (np.diagonal(covariance) - np.einsum("ij,ji->i", gain, covariance[told])).real.reshape(n, 52).mean(axis=1)
    assert np.mean(np.abs(channel.response - expected) ** 2) < 0.02 * left.mean()
    np.testing.assert_allclose(channel.error, left, rtol=0.05)


def test_long_bursts_are_followed_in_spans_without_seams():
    n = 3 * SPAN
    cells, known, noise, powers, response = a_moving_channel(0.005, n=n, seed=3)
    channel = follow_fading(cells, known, noise, [from_header(powers)])
    error = np.mean(np.abs(channel.response - response) ** 2, axis=1) / noise[0, 0]
    assert len(channel.priors) > 2 and error.mean() < 0.6 and np.quantile(error, 0.98) < 3
    again = follow_fading(cells, known, noise, channel.priors)
    assert np.mean(np.abs(again.response - response) ** 2) / noise[0, 0] < 0.6


def test_a_span_that_is_noise_is_not_believed():
    """From symbol 20 on, noise as loud as the signal; it is said to be."""
    cells, known, noise, powers, response = a_moving_channel(0.002, seed=5)
    rng = np.random.default_rng(0)
    cells[20:] += circular(rng, 30, 52).astype(np.complex64)
    noise[20:] += 1.0
    channel = follow_fading(cells, known, noise, [from_header(powers)])
    assert np.mean(np.abs(channel.response[:15] - response[:15]) ** 2) < 0.5 * noise[0, 0]
    assert channel.error[40:].mean() > 3 * channel.error[:15].mean()


def test_silence_is_no_channel():
    silent = np.zeros((30, 52), np.complex64)
    channel = follow_fading(silent, np.ones_like(silent), np.full((30, 52), 1e-3), [from_header(np.zeros(len(DELAYS)))])
    assert not channel.response.any()
