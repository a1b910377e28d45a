"""Codec2 by its library: bits and words of its frames, losses."""

import numpy as np
import pytest

from tokcom.errors import FrameError, ModelError, ParameterError
from tokcom.frame import LOST
from tokcom.tokenizers.codec2 import MODES, Codec2Tokenizer

try:
    Codec2Tokenizer()
except ModelError as missing:
    pytest.skip(str(missing), allow_module_level=True)


def vowel(hertz=120.0, seconds=0.8):
    time = np.arange(int(seconds * 8000)) / 8000
    return sum(0.05 / k * np.sin(2 * np.pi * k * hertz * time) for k in range(1, 20)).astype(np.float32)


@pytest.mark.parametrize(("mode", "bit_rate"), [("3200", 3200), ("1300", 1300), ("700C", 700)])
def test_words_are_the_bits(mode, bit_rate, monkeypatch):
    tokenizer, signal = Codec2Tokenizer(mode), vowel()
    bits = tokenizer.encode(signal)
    assert bits.shape == (len(signal) // MODES[mode].samples, MODES[mode].bits) and tokenizer.bit_rate == bit_rate
    frame = tokenizer.tokenize(signal, 7)
    assert frame.sizes == tokenizer.sizes and frame.frame_id == 7
    spelled = ["".join(map(str, row)) for row in bits]
    first = frame.tokens.reshape(frame.grid)[0]
    assert [int(row[: MODES[mode].fields[0]], 2) for row in spelled] == first.tolist()
    seen = []
    monkeypatch.setattr(tokenizer, "decode", lambda bits, usable: seen.append((bits, usable)))
    tokenizer.detokenize(frame)
    assert np.array_equal(seen[0][0], bits) and seen[0][1].all()


def test_the_pitch_comes_through():
    tokenizer = Codec2Tokenizer("1300")
    made = tokenizer.detokenize(tokenizer.tokenize(vowel(125.0, 1.6)))[3200:9600]
    spectrum = np.abs(np.fft.rfft(made * np.hanning(len(made))))
    places = np.fft.rfftfreq(len(made), 1 / 8000)
    comb = [spectrum[np.abs(places[:, None] - hertz * np.arange(1, 12)).min(1) < 4].sum() for hertz in (105.0, 125.0)]
    assert comb[1] > 2 * comb[0]


def test_a_loss_repeats_and_then_falls_silent():
    tokenizer = Codec2Tokenizer("700C")
    frame = tokenizer.tokenize(vowel())
    words = frame.tokens.reshape(frame.grid).copy()
    words[:, 6:14] = LOST
    power = np.square(tokenizer.detokenize(frame.with_tokens(words.ravel())).reshape(-1, 320)).mean(1)
    assert power[6] > 0 and not power[10:14].any() and power[16] > 0


def test_others_frames_and_modes_are_refused():
    with pytest.raises(ParameterError, match="700C"):
        Codec2Tokenizer("2400")
    with pytest.raises(FrameError):
        Codec2Tokenizer("1300").detokenize(Codec2Tokenizer("700C").tokenize(vowel()))
