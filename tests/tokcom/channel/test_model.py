import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tokcom.channel.model import ChannelModel, ChannelSettings
from tokcom.errors import ParameterError

RATE = 1e6
EVERYTHING = {
    "clip_db": 3.0, "profile": "eva", "doppler_hz": 300.0, "rician_k_db": 3.0, "cfo_hz": 1234.5, "linewidth_hz": 50.0,
    "sfo_ppm": -300.0, "interferer_db": -10.0, "interferer_hz": 2e5, "impulse_rate": 2000.0, "impulse_length": 30,
    "snr_db": 10.0, "iq_gain_db": 0.5, "iq_phase_deg": 2.0, "dc_offset": 0.01 - 0.02j, "gap_rate": 1000.0,
    "gap_length": 40,
}  # fmt: skip


def model(seed=1, **settings):
    return ChannelModel(ChannelSettings(**settings), RATE, seed)


def signal(n, seed=0):
    values = np.random.default_rng(seed).standard_normal((n, 2), dtype=np.float32) * np.float32(math.sqrt(0.5))
    return values.view(np.complex64)[:, 0]


def test_as_it_stands_samples_pass_unchanged():
    samples = signal(40_000)
    out = model().process(samples)
    assert np.array_equal(out, samples) and out is not samples and out.dtype == np.complex64
    assert model().process(signal(0)).shape == (0,)
    beyond = model(clip_db=1e4, snr_db=1e4, interferer_db=-1e4, rician_k_db=-1e4)
    assert np.array_equal(beyond.process(samples), samples)


@given(
    cuts=st.lists(st.integers(0, 3000), max_size=12),
    off=st.sets(st.sampled_from(sorted(EVERYTHING))),
    change=st.integers(0, 3000),
)
def test_the_stream_does_not_depend_on_cuts(cuts, off, change):
    settings = {name: value for name, value in EVERYTHING.items() if name not in off}
    new = {"cfo_hz": -5000.0, "sfo_ppm": 700.0, "interferer_db": 0.0, "gap_rate": 3000.0, "snr_db": 0.0}
    samples = signal(20_000)

    def run(places):
        channel, parts = model(**settings), []
        for part in np.split(samples[:change], sorted(p for p in places if p < change)):
            parts.append(channel.process(part))
        channel.change(**new)
        for part in np.split(samples[change:], np.cumsum(cuts) if places else []):
            parts.append(channel.process(part))
        return np.concatenate(parts)

    assert np.array_equal(run([]).view(np.uint32), run([*cuts, change // 2]).view(np.uint32))


def test_the_same_seed_gives_the_same_channel_and_another_one_another():
    samples = signal(5000)
    first, same, other = (model(seed, **EVERYTHING).process(samples) for seed in (1, 1, 2))
    assert np.array_equal(first, same) and not np.array_equal(first[:1000], other[:1000])


@pytest.mark.parametrize(
    "other",
    [
        {"interferer_db": -3.0}, {"impulse_rate": 1e4}, {"linewidth_hz": 10.0}, {"profile": "flat", "doppler_hz": 10.0},
    ],
)  # fmt: skip
def test_noise_is_the_same_whatever_else_is_on(other):
    silence = np.zeros(3000, np.complex64)
    both, alone, without = (
        model(**settings).process(silence) for settings in ({"snr_db": 0.0} | other, {"snr_db": 0.0}, other)
    )
    assert np.allclose(both - without, alone, atol=1e-5)


@pytest.mark.parametrize("bad", [np.nan, np.inf, complex(np.nan, -np.inf)])
def test_a_sample_that_is_no_number_spoils_only_its_neighbours(bad):
    settings = EVERYTHING | {"gap_rate": 0.0}
    samples = signal(20_000)
    spoilt = samples.copy()
    spoilt[5000] = bad
    good, out = (model(**settings).process(s) for s in (samples, spoilt))
    differ = np.flatnonzero(~(out == good))
    assert len(differ) and 4990 < differ.min() and differ.max() < 5060


def test_stages_are_in_the_order_of_the_path():
    """Noise meets the receiver's imbalance, the interferer not the carrier offset, the clipping not the noise."""
    silence = np.zeros(400_000, np.complex64)
    noise = model(snr_db=0.0, iq_gain_db=2.0, clip_db=-10.0).process(silence)
    gain = 10 ** (2 / 20)
    assert np.mean(noise**2).real == pytest.approx((1 - gain**2) / 2, abs=0.01)
    assert np.mean(np.abs(noise) ** 2) == pytest.approx((1 + gain**2) / 2, abs=0.01)
    tone = model(interferer_db=0.0, interferer_hz=1e5, cfo_hz=1e5).process(silence[:1000])
    assert np.allclose(tone[1:] / tone[:-1], np.exp(0.2j * np.pi), atol=1e-5)
    mirror = model(cfo_hz=1e5, iq_phase_deg=5.0).process(np.ones(1000, np.complex64))
    spectrum = np.abs(np.fft.fft(mirror)) ** 2
    assert 10 * math.log10(spectrum[100] / spectrum[-100]) == pytest.approx(
        -20 * math.log10(math.tan(math.radians(2.5))), abs=0.01
    )


def test_powers_are_relative_to_the_reference_power():
    silence = np.zeros(200_000, np.complex64)
    noise = model(reference_power=4.0, snr_db=10.0).process(silence)
    same = model(noise_power=0.4).process(silence)
    assert np.mean(np.abs(noise) ** 2) == pytest.approx(0.4, rel=0.02) and np.allclose(noise, same, rtol=1e-5)
    clipped = model(reference_power=4.0, clip_db=0.0).process(signal(1000) * 10)
    assert np.abs(clipped).max() == pytest.approx(2)


def test_esn0_of_an_ofdm_carrier_is_the_snr_and_0_9_db():
    rng, used = np.random.default_rng(0), np.r_[1:27, 38:64]
    sent = np.zeros((4000, 64), complex)
    sent[:, used] = rng.choice([1, -1, 1j, -1j], (4000, 52))
    # A mean power of 1 in time.
    samples = (np.fft.ifft(sent) * 64 / math.sqrt(52)).astype(np.complex64).ravel()
    received = np.fft.fft(model(snr_db=5.0).process(samples).reshape(-1, 64)) * math.sqrt(52) / 64
    esn0_db = -10 * math.log10(np.mean(np.abs(received[:, used] - sent[:, used]) ** 2))
    assert esn0_db == pytest.approx(5 + 10 * math.log10(64 / 52), abs=0.05)


def test_interpolation_makes_the_stream_late_by_what_delay_says():
    samples = np.zeros(200, np.complex64)
    samples[50] = 1
    for settings in ({"sfo_ppm": 1e-6}, {"profile": "three-path"}, {"profile": "flat", "sfo_ppm": 1e-6}):
        channel = model(**settings)
        assert np.argmax(np.abs(channel.process(samples))) == 50 + channel.delay
    assert model(profile="epa").delay == 9 and model(profile="epa", sfo_ppm=1.0).delay == 19


def test_settings_change_without_a_jump():
    channel = model(cfo_hz=1000.0)
    first = channel.process(np.ones(1000, np.complex64))
    channel.change(cfo_hz=2000.0, snr_db=60.0)
    second = channel.process(np.ones(1000, np.complex64))
    assert channel.settings.cfo_hz == 2000.0 and abs(second[0] - first[-1]) < 0.02
    channel.change(profile="three-path")
    assert np.abs(channel.process(np.ones(1000, np.complex64))[10:]).mean() == pytest.approx(abs(1.3 + 0.5j), rel=0.01)


def test_a_change_out_of_range_is_refused_whole():
    channel = model(snr_db=10.0)
    for bad in ({"snr_db": math.nan}, {"cfo_hz": 6e5}, {"snr": 3.0}):
        with pytest.raises(ParameterError, match=next(iter(bad))):
            channel.change(**({"iq_gain_db": 1.0} | bad))
    assert channel.settings == ChannelSettings(snr_db=10.0)


@pytest.mark.parametrize(
    "bad",
    [
        {"reference_power": 0.0}, {"clip_db": -30}, {"profile": "urban"}, {"doppler_hz": -1.0}, {"rician_k_db": 101},
        {"cfo_hz": math.inf}, {"linewidth_hz": -1}, {"sfo_ppm": 1001}, {"interferer_db": "loud"}, {"impulse_rate": -1},
        {"impulse_length": 0}, {"impulse_length": 1.5}, {"impulse_db": None}, {"snr_db": -math.inf},
        {"noise_power": -1}, {"noise_power": 1.0, "snr_db": 3.0}, {"iq_gain_db": 21}, {"iq_phase_deg": math.nan},
        {"dc_offset": 2j}, {"dc_offset": complex(math.nan, 0)}, {"gap_rate": -1}, {"gap_length": True},
        {"doppler_hz": 5.0, "profile": "three-path"}, {"rician_k_db": 5.0, "profile": "three-path"},
    ],
)  # fmt: skip
def test_settings_out_of_their_range_are_named(bad):
    name = next(iter(bad))
    with pytest.raises(ParameterError, match=f"^{name} is"):
        ChannelSettings(**bad)


@pytest.mark.parametrize(
    "bad", [{"cfo_hz": 6e5}, {"doppler_hz": 2e5}, {"interferer_hz": -6e5}, {"gap_rate": 2e6}, {"linewidth_hz": 2e5}]
)
def test_settings_that_the_sample_rate_does_not_allow_are_named(bad):
    with pytest.raises(ParameterError, match=f"{next(iter(bad))} is .*sample_rate"):
        model(**bad)


@pytest.mark.parametrize(("rate", "seed"), [(0, 1), (math.nan, 1), ("fast", 1), (1e6, -1), (1e6, 0.5)])
def test_a_rate_or_seed_out_of_range_is_named(rate, seed):
    with pytest.raises(ParameterError, match="must be a"):
        ChannelModel(ChannelSettings(), rate, seed)
