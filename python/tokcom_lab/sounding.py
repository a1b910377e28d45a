"""Sounds of the things on photographs, for measurements."""

import json
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from tokcom.context.sound_encoder import LONGEST_S
from tokcom.errors import DatasetError
from tokcom.models.description_points import SOUNDS, load_sounds
from tokcom.tokenizers.sounds import SUFFIXES, read_sound
from tokcom_lab.training.sounds import MEASURED_FOLD

SOUNDING: dict[str, str] = json.loads(
    (Path(__file__).parent / "training" / "caltech101_sounds.json").read_text(encoding="utf-8")
)
"""Folder of ESC-10 by class of Caltech-101, of those that make one of its sounds."""


def sound_points(classes: Sequence[str], folder: Path, seed: int, model: str = SOUNDS) -> np.ndarray:
    """Draw a sound for each photograph, of those that the encoder was not trained on, and embed it.

    Args:
        classes: class of each photograph, of SOUNDING.
        folder: folder of CLASS/FOLD-NAME.ogg.
        seed: seed of the choice.
        model: model with the encoder of sounds.

    Returns:
        float32 (photographs, width).

    Raises:
        DatasetError: a class has no sounds of that fold.
        SpeechError: a file cannot be read.
    """
    encoder, found = load_sounds(model, "cpu"), []
    for number, name in enumerate(classes):
        place = folder / SOUNDING[name]
        paths = sorted(
            path
            for path in (place.iterdir() if place.is_dir() else ())
            if path.suffix.lower() in SUFFIXES and path.name.startswith(MEASURED_FOLD)
        )
        if not paths:
            raise DatasetError(f"{place}: no sounds of fold {MEASURED_FOLD}")
        chosen = paths[np.random.default_rng([seed, number]).integers(len(paths))]
        found.append(encoder.embed(read_sound(chosen, LONGEST_S)))
    return np.stack(found)
