"""Training of speech: losses beside their definitions, codebooks, masks."""

import numpy as np
import pytest
import torch

from tokcom.context.speech_prior_network import SpeechPriorConfig
from tokcom.errors import ParameterError, SpeechError
from tokcom.tokenizers.pitch import FRAME
from tokcom.tokenizers.sounds import SoundWriter, read_sound
from tokcom.tokenizers.speech_network import SpeechConfig
from tokcom_lab.speech import tokenizer as tokenizer_module
from tokcom_lab.speech.dataset import Speech, levelled, load_speech
from tokcom_lab.speech.material import bench_material
from tokcom_lab.speech.prior import SpeechPriorTask
from tokcom_lab.speech.quality import excerpts, log_spectral_distance
from tokcom_lab.speech.spectral_loss import intelligibility, spectral_distance
from tokcom_lab.speech.tokenizer import SpeechTokenizerTask

SMALL = SpeechConfig(32, width=16, detail_width=8, encoder_blocks=1, decoder_blocks=1, detail_blocks=1)


@pytest.fixture(scope="module")
def speech():
    signal = levelled(np.tile(read_sound(), 2))
    signal = np.pad(signal, (0, -len(signal) % FRAME))
    frames = len(signal) // FRAME
    return Speech(signal, np.zeros(frames, np.int64), np.array([0, frames // 2, frames]), ("a/one", "a/two"))


def test_intelligibility_goes_with_pystoi():
    stoi = pytest.importorskip("pystoi", reason="the packages of requirements/speech.txt are not installed").stoi
    clean = levelled(read_sound())[:32000]
    noise = np.random.default_rng(0).standard_normal(len(clean)).astype(np.float32)
    ours, theirs = [], []
    for level in (0.0, 0.01, 0.03, 0.1):
        noisy = clean + level * noise
        ours.append(float(intelligibility(*(torch.from_numpy(each[None]) for each in (noisy, clean)))))
        theirs.append(float(stoi(clean, noisy, 8000, extended=True)))
    assert ours[0] > 0.999 and np.abs(np.array(ours) - theirs).max() < 0.08 and ours == sorted(ours, reverse=True)


def test_distances_of_a_signal_from_itself_are_none():
    signal = torch.from_numpy(levelled(read_sound())[None, :16000])
    assert float(spectral_distance(signal, signal)) == 0 and float(spectral_distance(signal * 0.5, signal)) > 0.3
    assert log_spectral_distance(signal[0].numpy(), signal[0].numpy() * 0.5) == pytest.approx(6.02, abs=0.4)


def test_codebooks_are_clustered_and_followed(speech, monkeypatch):
    monkeypatch.setattr(tokenizer_module, "UNQUANTIZED_STEPS", 2)
    task = SpeechTokenizerTask(SMALL, speech, speech, batch=2)
    before, quantized = task.model.codebooks.clone(), []
    for step in range(4):
        loss, figures = task.loss(task.rng(step))
        quantized.append(task.drawn is not None)
        task.optimizer.zero_grad()
        loss.backward()
        task.optimizer.step()
        task.moved()
        assert np.isfinite(loss.item()) and -1 <= figures["estoi"] <= 1
    assert quantized == [False, False, True, True] and not torch.equal(before, task.model.codebooks)
    assert torch.equal(task.exported.codebooks, task.model.codebooks)
    words = task.model.quantize(task.latents[None])
    rest = (task.latents[None] - task.model.vectors(words)).square().mean()
    assert rest < task.latents.square().mean()


def test_what_the_prior_is_asked_for_is_not_shown(speech):
    tokens = np.random.default_rng(0).integers(0, 32, (4, 200)).astype(np.uint8)
    config = SpeechPriorConfig(32, 4, 8, width=16, depth=1, heads=2)
    task = SpeechPriorTask(config, tokens, tokens, batch=16)
    rng = np.random.default_rng(1)
    wanted_tokens, shown, wanted = task._masked(tokens, np.arange(16), rng, np.full(16, 0.3))
    assert wanted.any(1).all() and (shown[wanted] == 32).all()
    known = shown != 32
    assert torch.equal(shown[known], wanted_tokens[known])
    losses = []
    for step in range(30):
        loss, _ = task.loss(task.rng(step % 2))
        task.optimizer.zero_grad()
        loss.backward()
        task.optimizer.step()
        losses.append(loss.item())
    assert losses[-1] < losses[0]


def test_recordings_are_read_by_split_and_speaker(tmp_path):
    for split, speaker in (("train", "a"), ("train", "b"), ("test", "c")):
        folder = tmp_path / split / speaker
        folder.mkdir(parents=True)
        writer = SoundWriter(folder / "one.wav")
        writer.write(read_sound()[:9000])
        writer.close()
    found = load_speech(tmp_path, "train", 32)
    assert found.names == ("a/one", "b/one") and np.array_equal(found.starts, [0, 29, 58])
    assert np.array_equal(found.pitch, load_speech(tmp_path, "train", 32).pitch) and found.pitch.any()
    assert list(excerpts(load_speech(tmp_path, "test", 32))) == []  # too short for an excerpt
    with pytest.raises(ParameterError, match="3 s"):
        bench_material(tmp_path, 1, 20)
    with pytest.raises(ParameterError):
        load_speech(tmp_path / "train", "test", 32)
    (tmp_path / "test" / "c" / "two.wav").write_bytes(b"RIFF")
    with pytest.raises(SpeechError):
        load_speech(tmp_path, "test", 32)
