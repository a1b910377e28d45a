import numpy as np
import pytest

from tokcom.packets.header import BurstHeader
from tokcom.phy.burst import modulate, plan_burst
from tokcom.phy.demodulator import demodulate_burst, retrain
from tokcom.phy.observation import value_places
from tokcom.phy.profile import profile
from tokcom.phy.synchronization import Synchronization

pytestmark = pytest.mark.filterwarnings("error")

STANDARD = profile("standard")
LEAD, PAYLOAD = 100, 100 + STANDARD.preamble_length + 9 * 80
MCS = {"BPSK": 0, "QPSK": 3, "16-QAM": 6, "64-QAM": 9}


def gaussian(rng, n, power=1.0):
    return (rng.normal(size=n) + 1j * rng.normal(size=n)) * np.sqrt(power / 2)


def a_burst(kind="16-QAM", packets=60, seed=0):
    rng = np.random.default_rng(seed)
    header = BurstHeader(5, 77, 0x12345678, (4 * packets,), 4, 10, np.full(packets, MCS[kind]))
    n = plan_burst(header, STANDARD).payload_values
    if kind == "BPSK":
        symbols = 2.0 * rng.integers(0, 2, n) - 1
    else:
        side = {"QPSK": 2, "16-QAM": 4, "64-QAM": 8}[kind]
        parts = (2 * rng.integers(0, side, (2, n)) - (side - 1)) / np.sqrt(2 * (side**2 - 1) / 3)
        symbols = parts[0] + 1j * parts[1]
    symbols = symbols.astype(np.complex64)
    return header, symbols, np.r_[np.zeros(LEAD), modulate(header, symbols, STANDARD), np.zeros(100)]


def demodulated(samples, header, esn0_db, seed=1):
    rng = np.random.default_rng(seed)
    noisy = samples * np.exp(0.01j * np.arange(len(samples))) + gaussian(rng, len(samples), 10 ** (-esn0_db / 10))
    sync = Synchronization(STANDARD, LEAD + STANDARD.long_start - 4, 0.01, 0.9)
    return demodulate_burst(noisy.astype(np.complex64), sync, header)


def misfit(burst, symbols):
    """Mean squared error of the symbols, each in units of its stated noise: 1 where the receiver knows it."""
    return np.mean(np.abs(burst.symbols - symbols) ** 2 / burst.noise_variance)


@pytest.mark.parametrize("kind", MCS)
@pytest.mark.parametrize("esn0_db", [4, 12, 25])
def test_a_channel_at_rest_is_taken_for_one(kind, esn0_db):
    for seed in range(12):
        header, symbols, samples = a_burst(kind, seed=seed)
        burst = demodulated(samples, header, esn0_db, seed)
        assert burst.plain and burst.description.name == "static" and 0.7 < misfit(burst, symbols) < 1.4


@pytest.mark.parametrize("step_db", [-6, -3, 3, 6])
@pytest.mark.parametrize("kind", ["QPSK", "16-QAM", "64-QAM"])
def test_a_step_of_the_gain_is_followed(kind, step_db):
    header, symbols, samples = a_burst(kind)
    samples[PAYLOAD + 80 * 9 + 20 :] *= 10 ** (step_db / 20)
    burst = demodulated(samples, header, 25)
    known = burst.noise_variance < 0.2
    assert known.mean() > 0.9 and np.mean(np.abs(burst.symbols - symbols)[known] ** 2) < 0.03


@pytest.mark.parametrize("kind", ["QPSK", "16-QAM"])
@pytest.mark.parametrize("fault", ["noise", "silence", "another burst", "tone"])
def test_the_noise_is_as_loud_as_the_payload_shows(kind, fault):
    """What comes after the header is not what it promised: 20 dB are claimed for no symbol that has them not."""
    header, symbols, samples = a_burst(kind)
    rng = np.random.default_rng(2)
    tail = slice(PAYLOAD + 400, len(samples))
    if fault == "noise":
        samples[tail] += gaussian(rng, len(samples[tail]))
    elif fault == "silence":
        samples[tail] = 0
    elif fault == "another burst":
        samples[tail] += a_burst(kind, seed=9)[2][500:][: len(samples[tail])]
    else:
        samples[tail] += np.exp(0.777j * np.arange(len(samples[tail])))
    burst = demodulated(samples, header, 20)
    assert not burst.plain and misfit(burst, symbols) < 2.5


@pytest.mark.parametrize("kind", ["QPSK", "16-QAM"])
@pytest.mark.parametrize("seed", range(4))
def test_phase_does_not_follow_what_runs_into_the_pilots(kind, seed):
    """Noise of the burst's own power, from its middle on, where nothing turned: four pilots say it by .35 rad."""
    header, symbols, samples = a_burst(kind, seed=seed)
    tail = slice(PAYLOAD + 400, len(samples))
    samples[tail] += gaussian(np.random.default_rng(seed), len(samples[tail]))
    burst = demodulated(samples, header, 25, seed)
    phase = burst.description.phase
    places = np.arange(len(phase))
    assert np.std(phase - np.polyval(np.polyfit(places, phase, 1), places)) < 0.05
    assert 0.8 < misfit(burst, symbols) < 1.1


@pytest.mark.parametrize(("kind", "in_a_symbol", "of_a_cell"), [("QPSK", 2.5, 40), ("16-QAM", 10, 120)])
@pytest.mark.parametrize("seed", range(3))
def test_short_training_that_runs_in_makes_no_symbol_too_sure(kind, in_a_symbol, of_a_cell, seed):
    """Twelve of the carriers are hit by 6 dB more than the burst's own power, the others by nothing.

    If all cells of a symbol were taken to be as loud, errors would be 100 times what is stated, of single cells 500
    times. In 16-QAM, what is right between neighbours is too sure of the points beyond.
    """
    header, symbols, samples = a_burst(kind, seed=seed)
    start = PAYLOAD + 800
    samples[start:] += a_burst(kind, seed=seed + 20)[2][LEAD:][: len(samples) - start] * np.exp(2j * seed)
    burst = demodulated(samples, header, 20, seed)
    error = np.abs(burst.symbols - symbols) ** 2 / burst.noise_variance
    rows = value_places(len(symbols), burst.observation.n_header) // 52
    by_row = np.bincount(rows, error)[burst.observation.n_header :] / np.bincount(rows)[burst.observation.n_header :]
    assert by_row.max() < in_a_symbol and error.max() < of_a_cell


def test_a_channel_that_turns_is_followed_to_the_end():
    """Two taps whose sum fades and comes back, as at walking pace, in a burst of 40 symbols."""
    header, symbols, samples = a_burst()
    time = np.arange(len(samples)) / len(samples)
    echo = np.r_[np.zeros(5), samples[:-5]]
    moving = samples * np.exp(2j * np.pi * 0.3 * time) + 0.7 * echo * np.exp(-2j * np.pi * 0.4 * time)
    burst = demodulated(moving, header, 22)
    assert burst.description.name == "fading" and burst.quality.doppler > 0
    assert misfit(burst, symbols) < 2 and np.median(np.abs(burst.symbols - symbols) ** 2) < 0.02


def test_packets_that_are_decoded_train_it_for_the_rest():
    header, symbols, samples = a_burst("QPSK", packets=100)
    rng = np.random.default_rng(4)
    time = np.arange(len(samples)) / len(samples)
    moving = sum(
        np.r_[np.zeros(delay), samples[: len(samples) - delay]] * np.exp(2j * np.pi * (turn * time + rng.random()))
        for delay, turn in ((0, 1.1), (3, -1.3), (9, 0.6))
    ) / np.sqrt(3)
    first = demodulated(moving, header, 15)
    known = rng.random(len(symbols)) < 0.6
    second = retrain(first, symbols, known)
    others = ~known
    before = np.mean(np.abs(first.symbols - symbols)[others] ** 2 / first.noise_variance[others].clip(0.03))
    after = np.mean(np.abs(second.symbols - symbols)[others] ** 2 / first.noise_variance[others].clip(0.03))
    assert after < 0.97 * before
