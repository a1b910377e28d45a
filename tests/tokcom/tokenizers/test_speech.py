"""Speech as tokens: pitch of known tones, streams beside wholes, losses, and what is refused."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from tokcom.errors import FrameError, SpeechError
from tokcom.frame import LOST
from tokcom.tokenizers.pitch import FRAME, RATE, pitch_hertz, pitch_words
from tokcom.tokenizers.speech import SpeechDecoder, SpeechEncoder, SpeechTokenizer
from tokcom.tokenizers.speech_network import SpeechConfig, SpeechNetwork, harmonics, mel_bands, overlapped

SMALL = SpeechConfig(codebook_size=32, width=24, detail_width=16, encoder_blocks=1, decoder_blocks=2, detail_blocks=1)


@pytest.fixture(scope="module")
def tokenizer():
    torch.manual_seed(1)
    network = SpeechNetwork(SMALL).eval()
    torch.nn.init.normal_(network.head.weight, std=0.3)
    return SpeechTokenizer(network, "speech@00000000")


def voice(hertz, seconds=1.0, seed=0):
    """A pulse train through two resonances, with a little noise: a vowel of known pitch."""
    time = np.arange(int(seconds * RATE)) / RATE
    tones = [np.cos(2 * np.pi * k * hertz * time) / (1 + ((k * hertz - 600) / 300) ** 2) for k in range(1, 30)]
    signal = np.sum([each for k, each in enumerate(tones, 1) if k * hertz < 3800], axis=0)
    noise = np.random.default_rng(seed).standard_normal(len(time))
    return (0.1 * signal / signal.std() + 0.003 * noise).astype(np.float32)


@pytest.mark.parametrize("hertz", [75.0, 110.0, 147.0, 220.0, 330.0])
def test_pitch_of_a_vowel_is_found(hertz):
    words = pitch_words(voice(hertz)[None], 128)[0, 2:-2]
    assert np.abs(pitch_hertz(words, 128) / hertz - 1).max() < 0.02


def test_noise_and_silence_have_no_pitch():
    noise = np.random.default_rng(0).standard_normal((1, RATE)).astype(np.float32) * 0.1
    assert (pitch_words(noise, 128) == 0).mean() > 0.9 and not pitch_words(np.zeros((1, RATE), np.float32), 128).any()


def test_harmonics_are_the_sum_of_cosines():
    pitch = torch.full((1, 4), 60)
    hertz = float(pitch_hertz(60, 128))
    phase = 2 * np.pi * hertz * (np.arange(4 * FRAME) + 1) / RATE
    count = int(0.95 * RATE / 2 / hertz)
    direct = np.sqrt(2 / count) * np.sum([np.cos(k * phase) for k in range(1, count + 1)], axis=0)
    assert np.abs(harmonics(pitch, 128)[0].numpy() - direct).max() < 1e-2


def test_spectra_that_are_not_changed_give_the_signal_back(tokenizer):
    signal = torch.randn(1, 4 * FRAME, generator=torch.Generator().manual_seed(0))
    again = overlapped(tokenizer.network._spectra(signal), torch.hann_window(256))
    assert torch.allclose(signal[:, 100:-100], again[:, 100:-100], atol=1e-4)


def test_bands_cover_the_spectrum():
    bands = mel_bands(40)
    assert np.allclose(bands.sum(0), 1) and (bands[3:-1].sum(1) > 0).all()


@given(st.lists(st.integers(0, 900), min_size=1, max_size=12))
@settings(max_examples=10, deadline=None)
def test_a_stream_gives_the_words_of_the_whole(tokenizer, cuts):
    signal = voice(140.0, 0.7)
    encoder, parts, place = SpeechEncoder(tokenizer), [], 0
    for cut in cuts:
        parts.append(encoder.push(signal[place : place + cut]))
        place += cut
    parts += [encoder.push(signal[place:]), encoder.finish()]
    whole = tokenizer.tokenize(signal)
    assert np.array_equal(np.concatenate(parts, 1).ravel(), whole.tokens) and whole.grid[1] == -(-len(signal) // FRAME)


def test_a_stream_gives_the_sound_of_the_whole(tokenizer):
    words = np.random.default_rng(3).integers(0, 32, (4, 61))
    whole = tokenizer.detokenize(tokenizer.frame(words))
    decoder = SpeechDecoder(tokenizer)
    parts = [decoder.push(words[:, start : start + 2]) for start in range(0, 61, 2)] + [decoder.finish()]
    joined = np.concatenate(parts)
    assert len(joined) == len(whole) == 61 * FRAME and len(parts[0]) == 2 * FRAME - 160
    assert np.abs(joined - whole).max() < 1e-3 * np.abs(whole).max()


def test_a_loss_fades_and_the_sound_returns(tokenizer):
    words = np.full((4, 20), 7)
    words[:, 8:16] = LOST
    signal = tokenizer.detokenize(tokenizer.frame(words)).reshape(20, FRAME)
    power = np.square(signal).mean(1)
    assert power[14] < 1e-6 * power[6] and power[18] > 0.1 * power[6]


def test_bad_signals_and_frames_are_refused(tokenizer):
    for bad in (np.zeros(0, np.float32), np.zeros((2, 3), np.float32), np.full(9, np.nan), np.zeros(9, np.int16)):
        with pytest.raises(SpeechError):
            tokenizer.tokenize(bad)
    with pytest.raises(FrameError):
        SpeechDecoder(tokenizer).push(np.full((4, 1), 32))
    with pytest.raises(FrameError):
        SpeechDecoder(tokenizer).push(np.zeros((3, 1), int))
    with pytest.raises(FrameError):
        tokenizer.detokenize(replace(tokenizer.frame(np.zeros((4, 2), int)), codebook="another"))
