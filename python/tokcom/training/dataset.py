"""Training pictures: a folder or tar archive of train/<class>/* and test/<class>/*, cut to squares once and kept.

Hidden files and folders, as Jupyter, macOS and file servers leave them there, are no pictures and no classes.
"""

import hashlib
import io
import json
import shutil
import tarfile
import tempfile
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

import numpy as np

from tokcom.errors import DatasetError, PictureError
from tokcom.tokenizers.pictures import EXTENSIONS, is_hidden, load_picture, resample, square

SPLITS = ("train", "test")
SMALLEST_CROP = 0.7
"""Side of the smallest random crop, as a share of the picture's shorter side."""


@dataclass(frozen=True)
class Dataset:
    """Pictures of one split: uint8 (n, crops, size, size, 3), labels int64 (n,), and the names of all classes.

    Crop 0 is the central square, as a tokenizer cuts it at run time; the others are random.
    """

    pictures: np.ndarray
    labels: np.ndarray
    classes: tuple[str, ...]
    broken: tuple[str, ...]


def load_dataset(
    data: str | Path, split: str, *, size: int, crops: int, seed: int = 0, cache: str | Path = ".cache/datasets"
) -> Dataset:
    """Read one split, preparing it on first use.

    Args:
        data: folder or tar archive; what lies above train/ and test/ inside it is ignored.
        split: "train" or "test".
        size: side of the squares in pixels.
        crops: squares a picture: the central one and crops - 1 at random.
        seed: seed of the random crops.
        cache: folder that keeps the prepared arrays, keyed by the files' names, sizes and dates and these arguments.

    Raises:
        DatasetError: no such data, or no pictures of that split in it.
    """
    data = Path(data)
    if not data.exists():
        raise DatasetError(f"{data}: no such folder or archive")
    files = sorted(_visible(data)) if data.is_dir() else [data]
    stats = [(str(path), path.stat().st_size, path.stat().st_mtime_ns) for path in files if path.is_file()]
    key = [str(data.resolve()), stats, split, size, crops, seed, SMALLEST_CROP]
    folder = Path(cache) / hashlib.sha256(json.dumps(key).encode()).hexdigest()[:16]
    if not (folder / "index.json").exists():
        _prepare(data, split, size, crops, seed, folder)
    index = json.loads((folder / "index.json").read_text(encoding="utf-8"))
    return Dataset(
        np.load(folder / "pictures.npy", mmap_mode="r"),
        np.array(index["labels"], dtype=np.int64),
        tuple(index["classes"]),
        tuple(index["broken"]),
    )


def _prepare(data: Path, split: str, size: int, crops: int, seed: int, folder: Path) -> None:
    pictures, names, broken, classes = [], [], [], set()
    jobs = ((name, content, size, crops, seed) for name, content in _entries(data, split, classes))
    with ProcessPoolExecutor() as pool:
        for name, result in pool.map(_cut, jobs, chunksize=32):
            if result is None:
                broken.append(name)
            else:
                pictures.append(result)
                names.append(PurePosixPath(name).parent.name)
    if not pictures:
        raise DatasetError(f"{data}: no pictures under {split}/<class>/")
    ordered = sorted(classes)
    folder.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=folder.parent) as place:
        unfinished = Path(place) / folder.name
        unfinished.mkdir()
        np.save(unfinished / "pictures.npy", np.stack(pictures))
        index = {"labels": [ordered.index(name) for name in names], "classes": ordered, "broken": broken}
        (unfinished / "index.json").write_text(json.dumps(index), encoding="utf-8")
        # Two processes may have prepared the same: whole folders alone take the place.
        if folder.exists() and not (folder / "index.json").exists():
            shutil.rmtree(folder)
        with suppress(OSError):
            unfinished.rename(folder)


def _entries(data: Path, split: str, classes: set[str]) -> Iterator[tuple[str, bytes]]:
    """(path inside the data, content) of a split's pictures in a fixed order; notes the classes of both splits."""
    if data.is_dir():
        found = {str(PurePosixPath(*path.relative_to(data).parts)): path for path in _visible(data)}
        for name in sorted(found):
            if _belongs(name, split, classes):
                yield name, found[name].read_bytes()
        return
    try:
        with tarfile.open(data) as archive:
            members = {member.name: member for member in archive if member.isfile()}
            for name in sorted(members):
                if _belongs(name, split, classes):
                    yield name, archive.extractfile(members[name]).read()
    except tarfile.TarError:
        raise DatasetError(f"{data}: neither a folder nor a tar archive") from None


def _visible(data: Path) -> Iterator[Path]:
    """Everything in a folder that is not hidden."""
    return (path for path in data.rglob("*") if not is_hidden(path.relative_to(data)))


def _belongs(name: str, split: str, classes: set[str]) -> bool:
    path = PurePosixPath(name)
    if len(path.parts) < 3 or path.parts[-3] not in SPLITS or path.suffix.lower() not in EXTENSIONS or is_hidden(path):
        return False
    classes.add(path.parts[-2])
    return path.parts[-3] == split


def _cut(job: tuple[str, bytes, int, int, int]) -> tuple[str, np.ndarray | None]:
    name, content, size, crops, seed = job
    try:
        picture = load_picture(io.BytesIO(content), None)
    except PictureError:
        return name, None
    rng = np.random.default_rng([seed, *hashlib.sha256(name.encode()).digest()[:8]])
    height, width = picture.shape[:2]
    squares = [square(picture, size)]
    for _ in range(crops - 1):
        side = min(height, width) * rng.uniform(SMALLEST_CROP, 1)
        left, top = rng.uniform(0, width - side), rng.uniform(0, height - side)
        squares.append(resample(picture, (left, top, left + side, top + side), size))
    return name, np.stack(squares)
