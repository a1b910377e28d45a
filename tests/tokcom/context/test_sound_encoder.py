import numpy as np
import pytest
import torch

from tokcom.context.sound_encoder import (
    RATE,
    SPECTRUM,
    STEP,
    WINDOW,
    SoundEncoder,
    SoundEncoderConfig,
    Sounds,
    log_mel,
    mel_bands,
)
from tokcom.errors import ParameterError

TIME = np.arange(RATE) / RATE


@pytest.mark.parametrize("hz", [200, 440, 1000, 3500])
def test_a_tone_is_in_the_band_around_it(hz):
    found = log_mel(np.sin(2 * np.pi * hz * TIME), 64).mean(axis=1)
    mel = 2595 * np.log10(1 + np.array([50, RATE / 2, hz]) / 700)
    expected = (mel[2] - mel[0]) / (mel[1] - mel[0]) * 65 - 1
    assert abs(found.argmax() - expected) <= 1


def test_spectra_are_those_written_out():
    """One window by a discrete Fourier transform in full."""
    sound = np.random.default_rng(0).normal(size=WINDOW + 40 * STEP)
    found = log_mel(sound, 20)
    wave = sound.astype(np.float32)[3 * STEP : 3 * STEP + WINDOW] * np.hanning(WINDOW)
    table = np.exp(-2j * np.pi * np.outer(np.arange(SPECTRUM // 2 + 1), np.arange(WINDOW)) / SPECTRUM)
    expected = np.log(mel_bands(20) @ np.abs(table @ wave) ** 2)
    # Less the mean over the whole sound.
    assert found[:, 3] - found[:, 3].mean() == pytest.approx(expected - expected.mean(), abs=1e-3)
    assert found.shape == (20, 41) and found.mean() == pytest.approx(0, abs=1e-4)


def test_level_does_not_matter_and_short_sounds_are_repeated():
    sound = np.random.default_rng(1).normal(size=RATE // 2)
    assert log_mel(sound, 32) == pytest.approx(log_mel(0.01 * sound, 32), abs=1e-3)
    assert log_mel(sound[:1], 32).shape[1] == 32 and np.isfinite(log_mel(np.zeros(9), 32)).all()
    assert log_mel(np.zeros(40 * RATE), 8).shape[1] == (30 * RATE - WINDOW) // STEP + 1


@pytest.mark.parametrize("bad", [np.zeros(0), np.zeros((4, 2)), np.array([0.0, np.nan])])
def test_what_is_no_sound_is_named(bad):
    with pytest.raises(ParameterError, match="a sound has at least one sample, all finite"):
        log_mel(bad, 32)


def test_points_are_unit_vectors_of_any_length_of_sound():
    torch.manual_seed(0)
    network = SoundEncoder(SoundEncoderConfig(32, (8, 8, 16, 16), 12)).eval().requires_grad_(False)
    sounds = Sounds(network, "tiny")
    for seconds in (0.1, 1, 3):
        point = sounds.embed(np.random.default_rng(0).normal(size=round(seconds * RATE)))
        assert point.shape == (12,) and point.dtype == np.float32 and np.linalg.norm(point) == pytest.approx(1)
    assert sum(p.numel() for p in SoundEncoder(SoundEncoderConfig()).parameters()) < 3e6
