import math

import numpy as np
import pmt
import pytest
from gnuradio import blocks, gr, tokcom

from tokcom.channel.model import ChannelModel, ChannelSettings
from tokcom.errors import ParameterError

FADING = {"profile": "epa", "doppler_hz": 100.0, "cfo_hz": 250.0, "snr_db": 12.0, "gap_rate": 200.0, "gap_length": 30}


def run(block, samples, tags=()):
    """What the block makes of samples in a strict flowgraph that runs to its end, and the tags that come out."""
    top = gr.top_block(catch_exceptions=False)
    source, sink = blocks.vector_source_c(samples.tolist(), False, 1, list(tags)), blocks.vector_sink_c()
    top.connect(source, block, sink)
    top.run()
    return np.array(sink.data(), np.complex64), [(tag.offset, pmt.to_python(tag.key)) for tag in sink.tags()]


def tag(offset, key):
    made = gr.tag_t()
    made.offset, made.key, made.value = offset, pmt.intern(key), pmt.PMT_T
    return made


def signal(n):
    values = np.random.default_rng(0).standard_normal((n, 2), dtype=np.float32)
    return values.view(np.complex64)[:, 0]


def test_as_it_stands_samples_and_tags_pass_unchanged():
    samples = signal(50_000)
    out, tags = run(tokcom.channel_model(), samples, [tag(0, "first"), tag(31_234, "burst")])
    assert np.array_equal(out, samples) and tags == [(0, "first"), (31_234, "burst")]


@pytest.mark.parametrize("sfo_ppm", [0.0, 400.0, -1000.0])
def test_a_flowgraph_gives_what_the_library_gives(sfo_ppm):
    samples = signal(60_000)
    out, _ = run(tokcom.channel_model(1e6, seed=3, sfo_ppm=sfo_ppm, **FADING), samples)
    wanted = ChannelModel(ChannelSettings(sfo_ppm=sfo_ppm, **FADING), 1e6, 3).process(samples)
    assert np.array_equal(out, wanted)


def test_tags_stay_with_their_samples():
    samples = np.zeros(200_000, np.complex64)
    places = np.arange(1000, 200_000, 7000)
    samples[places] = 1
    block = tokcom.channel_model(sfo_ppm=500.0, profile="flat", seed=1)
    out, tags = run(block, samples, [tag(int(place), f"t{place}") for place in places])
    peaks = [first + np.argmax(np.abs(out[first : first + 200])) for first in (offset - 100 for offset, _ in tags)]
    assert len(tags) == len(places)
    assert max(abs(offset - peak) for (offset, _), peak in zip(tags, peaks, strict=True)) <= 1


def test_levels_at_a_sliders_end_mean_none():
    samples = signal(1000)
    out, _ = run(tokcom.channel_model(snr_db=100, clip_db=150, interferer_db=-100, rician_k_db=-100), samples)
    assert np.array_equal(out, samples)


def test_sliders_change_the_channel():
    block, silence = tokcom.channel_model(), np.zeros(20_000, np.complex64)
    block.set_snr_db(3.0)
    noise, _ = run(block, silence)
    assert np.mean(np.abs(noise) ** 2) == pytest.approx(10**-0.3, rel=0.05)
    block.set_snr_db(100)
    block.set_interferer_db(-6.0)
    block.set_interferer_hz(2e5)
    tone, _ = run(block, silence)
    assert np.allclose(np.abs(tone), 10**-0.3, rtol=1e-5)
    assert np.allclose(tone[1:] / tone[:-1], np.exp(0.4j * np.pi), atol=1e-5)


@pytest.mark.parametrize(
    ("setter", "value"),
    [
        ("cfo_hz", 100.0), ("linewidth_hz", 10.0), ("sfo_ppm", 5.0), ("profile", "eva"), ("doppler_hz", 5.0),
        ("rician_k_db", 3.0), ("clip_db", 6.0), ("iq_gain_db", 1.0), ("iq_phase_deg", 2.0), ("dc_offset", 0.1j),
        ("interferer_hz", 1e3), ("impulse_rate", 10.0), ("impulse_db", 30.0), ("gap_rate", 2.0),
    ],
)  # fmt: skip
def test_every_setter_sets_what_it_says(setter, value):
    block = tokcom.channel_model()
    getattr(block, f"set_{setter}")(value)
    assert block._model.settings == ChannelSettings(**{setter: value})


@pytest.mark.parametrize(
    "bad", [{"snr_db": math.nan}, {"snr_db": None}, {"cfo_hz": 6e5}, {"profile": "x"}, {"sample_rate": 0}]
)
def test_what_is_out_of_range_is_named(bad):
    with pytest.raises(ParameterError, match=next(iter(bad))):
        tokcom.channel_model(**bad)


def test_a_slider_out_of_range_changes_nothing():
    block = tokcom.channel_model(snr_db=10.0)
    with pytest.raises(ParameterError, match="snr_db is nan"):
        block.set_snr_db(math.nan)
    assert block._model.settings.snr_db == 10.0
