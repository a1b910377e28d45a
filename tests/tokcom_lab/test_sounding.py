import wave

import numpy as np
import pytest
import torch

from tokcom.context.description import WIDTH
from tokcom.context.sound_encoder import RATE, SoundEncoder, SoundEncoderConfig
from tokcom.errors import DatasetError
from tokcom_lab import sounding
from tokcom_lab.sounding import SOUNDING, sound_points
from tokcom_lab.training.export import Run, export_part


def test_each_photograph_gets_a_sound_that_was_not_trained_on(tmp_path, monkeypatch):
    torch.manual_seed(0)
    network = SoundEncoder(SoundEncoderConfig(16, (8, 8), WIDTH))
    export_part(tmp_path / "ears", "sounds", "sound-encoder", network, {}, Run("n", "n", 0, 0, 0.0), ("a", "b"))
    rng = np.random.default_rng(0)
    (tmp_path / "data" / SOUNDING["rooster"]).mkdir(parents=True)
    for name in ("1-train.wav", "5-a.wav", "5-b.wav", "5-notes.txt"):
        with wave.open(str(tmp_path / "data" / SOUNDING["rooster"] / name), "wb") as file:
            file.setparams((1, 2, RATE, 0, "NONE", ""))
            file.writeframes((3000 * rng.normal(size=RATE)).astype("<i2").tobytes())
    read, heard = sounding.read_sound, []
    monkeypatch.setattr(sounding, "read_sound", lambda path, seconds: heard.append(path.name) or read(path, seconds))
    found = sound_points(["rooster"] * 8, tmp_path / "data", 0, str(tmp_path / "ears"))
    assert found.shape == (8, WIDTH) and set(heard) == {"5-a.wav", "5-b.wav"}
    assert np.linalg.norm(found, axis=1) == pytest.approx(1, abs=1e-3)
    with pytest.raises(DatasetError, match="no sounds of fold 5"):
        sound_points(["dalmatian"], tmp_path / "data", 0, str(tmp_path / "ears"))
