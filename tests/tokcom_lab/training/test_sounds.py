import io
import wave

import numpy as np
import pytest
import torch
from rich.console import Console

from tokcom.context.description import POINT, WIDTH, of_point
from tokcom.context.sound_encoder import RATE, SoundEncoderConfig
from tokcom.errors import DatasetError
from tokcom.models.description_points import describe_sound, load_sounds
from tokcom.tokenizers.sounds import read_sound
from tokcom_lab.training.export import Run, export_part
from tokcom_lab.training.loop import train
from tokcom_lab.training.sounds import SoundsTask, load_sounds_of, sentences_about

QUIET = Console(file=io.StringIO())
SMALL = SoundEncoderConfig(16, (8, 8), WIDTH)


@pytest.fixture
def tones(tmp_path):
    """Low and high tones in noise, of two folds to train on and one to measure with."""
    rng = np.random.default_rng(0)
    for name, hz in (("high", 3000), ("low", 300)):
        (tmp_path / "data" / name).mkdir(parents=True)
        for fold in "1125":
            tone = np.sin(2 * np.pi * hz * rng.uniform(0.8, 1.2) * np.arange(RATE) / RATE) + 0.1 * rng.normal(size=RATE)
            with wave.open(str(tmp_path / "data" / name / f"{fold}-{rng.integers(1 << 30)}.wav"), "wb") as file:
                file.setparams((1, 2, RATE, 0, "NONE", ""))
                file.writeframes((10000 * tone).astype("<i2").tobytes())
    return tmp_path / "data"


def a_task(tones):
    train_sounds, test = (load_sounds_of(tones, measured, SMALL.bands) for measured in (False, True))
    assert train_sounds.classes == ("high", "low") and train_sounds.labels.tolist() == [0, 0, 0, 1, 1, 1]
    assert test.labels.tolist() == [0, 1]
    torch.manual_seed(0)
    sentences = torch.nn.functional.normalize(torch.randn(2, 3, WIDTH), dim=-1)
    return SoundsTask(train_sounds, test, sentences, sentences[:, 0], batch=6, config=SMALL)


def test_sounds_come_to_lie_near_sentences_about_them(tones, tmp_path):
    task = a_task(tones)
    train(task, steps=60, checkpoint=tmp_path / "sounds.safetensors", console=QUIET)
    figures = task.measured()
    assert figures["nearest_sentence_right"] == 1 and figures["cosine"] > 0.2 and figures["sounds"] == 2
    folder = tmp_path / "ears"
    export_part(folder, "sounds", "sound-encoder", task.model, figures, Run("n", "n", 0, 0, 0.0), ("high", "low"))
    path = next((tones / "low").iterdir())
    point = load_sounds(str(folder), "cpu").embed(read_sound(path))
    nearest = (torch.from_numpy(point) @ task.sentences.flatten(0, 1).T).argmax()
    assert nearest in (3, 4, 5)
    assert describe_sound(path, str(folder), 4) == of_point(point, 4) and of_point(point)[0] == POINT


def test_sounds_that_are_not_there(tmp_path):
    with pytest.raises(DatasetError, match="no sounds; it must hold CLASS/FOLD-NAME"):
        load_sounds_of(tmp_path / "none", False, 16)


def test_the_last_sentence_is_kept_to_measure_with():
    seen, unseen = sentences_about(["a", "b"], {"a": ["1", "2", "3"], "b": ["4", "5"]})
    assert seen == [["1", "2"], ["4", "4"]] and unseen == ["3", "5"]
    with pytest.raises(DatasetError, match="class b has fewer than 2 sentences"):
        sentences_about(["a", "b"], {"a": ["1", "2"], "b": ["4"]})
