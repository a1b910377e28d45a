"""The blocks of speech: files, streams, gaps, and what is refused."""

import wave
from dataclasses import replace

import numpy as np
import pytest
from gnuradio import gr, tokcom

from tokcom.context.condition import Condition
from tokcom.context.recovery import Recovery
from tokcom.errors import ParameterError, SpeechError
from tokcom.models.speech import load_speech_tokenizer
from tokcom.models.zoo import load_context
from tokcom.tokenizers.sounds import SoundWriter, read_sound

FRAME = 320


@pytest.fixture(scope="module")
def model(tiny_speech_model):
    return str(tiny_speech_model)


def tone(frames, hertz=150.0):
    time = np.arange(frames * FRAME) / 8000
    return (0.05 * sum(np.cos(2 * np.pi * k * hertz * time) for k in range(1, 9))).astype(np.float32)


def written(path, signal):
    writer = SoundWriter(path)
    writer.write(signal)
    writer.close()
    return path


def meta_of(frame, **more):
    return {
        "frame_id": frame.frame_id, "modality": "speech", "codebook": frame.codebook, "codebook_size": 128,
        "grid": frame.grid, "quantizers": 4,
    } | more  # fmt: skip


def test_pieces_become_the_tokens_of_the_whole(model, pdu, send):
    signal = tone(21)
    pieces = [pdu(piece) for piece in np.split(signal, [1000, 1001, 3000])]
    found = send(tokcom.audio_tokenizer(model, 4), pieces)
    assert [meta["frame_id"] for meta, _ in found] == list(range(4)) and found[0][0]["grid"] == (4, 4)
    whole = load_speech_tokenizer(model).tokenize(signal)
    joined = np.concatenate([data.reshape(4, 4) for _, data in found], 1)
    assert np.array_equal(joined, whole.tokens.reshape(whole.grid)[:, :16])


def test_frames_become_one_sound_and_a_gap_fades(model, pdu, send):
    tokenizer = load_speech_tokenizer(model)
    words = np.random.default_rng(0).integers(0, 128, (4, 24))
    frames = [tokenizer.frame(words[:, 4 * number : 4 * number + 4], number) for number in range(6)]
    messages = [pdu(each.tokens, **meta_of(each)) for each in frames]
    block = tokcom.audio_detokenizer(model)
    sound = np.concatenate([data for _, data in send(block, messages)])
    whole = tokenizer.detokenize(tokenizer.frame(words))
    assert len(sound) == len(whole) - 160 and np.allclose(sound, whole[:-160], atol=1e-3 * np.abs(whole).max())
    # Frame 3 is missing, and then comes too late.
    block = tokcom.audio_detokenizer(model)
    found = send(block, [messages[number] for number in (0, 1, 2, 4, 3, 5)])
    assert sum(len(data) for _, data in found) == len(whole) - 160 and block.frames_late == 1


def test_bad_sounds_and_frames_are_counted_and_the_next_one_passes(model, pdu, send):
    block = tokcom.audio_tokenizer(model, 2)
    bad = [pdu(np.zeros(0, np.float32)), pdu(np.full(9, np.inf, np.float32)), pdu(np.zeros(3, np.int32))]
    assert len(send(block, [*bad, pdu(tone(4))])) == 1 and block.frames_refused == 3
    other = {"frame_id": 0, "modality": "speech", "codebook": "other", "codebook_size": 128, "grid": (4, 1)}
    shown = tokcom.audio_detokenizer(model)
    assert send(shown, [pdu(np.zeros(4, np.int32), **other)]) == [] and shown.frames_unknown["other"] == 1


@pytest.mark.parametrize("suffix", ["wav", "flac"])
def test_a_file_goes_through_source_and_sink(suffix, tmp_path):
    if suffix != "wav":
        pytest.importorskip("soundfile", reason="the packages of requirements/speech.txt are not installed")
    given = written(tmp_path / f"given.{suffix}", tone(10))
    source = tokcom.audio_source(str(given), frames=4, real_time=False)
    sink, top = tokcom.audio_sink(str(tmp_path / f"taken.{suffix}")), gr.top_block()
    top.msg_connect(source, "sounds", sink, "sounds")
    top.run()
    taken = read_sound(tmp_path / f"taken.{suffix}")
    assert source.frames_sent == sink.sounds_received == 4 and len(taken) == 16 * FRAME
    assert np.allclose(taken[: 10 * FRAME], read_sound(given), atol=1e-4) and not taken[10 * FRAME :].any()


def test_files_of_other_rates_and_channels_are_read(tmp_path):
    path = tmp_path / "stereo.wav"
    with wave.open(str(path), "wb") as file:
        file.setparams((2, 2, 16000, 0, "NONE", ""))
        time = np.arange(16000) / 16000
        file.writeframes((np.stack([np.sin(2 * np.pi * 440 * time)] * 2, 1) * 16000).astype("<i2").tobytes())
    sound = read_sound(path)
    assert len(sound) == 8000 and np.argmax(np.abs(np.fft.rfft(sound))) == 440
    assert len(read_sound()) > 8000  # the sample


def test_files_that_are_none_are_refused(tmp_path):
    (tmp_path / "text.wav").write_text("no sound")
    written(tmp_path / "empty.wav", np.zeros(0))
    for name in ("text.wav", "empty.wav", "absent.wav"):
        with pytest.raises(SpeechError):
            read_sound(tmp_path / name)
    for path in ("sound.mp3", str(tmp_path / "no folder" / "sound.wav")):
        with pytest.raises(SpeechError):
            tokcom.audio_sink(path)
    with pytest.raises(SpeechError):
        tokcom.audio_source("absent.wav")
    for make in (lambda: tokcom.audio_source(frames=0), lambda: tokcom.audio_source(stream_id=64)):
        with pytest.raises(ParameterError):
            make()


def test_recovery_tells_the_prior_what_came_before(model, pdu, send):
    tokenizer, prior = load_speech_tokenizer(model), load_context(model)
    words = np.random.default_rng(0).integers(0, 128, (4, 8))
    frames = [
        replace(tokenizer.frame(words[:, start : start + 2], number), follows=int(number > 0))
        for number, start in enumerate((0, 2, 4))
    ]
    lost = frames[2].with_tokens(np.full(8, -1))
    messages = [pdu(each.tokens, **meta_of(each, follows=each.follows)) for each in (*frames[:2], lost)]
    found = send(tokcom.token_recovery(model, "mask"), messages)
    before = Condition(before=tokenizer.frame(words[:, :4]))
    wanted, _ = Recovery(prior).recover(lost, condition=before)
    alone, _ = Recovery(prior).recover(lost)
    assert np.array_equal(found[2][1], wanted.tokens) and not np.array_equal(wanted.tokens, alone.tokens)
