from itertools import product

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.signal import czt

from tokcom.errors import BurstError, HeaderError, TokcomError
from tokcom.packets.header import BurstHeader
from tokcom.packets.mcs_map import MCS_NOT_SENT
from tokcom.phy.burst import modulate, plan_burst
from tokcom.phy.demodulator import burst_end, demodulate_burst, header_end, receive_header
from tokcom.phy.numerology import CARRIERS
from tokcom.phy.profile import profile
from tokcom.phy.synchronization import Synchronization

pytestmark = pytest.mark.filterwarnings("error")

STANDARD, ROBUST = profile("standard"), profile("robust")
both = pytest.mark.parametrize("each", (STANDARD, ROBUST), ids=lambda each: each.name)
LEAD = 100
"""Samples ahead of the burst."""


def gaussian(rng, n, power=1.0):
    return (rng.normal(size=n) + 1j * rng.normal(size=n)) * np.sqrt(power / 2)


def a_burst(each, mcs=(3,) * 40, seed=0):
    """Header, constellation symbols (random phases) and samples with silence around."""
    header = BurstHeader(5, 77, 0x12345678, (4 * len(mcs),), 4, 10, np.array(mcs))
    phases = np.random.default_rng(seed).integers(0, 4, plan_burst(header, each).payload_values)
    symbols = np.exp(1j * np.pi / 4 * (1 + 2 * phases)).astype(np.complex64)
    return header, symbols, np.r_[np.zeros(LEAD), modulate(header, symbols, each), np.zeros(200)]


def turned(samples, frequency):
    return samples * np.exp(1j * frequency * np.arange(len(samples)))


def sync_of(each, frequency=0.0, early=4):
    return Synchronization(each, LEAD + each.long_start - early, frequency, 0.9)


def demodulate(samples, sync):
    return demodulate_burst(samples.astype(np.complex64), sync)


def slow_receiver(samples, ppm):
    """The samples of a receiver whose clock is slow by so much, by the trigonometric polynomial through them."""
    n, ratio = len(samples), 1 + ppm * 1e-6
    spectrum = np.fft.fftshift(np.fft.fft(samples))
    turns = np.exp(-2j * np.pi * (n // 2) * ratio / n * np.arange(n))
    return czt(spectrum, n, np.exp(2j * np.pi * ratio / n)) * turns / n


@both
@given(
    frequency=st.floats(-0.6, 0.6), error=st.floats(-0.002, 0.002), early=st.integers(0, 12), scale=st.floats(1e-5, 1e5)
)
def test_a_clean_burst_comes_back(each, frequency, error, early, scale):
    """Whatever its frequency, its scale, and where in the cyclic prefix the windows begin."""
    header, symbols, samples = a_burst(each)
    burst = demodulate(scale * turned(samples, frequency), sync_of(each, frequency + error, early))
    assert burst.header == header and burst.profile is each
    assert np.max(np.abs(burst.symbols - symbols)) < 0.05
    assert burst.quality.cfo == pytest.approx(frequency, abs=2e-5) and burst.quality.evm_db < -40


@both
@pytest.mark.parametrize("scale", [1e-6, 1.0, 1e5])
def test_a_burst_without_any_noise_is_no_division_by_zero(each, scale):
    """Both long trainings are then the same to the last bit."""
    header, symbols, samples = a_burst(each)
    burst = demodulate(scale * samples, sync_of(each))
    assert burst.header == header and np.allclose(burst.symbols, symbols, atol=1e-3)
    assert (burst.noise_variance > 0).all() and np.isfinite(burst.noise_variance).all()


@both
@pytest.mark.parametrize("esn0_db", [5, 12, 25])
@pytest.mark.parametrize("taps", [(1,), (0.8, 0, 0, 0.5j, 0, -0.33)], ids=["one path", "three paths"])
def test_it_knows_how_wrong_its_symbols_are(each, esn0_db, taps):
    """The squared error over the variance that it claims is 1 in the mean; Es/N0 is told to a decibel or so."""
    rng = np.random.default_rng(esn0_db)
    ratios, told = [], []
    for seed in range(8):
        header, symbols, samples = a_burst(each, seed=seed)
        received = np.convolve(samples, taps)
        received = turned(received + gaussian(rng, len(received), 10 ** (-esn0_db / 10)), 0.02)
        burst = demodulate(received, sync_of(each, 0.0205))
        assert burst.header == header
        ratios.append(np.abs(burst.symbols - symbols) ** 2 / burst.noise_variance)
        told.append(burst.quality.esn0_db)
    # A cell of unit power stands beside empty carriers: 64/52 or 0.9 dB more than a sample's.
    gain_db = 10 * np.log10(64 / 52 * np.sum(np.abs(taps) ** 2))
    assert 0.85 < np.mean(ratios) < 1.6
    assert np.mean(told) == pytest.approx(esn0_db + gain_db, abs=1)


@pytest.mark.parametrize("ppm", [-20, 20])
def test_the_clock_offset_is_followed_and_told(ppm):
    header, symbols, samples = a_burst(STANDARD, (3,) * 300)
    received = slow_receiver(np.r_[samples, np.zeros(100)], ppm)
    rng = np.random.default_rng(0)
    burst = demodulate(received + gaussian(rng, len(received), 1e-3), sync_of(STANDARD))
    assert burst.header == header and np.max(np.abs(burst.symbols - symbols)) < 0.4
    # Positive where the transmitter's clock is fast, as the frequency offset then is.
    assert burst.quality.clock_offset_ppm == pytest.approx(ppm, abs=2)


def test_an_impulse_is_heard_where_it_falls():
    """Of an OFDM symbol that an impulse hits, all values are told to be worse than the others."""
    header, symbols, samples = a_burst(STANDARD)
    rng = np.random.default_rng(1)
    received = samples + gaussian(rng, len(samples), 0.01)
    start = LEAD + STANDARD.preamble_length + 80 * (plan_burst(header, STANDARD).header_symbols + 10)
    received[start + 40] += 30
    burst = demodulate(received, sync_of(STANDARD))
    loud = burst.noise_variance > 10 * np.median(burst.noise_variance)
    assert loud.sum() == 48
    error = np.abs(burst.symbols - symbols) ** 2
    assert error[loud].mean() > 100 * error[~loud].mean()


def test_a_narrow_interferer_is_heard_on_its_carrier():
    _, symbols, samples = a_burst(STANDARD, (3,) * 100)
    rng = np.random.default_rng(2)
    received = samples + gaussian(rng, len(samples), 0.01) + turned(np.full(len(samples), 0.2), 2 * np.pi * 10 / 64)
    burst = demodulate(received, sync_of(STANDARD))
    worst = burst.quality.carrier_esn0_db.argmin()
    assert CARRIERS[worst] == 10 and burst.quality.carrier_esn0_db[worst] < burst.quality.esn0_db - 6
    loud = burst.noise_variance > 3 * np.median(burst.noise_variance)
    # One OFDM symbol in 13 has a pilot there.
    assert loud.sum() == pytest.approx(len(symbols) / 48 * 12 / 13, abs=2)


def test_noise_on_a_faded_carrier_is_told():
    """A path and its echo cancel each other on carrier 8 (and -24): its values are told to be bad."""
    _, _, samples = a_burst(STANDARD, (3,) * 100)
    echo = np.r_[1, np.zeros(3), -0.95]
    received = np.convolve(samples, echo)
    rng = np.random.default_rng(4)
    burst = demodulate(received + gaussian(rng, len(received), 1e-3), sync_of(STANDARD))
    quality = dict(zip(CARRIERS.tolist(), burst.quality.carrier_esn0_db, strict=True))
    expected = {
        k: 10 * np.log10(64 / 52 * 1e3 * abs(1 - 0.95 * np.exp(-2j * np.pi * k * 4 / 64)) ** 2) for k in quality
    }
    for k in (-16, 16, -8, 8, 24, 1, -1):
        assert quality[k] == pytest.approx(expected[k], abs=2)


@both
def test_a_burst_of_packets_that_are_all_left_out_is_demodulated(each):
    header, _, samples = a_burst(each, (MCS_NOT_SENT,) * 7)
    burst = demodulate(samples, sync_of(each))
    assert burst.header == header and burst.symbols.shape == burst.noise_variance.shape == (0,)


@both
def test_the_header_says_how_many_samples_it_takes(each):
    header, _, samples = a_burst(each, (3, 6) * 30)
    samples, sync = samples.astype(np.complex64), sync_of(each, early=0)
    needed = receive_header(samples[: header_end(sync)], sync)
    assert isinstance(needed, int) and needed > header_end(sync)
    reception = receive_header(samples[:needed], sync)
    assert reception.header == header
    assert burst_end(sync, reception.plan) == LEAD + plan_burst(header, each).length
    assert demodulate_burst(samples[: burst_end(sync, reception.plan)], sync).header == header


@both
@given(data=st.data(), mixed=st.booleans())
def test_a_burst_cut_short_is_named_wherever_it_ends(each, data, mixed):
    _, _, samples = a_burst(each, (3, 6) * 30 if mixed else (3,) * 40)
    end = len(samples) - 200
    cut = data.draw(st.integers(0, end - 1) | st.integers(end - 4, end - 1))
    with pytest.raises(BurstError, match=f"{cut} "):
        demodulate(samples[:cut], sync_of(each, early=0))


@pytest.mark.parametrize("long_start", [-1, -64, -(10**6), -(2**40)])
def test_a_burst_that_begins_before_its_samples_is_named(long_start):
    samples = np.ones(5000, np.complex64)
    with pytest.raises(BurstError, match=f"begins at {long_start}"):
        demodulate_burst(samples, Synchronization(STANDARD, long_start, 0.0, 0.5))


NUMBERS = st.sampled_from((0.0, 1e-30, 1e-20, 1e-3, 1.0, 1e3, 1e6, 1e15, 1e30, np.nan, np.inf, -np.inf))


@given(
    robust=st.booleans(), length=st.integers(0, 5000), level=NUMBERS,
    spots=st.lists(st.tuples(st.floats(0, 1), NUMBERS)), long_start=st.integers(-200, 6000),
    frequency=st.floats(allow_nan=True, allow_infinity=True), signal=st.booleans(),
    seed=st.integers(0, 2**32 - 1),
)  # fmt: skip
def test_any_samples_and_any_synchronization_raise_nothing_but_the_librarys_errors(
    robust, length, level, spots, long_start, frequency, signal, seed
):
    each = ROBUST if robust else STANDARD
    samples = np.zeros(length, np.complex64)
    if signal:
        part = a_burst(each, (3,) * 4)[2][:length]
        samples[: len(part)] = part
    with np.errstate(all="ignore"):
        samples = (samples + level * gaussian(np.random.default_rng(seed), length)).astype(np.complex64)
    for place, value in spots:
        if length:
            samples[int(place * (length - 1))] = value
    try:
        burst = demodulate_burst(samples, Synchronization(each, long_start, frequency, 0.5))
    except TokcomError:
        return
    assert signal and burst.symbols.shape == burst.noise_variance.shape


@pytest.mark.parametrize(("each", "bad"), list(product((STANDARD, ROBUST), (1e2, 1e3, 1e4, 1e6))))
def test_an_impulse_costs_the_values_that_it_hits_alone(each, bad):
    """Phase and timing are not led astray by a symbol in which an impulse is heard."""
    header, symbols, samples = a_burst(each)
    start = LEAD + each.preamble_length + 80 * (plan_burst(header, each).header_symbols + 5)
    samples = turned(samples, 0.001) + gaussian(np.random.default_rng(0), len(samples), 1e-4)
    samples[start + 40] = bad
    burst = demodulate(samples, sync_of(each))
    assert burst.header == header
    good = np.abs(burst.symbols - symbols) < 0.2
    assert (~good).sum() <= 48


@both
@pytest.mark.parametrize("place", [0, 3, 8])
def test_a_header_survives_an_impulse(each, place):
    header, symbols, samples = a_burst(each)
    samples = samples + gaussian(np.random.default_rng(0), len(samples), 1e-2)
    samples[LEAD + each.preamble_length + 80 * place + 30] = 1000
    burst = demodulate(samples, sync_of(each))
    assert burst.header == header and np.mean(np.abs(burst.symbols - symbols) ** 2) < 0.02


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf, 1e7, 3e38])
def test_samples_that_are_none_are_named(bad):
    """The searcher lets none through; a recording may hold them."""
    _, _, samples = a_burst(STANDARD)
    for value in (bad, 1j * bad):
        samples[3000] = value
        with pytest.raises(BurstError, match=r"NaN or values beyond 1e\+06"):
            demodulate(samples, sync_of(STANDARD))


@pytest.mark.parametrize("bad", [np.nan, np.inf, -4.0, 1e300])
def test_a_frequency_that_is_none_is_named(bad):
    with pytest.raises(BurstError, match="the frequency is"):
        demodulate(a_burst(STANDARD)[2], sync_of(STANDARD, bad))


@both
def test_the_samples_of_silence_have_no_header(each):
    for samples in (np.zeros(5000), np.ones(5000), np.full(5000, 1e-30)):
        with pytest.raises(HeaderError) as caught:
            demodulate(samples, sync_of(each))
        assert caught.value.kind == "crc"
