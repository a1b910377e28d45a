"""Systems that bring speech through noise, beside the codec alone."""

import numpy as np
import pytest

from tokcom.errors import ModelError
from tokcom.frame import LOST, TokenFrame
from tokcom.models.recovery import load_recovery
from tokcom.models.speech import load_speech_tokenizer
from tokcom.tokenizers.codec2 import Codec2Tokenizer
from tokcom.tokenizers.sounds import read_sound
from tokcom_lab.speech import systems
from tokcom_lab.speech.bench import CLEAN, SpeechPoint, needed_esn0_db
from tokcom_lab.speech.systems import DROP, Codec2System, LyraSystem, TokenSystem, codec2_delay


@pytest.mark.parametrize("receiver", [DROP, "keep", "list", "context"])
def test_without_noise_a_system_is_its_codec(receiver, tiny_speech_model):
    model, signal = str(tiny_speech_model), read_sound()[:9000]
    tokenizer = load_speech_tokenizer(model)
    recovery = None if receiver == DROP else load_recovery(model, receiver, "cpu")
    system = TokenSystem(tokenizer, receiver, recovery, frames=8)
    heard = system.through_noise(signal, CLEAN, np.random.default_rng(0))
    alone = tokenizer.detokenize(tokenizer.tokenize(np.pad(signal, (0, -len(signal) % 2560))))[: len(signal)]
    assert np.allclose(heard, alone, atol=1e-3 * np.abs(alone).max()) and system.symbols == 156
    assert np.array_equal(heard, system.through_losses(signal, 0.0, np.random.default_rng(0)))


def test_context_fills_what_is_lost(tiny_speech_model):
    model, signal = str(tiny_speech_model), read_sound()[:9000]
    system = TokenSystem(load_speech_tokenizer(model), "mask", load_recovery(model, "mask", "cpu"), frames=8)
    whole = system.through_losses(signal, 0.0, np.random.default_rng(0))
    filled = system.through_losses(signal, 0.5, np.random.default_rng(0))
    assert len(filled) == len(whole) and np.isfinite(filled).all() and not np.allclose(filled, whole)


def test_codec2_without_noise_is_the_codec():
    try:
        codec = Codec2Tokenizer("1300")
    except ModelError as missing:
        pytest.skip(str(missing))
    system, signal = Codec2System("1300", "bpsk", "3/4"), read_sound()[:16000]
    heard = system.through_noise(signal, CLEAN, np.random.default_rng(0))
    alone = codec.decode(codec.encode(signal))[codec2_delay("1300") :]
    # The codec's own dither differs from call to call.
    assert np.corrcoef(heard[: len(alone)], alone[: len(heard)])[0, 1] > 0.9 and system.symbols == 168
    silent = system.through_noise(signal, -20.0, np.random.default_rng(0))
    assert np.square(silent).mean() < 0.1 * np.square(heard).mean()


class Halves:
    """A codec of Lyra's interface: a hop's words are the four bits of its level, and its samples the level."""

    rate, hop, quantizers, bit_rate = 16_000, 320, 16, 3200.0

    def tokenize(self, signal):
        levels = np.round((signal.reshape(-1, 320).mean(1) + 1) * 7).astype(int)
        return TokenFrame(np.tile(levels, 16), "lyra2-16", 16, (16, len(levels)), "speech", None, 0, 16)


class HalvesDecoder:
    def __init__(self, tokenizer):
        pass

    def push(self, words):
        return np.repeat(np.where(words[0] == LOST, 0, words[-1] / 7 - 1), 320)


def test_lyra_goes_through_bits_and_back(monkeypatch):
    monkeypatch.setattr(systems, "LyraDecoder", HalvesDecoder)
    system = LyraSystem(Halves(), "16qam", "1/2")
    assert system.symbols == 139 and system.name == "Lyra 3200"
    signal = np.repeat(np.array([1, -1, 1, 0], np.float32) / 7, 3200)[:12700]
    heard = system.through_noise(signal, CLEAN, np.random.default_rng(0))
    middle = np.arange(1600, 12700, 3200)
    assert heard.shape == signal.shape and np.allclose(heard[middle], signal[middle], atol=0.01)
    assert np.array_equal(heard, system.through_losses(signal, 0.0, np.random.default_rng(0)))
    silent = system.through_noise(signal, -20.0, np.random.default_rng(0))
    assert np.square(silent).mean() < 0.1 * np.square(heard).mean()
    lost = np.abs(system.through_losses(signal, 0.5, np.random.default_rng(0)))[320::640] < 0.01
    assert np.array_equal(lost[:15], np.random.default_rng(0).random(20)[:15] < 0.5)


def test_the_needed_esn0_is_interpolated():
    points = [SpeechPoint("x", 700, 156, e, q, 0, 0) for e, q in ((-2, 0.1), (0, 0.6), (2, 0.78), (CLEAN, 0.8))]
    assert needed_esn0_db(points, "x") == pytest.approx(0 + (0.76 - 0.6) / 0.18 * 2)
    flat = [SpeechPoint("y", 700, 156, e, 0.5, 0, 0) for e in (0, CLEAN)]
    assert needed_esn0_db(flat, "y") == 0
