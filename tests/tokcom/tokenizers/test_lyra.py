"""Lyra by its networks: words and streams, losses, files, what is refused; networks of the same interface stand in for
its own, which one test runs where $TOKCOM_LYRA names their folder."""

import hashlib
import os
from dataclasses import replace

import numpy as np
import pytest

from tokcom.errors import FrameError, ModelError, ParameterError, SpeechError
from tokcom.frame import LOST
from tokcom.tokenizers import lyra
from tokcom.tokenizers.lyra import (
    CODEBOOK_SIZE,
    DECODER,
    ENCODER,
    FILES,
    HELD,
    HOP,
    QUANTIZER,
    QUANTIZERS,
    RATE,
    WHOLE,
    LyraDecoder,
    LyraEncoder,
    LyraTokenizer,
)  # fmt: skip


class StandIn:
    """An interpreter of Lyra's interface: words are a hop's level in base 16, and a hop of sound sums to its level and
    a tenth of the last one's."""

    def __init__(self, network):
        self._name, self._before = network.decode(), 0.0

    def get_signature_runner(self, signature):
        return {
            (ENCODER, WHOLE): self._describe,
            (QUANTIZER, "encode"): self._quantize,
            (QUANTIZER, "decode"): self._sum,
            (DECODER, WHOLE): self._sound,
        }[self._name, signature]

    def _describe(self, input_audio):
        assert input_audio.shape == (1, HOP) and input_audio.dtype == np.float32 and np.abs(input_audio).max() <= 1
        return {"output_0": np.full((1, 1, 64), input_audio.mean(), np.float32)}

    def _quantize(self, input_frames, num_quantizers):
        level, words = float(input_frames[0, 0, 0]), np.full((46, 1, 1), -1, np.int32)
        for number in range(int(num_quantizers)):
            level = level * 16 if number else (level + 1) * 8
            words[number] = min(int(level), 15)
            level -= words[number, 0, 0]
        return {"output_0": words, "output_1": np.int32(4)}

    def _sum(self, encoding_indices):
        assert encoding_indices.shape == (46, 1, 1) and encoding_indices.dtype == np.int32
        own = encoding_indices.ravel()
        digits = np.where(own < 0, 0, own) * 16.0 ** -np.arange(46) / 8
        return {"output_0": np.full((1, 1, 64), digits.sum() - 1, np.float32)}

    def _sound(self, input_audio):
        self._before, before = float(input_audio[0, 0, 0]), self._before
        return {"output_0": np.full((1, HOP), self._before + 0.1 * before, np.float32)}


@pytest.fixture
def folder(tmp_path, monkeypatch):
    for name in FILES:
        content = name.encode()
        (tmp_path / name).write_bytes(content)
        monkeypatch.setitem(FILES, name, (len(content), hashlib.sha256(content).hexdigest()))
    monkeypatch.setattr(lyra, "_opened", StandIn)
    return tmp_path


def levels(*each):
    return np.repeat(np.array(each, np.float32), HOP)


@pytest.mark.parametrize(("quantizers", "bit_rate"), [(16, 3200), (30, 6000), (46, 9200)])
def test_a_hop_is_a_column_of_words(folder, quantizers, bit_rate):
    tokenizer = LyraTokenizer(folder, quantizers)
    assert tokenizer.bit_rate == bit_rate
    frame = tokenizer.tokenize(levels(0.0, -1.0, 0.5, 1.0)[:-100], 7)
    assert frame.grid == (quantizers, 4) and frame.frame_id == 7 and frame.quantizers == quantizers
    words = frame.tokens.reshape(frame.grid)
    assert words[0].tolist() == [8, 0, 12, 13] and not words[1:, :3].any()
    heard = tokenizer.detokenize(frame).reshape(4, HOP)
    assert heard.dtype == np.float32
    assert np.allclose(heard, np.array([0.0, -1.0, 0.4, 220 / 320 + 0.05])[:, None], atol=1e-5)


def test_words_and_sound_come_as_a_stream(folder):
    tokenizer, signal = LyraTokenizer(folder), np.random.default_rng(0).uniform(-1.2, 1.2, 3000).astype(np.float32)
    whole = tokenizer.tokenize(signal)
    encoder, decoder = LyraEncoder(tokenizer), LyraDecoder(tokenizer)
    pieces = [*(encoder.push(signal[start : start + 500]) for start in range(0, 3000, 500)), encoder.finish()]
    assert np.array_equal(np.concatenate(pieces, 1), whole.tokens.reshape(whole.grid))
    heard = np.concatenate([decoder.push(each) for each in pieces])
    assert np.array_equal(heard, tokenizer.detokenize(whole)) and encoder.finish().shape == (16, 0)


def test_streams_do_not_meet(folder):
    tokenizer = LyraTokenizer(folder)
    words = LyraEncoder(tokenizer).push(levels(0.5, 0.5))
    first, second = LyraDecoder(tokenizer), LyraDecoder(tokenizer)
    assert np.array_equal(first.push(words), first.push(words)) is False
    assert np.allclose(second.push(words)[:HOP], 0.5)


def test_a_loss_goes_on_and_fades(folder):
    tokenizer = LyraTokenizer(folder)
    words = LyraEncoder(tokenizer).push(levels(*[0.5] * 14))
    words[:, 3:12] = LOST
    heard = LyraDecoder(tokenizer).push(words).reshape(14, HOP)
    ends = heard[:, -1] / heard[2, -1]
    assert np.allclose(20 * np.log10(ends[2 : 3 + HELD]), -2.0 * np.arange(HELD + 1), atol=1e-3)
    assert not ends[3 + HELD : 12].any() and not heard[4 + HELD].any() and ends[12] == pytest.approx(1)
    assert np.abs(np.diff(heard.ravel()[2 * HOP :])).max() < 0.005  # no jump


def test_nothing_is_heard_before_the_first_hop_comes(folder):
    tokenizer = LyraTokenizer(folder)
    words = LyraEncoder(tokenizer).push(levels(0.5, 0.5, 0.5))
    words[0, :2] = LOST
    heard = LyraDecoder(tokenizer).push(words).reshape(3, HOP)
    assert not heard[:2].any() and heard[2, -1] == pytest.approx(0.5)


def test_words_below_a_lost_one_are_left_out(folder):
    tokenizer = LyraTokenizer(folder)
    words = LyraEncoder(tokenizer).push(levels(0.3))
    coarse = words.copy()
    coarse[2:] = 0
    words[2] = LOST
    assert np.array_equal(LyraDecoder(tokenizer).push(words), LyraDecoder(tokenizer).push(coarse))
    assert LyraDecoder(tokenizer).push(words[:, :0]).shape == (0,)


def test_others_frames_signals_and_words_are_refused(folder):
    tokenizer = LyraTokenizer(folder)
    frame = tokenizer.tokenize(levels(0.1))
    for other in (replace(frame, codebook="lyra2-30"), LyraTokenizer(folder, 30).tokenize(levels(0.1))):
        with pytest.raises(FrameError, match="lyra2-16"):
            tokenizer.detokenize(other)
    for signal in (np.zeros(0), np.zeros((2, 9)), np.zeros(9, int), np.array([np.nan])):
        with pytest.raises(SpeechError):
            tokenizer.tokenize(signal)
    with pytest.raises(ParameterError, match="16, 30, 46"):
        LyraTokenizer(folder, 8)
    for words in (np.zeros((15, 1), int), np.full((16, 1), CODEBOOK_SIZE), np.full((16, 1), LOST - 1)):
        with pytest.raises(FrameError, match="words"):
            LyraDecoder(tokenizer).push(words)


def test_the_longest_frame_is_bounded(folder, monkeypatch):
    monkeypatch.setattr(lyra, "MAX_TOKENS", 32)
    tokenizer = LyraTokenizer(folder)
    frame = tokenizer.tokenize(levels(0.1, 0.1))
    with pytest.raises(SpeechError, match="1 to 640"):
        tokenizer.tokenize(levels(0.1, 0.1, 0.1))
    with pytest.raises(FrameError, match="at most 2"):
        tokenizer.detokenize(replace(frame, tokens=np.zeros(48, int), grid=(16, 3)))


@pytest.mark.parametrize("name", FILES)
def test_other_files_are_refused(folder, name):
    path, content = folder / name, (folder / name).read_bytes()
    for wrong in (b"", content[:-1], content + b"!", content[:-1] + b"?"):
        path.write_bytes(wrong)
        with pytest.raises(ModelError, match=rf"{name}: sha256 is .*1\.3\.2"):
            LyraTokenizer(folder)
    path.unlink()
    with pytest.raises(ModelError, match="no such file; Lyra's folder is"):
        LyraTokenizer(folder)
    path.mkdir()
    with pytest.raises(ModelError, match="no such file"):
        LyraTokenizer(folder)


def test_a_missing_package_is_named(tmp_path, monkeypatch):
    monkeypatch.setitem(__import__("sys").modules, "ai_edge_litert.interpreter", None)
    with pytest.raises(ModelError, match=r"pip install tokcom\[lyra\]"):
        lyra._opened(b"")


def test_litert_says_what_is_no_network():
    pytest.importorskip("ai_edge_litert", reason="the package of requirements/lyra.txt is not installed")
    with pytest.raises(ModelError, match="LiteRT cannot run"):
        lyra._opened(b"not a network")


@pytest.mark.skipif("TOKCOM_LYRA" not in os.environ, reason="TOKCOM_LYRA names no folder of Lyra's networks")
def test_lyra_itself():
    pytest.importorskip("ai_edge_litert", reason="the package of requirements/lyra.txt is not installed")
    time = np.arange(RATE) / RATE
    signal = sum(0.2 / k * np.sin(2 * np.pi * 125 * k * time) for k in range(1, 20)).astype(np.float32)
    errors = []
    for quantizers in QUANTIZERS:
        tokenizer = LyraTokenizer(os.environ["TOKCOM_LYRA"], quantizers)
        frame = tokenizer.tokenize(signal)
        words = frame.tokens.reshape(frame.grid)
        assert 0 <= words.min() <= words.max() < CODEBOOK_SIZE and len(np.unique(words)) == CODEBOOK_SIZE
        assert np.array_equal(words, tokenizer.tokenize(signal).tokens.reshape(frame.grid))
        heard = tokenizer.detokenize(frame)
        spectra = [np.abs(np.fft.rfft(each[RATE // 4 :] * np.hanning(RATE - RATE // 4))) for each in (signal, heard)]
        errors.append(np.linalg.norm(spectra[1] - spectra[0]) / np.linalg.norm(spectra[0]))
    assert errors[0] < 0.6 and errors[2] < errors[0]
