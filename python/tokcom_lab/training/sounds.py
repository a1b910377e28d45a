"""Training of an encoder of sounds: each sound's point comes to lie near those of sentences about it.

Contrastive, as CLAP (Elizalde et al., ICASSP 2023): of the sentences about all kinds of sounds, those about its own
kind are to be the nearest.
"""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

from tokcom.context.sound_encoder import LONGEST_S, SoundEncoder, SoundEncoderConfig, log_mel
from tokcom.errors import DatasetError
from tokcom.tokenizers.sounds import SUFFIXES, read_sound
from tokcom_lab.training.loop import Task, rate_by_share

SHARPNESS = 12.0
"""Factor of cosines in the softmax over sentences."""
NEARNESS = 2.0
"""Weight of the distance from the sentences about the own class: a point must also lie where models know sentences."""
WINDOWS = 128
"""Windows of the part of a sound that is trained on, 2.6 s."""
MASKED = 0.25
"""Largest share of bands, and of windows, that is hidden (SpecAugment, Park et al., 2019)."""
MEASURED_FOLD = "5"
"""First letter of the names of files that are measured with; sounds cut from one recording begin alike."""


@dataclass(frozen=True)
class ClassSounds:
    """Spectra of sounds, float32 (bands, windows) each, their classes int (n,), and the names of all classes."""

    spectra: tuple[np.ndarray, ...]
    labels: np.ndarray
    classes: tuple[str, ...]


def load_sounds_of(
    folder: Path, measured: bool, bands: int, progress: Callable[[int], None] = lambda done: None
) -> ClassSounds:
    """Read sounds from CLASS/FOLD-NAME.ogg, or .wav or .flac, as ESC-10 has them.

    Args:
        folder: the folder of classes.
        measured: read those of MEASURED_FOLD, or the others.
        bands: mel bands of the spectra.
        progress: called with the number of files read since the last call.

    Raises:
        DatasetError: there are none.
        SpeechError: a file cannot be read.
    """
    classes = sorted(each.name for each in folder.iterdir() if each.is_dir()) if folder.is_dir() else []
    spectra, labels = [], []
    for label, name in enumerate(classes):
        for path in sorted(path for path in (folder / name).iterdir() if path.suffix.lower() in SUFFIXES):
            if path.name.startswith(MEASURED_FOLD) == measured:
                spectra.append(log_mel(read_sound(path, LONGEST_S), bands))
                labels.append(label)
                progress(1)
    if not spectra:
        raise DatasetError(
            f"{folder}: no sounds; it must hold CLASS/FOLD-NAME.ogg, and fold {MEASURED_FOLD} to measure"
        )
    return ClassSounds(tuple(spectra), np.array(labels), tuple(classes))


class SoundsTask(Task):
    """Cross-entropy over sentences, of which any about the sound's class is right.

    Args:
        train: sounds to train on.
        test: sounds to measure with.
        sentences: float32 (classes, phrasings, width), embeddings of sentences about each class.
        unseen: float32 (classes, width), of one more each, to measure with.
        batch: sounds per step.
        seed: seed of weights, batches and masks.
        config: shape of the network.
    """

    name = "sounds"
    learning_rate = 2e-3

    def __init__(
        self, train: ClassSounds, test: ClassSounds, sentences: Tensor, unseen: Tensor, *, batch: int = 32,
        seed: int = 0, config: SoundEncoderConfig | None = None,
    ):  # fmt: skip
        torch.manual_seed(seed)
        self.train, self.test, self.batch, self.seed = train, test, batch, seed
        self.sentences, self.unseen = sentences, unseen
        self.model = SoundEncoder(config or SoundEncoderConfig(embedding=sentences.shape[-1]))
        self.optimizer = torch.optim.AdamW(self.model.parameters(), lr=self.learning_rate, weight_decay=0.05)

    def settings(self) -> dict:
        return {"network": self.model.config.as_dict(), "batch": self.batch, "seed": self.seed}

    def set_rates(self, step: int) -> None:
        """Set the rates by `rate_by_share`: a small network needs few steps."""
        for group in self.optimizer.param_groups:
            group["lr"] = self.learning_rate * rate_by_share(self.share)

    def loss(self, rng: np.random.Generator) -> tuple[Tensor, dict[str, float]]:
        chosen = rng.integers(0, len(self.train.labels), self.batch)
        spectra = torch.from_numpy(np.stack([_part(self.train.spectra[number], rng) for number in chosen]))
        labels = torch.from_numpy(self.train.labels[chosen])
        cosines = self.model(spectra) @ self.sentences.flatten(0, 1).T
        scores = (SHARPNESS * cosines).log_softmax(-1).reshape(len(labels), *self.sentences.shape[:2]).logsumexp(-1)
        own = cosines.reshape(len(labels), *self.sentences.shape[:2])[torch.arange(len(labels)), labels].mean()
        loss = F.nll_loss(scores, labels) + NEARNESS * (1 - own)
        right = float((scores.argmax(1) == labels).float().mean())
        return loss, {"loss": float(loss.detach()), "right": right}

    def evaluate(self) -> dict[str, float]:
        """Measure the share of test sounds whose nearest sentence, of one unseen sentence per class, is about their
        class, and the mean cosine with it."""
        found = torch.cat([self.model(torch.from_numpy(each)[None]) for each in self.test.spectra])
        cosines, labels = found @ self.unseen.T, torch.from_numpy(self.test.labels)
        right = (cosines.argmax(1) == labels).float().mean()
        return {
            "nearest_sentence_right": float(right), "cosine": float(cosines[torch.arange(len(labels)), labels].mean()),
            "sounds": float(len(labels)),
        }  # fmt: skip


def _part(spectra: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Cut WINDOWS windows out of a sound, and hide some bands and windows."""
    bands, windows = spectra.shape
    repeated = np.tile(spectra, math.ceil(WINDOWS / windows)) if windows < WINDOWS else spectra
    start = rng.integers(0, repeated.shape[1] - WINDOWS + 1)
    part = repeated[:, start : start + WINDOWS].copy()
    for axis, length in enumerate((bands, WINDOWS)):
        size = rng.integers(0, int(MASKED * length) + 1)
        first = rng.integers(0, length - size + 1)
        part[(slice(None),) * axis + (slice(first, first + size),)] = 0
    return part * np.float32(rng.uniform(0.8, 1.2))


def sentences_about(classes: Sequence[str], said: dict[str, list[str]]) -> tuple[list[list[str]], list[str]]:
    """Divide sentences about classes into those to train on, equally many per class, and one each to measure with.

    Raises:
        DatasetError: a class has fewer than two.
    """
    few = [name for name in classes if len(said.get(name, ())) < 2]
    if few:
        raise DatasetError(f"class {few[0]} has fewer than 2 sentences, of which the last is measured with")
    most = max(len(said[name]) for name in classes) - 1
    return [[said[name][i % (len(said[name]) - 1)] for i in range(most)] for name in classes], [
        said[name][-1] for name in classes
    ]
