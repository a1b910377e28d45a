"""Photographs with class labels, for measurements."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from tokcom.context.classifier import Classifier
from tokcom.errors import DatasetError, PictureError
from tokcom.models.installed import model_card
from tokcom.models.zoo import load_classifier
from tokcom.tokenizers.pictures import EXTENSIONS, is_hidden, load_picture, resample, sample_pictures, square
from tokcom_lab.training.dataset import SPLITS, load_dataset


@dataclass(frozen=True)
class Photographs:
    """Set of square photographs.

    Attributes:
        pictures: uint8 (n, size, size, 3).
        labels: class of each in the model's numbering; None if the model lacks the class.
        names: name of each.
        source: origin of the photographs, for the report.
    """

    pictures: np.ndarray
    labels: tuple[int | None, ...]
    names: tuple[str, ...]
    source: str


@dataclass(frozen=True)
class ClassNames:
    """Names of classes, of a model that cannot tell which of them a picture is."""

    classes: tuple[str, ...]

    def label(self, picture: np.ndarray) -> int | None:
        """No label, whatever the picture."""
        return None


def class_names(model: str, device: str = "auto") -> Classifier | ClassNames:
    """Load the classifier of a model; of a model without one, the names of its classes."""
    card = model_card(model)
    return load_classifier(model, device) if "classifier" in card.content else ClassNames(card.classes)


def load_photographs(
    data: str | Path | None, n: int, size: int, classifier: Classifier | ClassNames, seed: int = 0, split: str = "test"
) -> Photographs:
    """Draw photographs at random, reproducibly for a seed.

    Args:
        data: a folder of class folders; or a folder or tar archive of train/CLASS and test/CLASS; None for random crops
            of the sample photographs, labelled by the classifier.
        n: number of photographs; fewer are returned if there are no more.
        size: side of the squares in pixels.
        classifier: classifier, or names of classes.
        seed: seed of the choice.
        split: "train" or "test", if the data are split.

    Raises:
        DatasetError: there are no photographs.
    """
    rng = np.random.default_rng(seed)
    if data is None:
        return _samples(n, size, classifier, rng)
    data = Path(data)
    if not data.is_dir() or any((data / split).is_dir() for split in SPLITS):
        return _split(data, split, n, size, classifier, rng)
    return _class_folders(data, n, size, classifier, rng)


def photographs_by_class(
    data: str | Path, split: str, classes: Sequence[str], per_class: int, size: int, seed: int = 0
) -> tuple[np.ndarray, np.ndarray]:
    """Draw as many photographs of each class, reproducibly for a seed.

    Args:
        data: folder or tar archive of train/CLASS and test/CLASS.
        split: "train" or "test".
        classes: names of the classes.
        per_class: photographs of each.
        size: side of the squares in pixels.
        seed: seed of the choice.

    Returns:
        uint8 pictures (n, size, size, 3) in random order, and int labels (n,), places in `classes`.

    Raises:
        DatasetError: a class is missing, or has fewer photographs.
    """
    found, rng, chosen = load_dataset(data, split, size=size, crops=1), np.random.default_rng(seed), []
    for name in classes:
        own = np.flatnonzero(found.labels == found.classes.index(name)) if name in found.classes else np.zeros(0, int)
        if len(own) < per_class:
            raise DatasetError(f"{data}: {split}/{name} has {len(own)} photographs; {per_class} are needed")
        chosen.append(rng.permutation(own)[:per_class])
    order = rng.permutation(len(classes) * per_class)
    labels = np.repeat(np.arange(len(classes)), per_class)[order]
    return np.ascontiguousarray(found.pictures[np.concatenate(chosen)[order], 0]), labels


def _samples(n: int, size: int, classifier: Classifier | ClassNames, rng: np.random.Generator) -> Photographs:
    whole = [(path.stem, load_picture(path)) for path in sample_pictures()]
    cut, names = [], []
    for number in range(n):
        name, picture = whole[number % len(whole)]
        height, width = picture.shape[:2]
        side = min(height, width) * rng.uniform(0.4, 1)
        left, top = rng.uniform(0, width - side), rng.uniform(0, height - side)
        cut.append(resample(picture, (left, top, left + side, top + side), size))
        names.append(f"{name}-{number}")
    labels = tuple(classifier.label(picture) for picture in cut)
    return Photographs(np.stack(cut), labels, tuple(names), "crops of the sample photographs")


def _split(
    data: Path, split: str, n: int, size: int, classifier: Classifier | ClassNames, rng: np.random.Generator
) -> Photographs:
    found = load_dataset(data, split, size=size, crops=1)
    chosen = np.sort(rng.permutation(len(found.labels))[:n])
    names = [found.classes[found.labels[i]] for i in chosen]
    labels = tuple(_label(name, classifier) for name in names)
    return Photographs(
        np.ascontiguousarray(found.pictures[chosen, 0]), labels,
        tuple(f"{name}-{i}" for name, i in zip(names, chosen, strict=True)), f"{data.name}, {split} split",
    )  # fmt: skip


def _class_folders(
    data: Path, n: int, size: int, classifier: Classifier | ClassNames, rng: np.random.Generator
) -> Photographs:
    paths = sorted(
        path
        for path in data.glob("*/*")
        if path.suffix.lower() in EXTENSIONS and not is_hidden(path.relative_to(data)) and path.is_file()
    )
    pictures, labels, names = [], [], []
    for index in rng.permutation(len(paths)):
        if len(pictures) == n:
            break
        try:
            picture = square(load_picture(paths[index], None), size)
        except PictureError:
            continue
        pictures.append(picture)
        labels.append(_label(paths[index].parent.name, classifier))
        names.append(f"{paths[index].parent.name}-{paths[index].stem}")
    if not pictures:
        raise DatasetError(f"{data}: no photographs; it must hold one folder of them per class, or train/ and test/")
    return Photographs(np.stack(pictures), tuple(labels), tuple(names), data.name)


def _label(name: str, classifier: Classifier | ClassNames) -> int | None:
    return classifier.classes.index(name) if name in classifier.classes else None
