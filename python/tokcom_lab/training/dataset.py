"""Training pictures: folders, tar or zip archives of train/<class>/* and test/<class>/*, cropped once and cached.

A folder or archive without train/ and test/ is a training split. Pictures are processed one at a time and stored as
bytes in a memory-mapped file, so a data set may be larger than memory. Hidden files and folders, such as those of
Jupyter, macOS and file servers, are ignored.
"""

import hashlib
import io
import json
import shutil
import tarfile
import tempfile
import zipfile
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from contextlib import suppress
from dataclasses import dataclass, replace
from itertools import chain, islice
from pathlib import Path, PurePosixPath
from typing import BinaryIO

import numpy as np

from tokcom.errors import DatasetError, PictureError
from tokcom.tokenizers.pictures import EXTENSIONS, is_hidden, load_picture, resample, square
from tokcom_lab.cache import FOLDER, code_of, key_of
from tokcom_lab.workers import workers

SPLITS = ("train", "test")
SMALLEST_CROP = 0.7
"""Side of the smallest random crop, as a share of the picture's shorter side."""
UNDER_WAY = 512
"""Number of files read ahead of the processes that decode them."""


@dataclass(frozen=True)
class Dataset:
    """Data set of one split: pictures uint8 (n, crops, size, size, 3), labels int64 (n,), and the names of all classes.

    Crop 0 is the central square, as a tokenizer cuts it at run time; the others are random.
    """

    pictures: np.ndarray
    labels: np.ndarray
    classes: tuple[str, ...]
    broken: tuple[str, ...]

    def numbered(self, classes: Sequence[str]) -> "Dataset":
        """Return the same pictures with labels in the numbering of other classes, whose null class, one past the last,
        takes pictures of none of them."""
        numbers = {name: number for number, name in enumerate(classes)}
        own = np.array([numbers.get(name, len(classes)) for name in self.classes], dtype=np.int64)
        return replace(self, labels=own[self.labels], classes=tuple(classes))


def load_dataset(
    data: str | Path | Sequence[str | Path], split: str, *, size: int, crops: int, seed: int = 0,
    cache: str | Path = FOLDER,
) -> Dataset:  # fmt: skip
    """Read one split, preparing it on first use.

    Args:
        data: folder, tar or zip archive, or several of them; path components above train/ and test/ inside are ignored.
        split: "train" or "test".
        size: side of the squares in pixels.
        crops: squares per picture: the central one and crops - 1 random ones.
        seed: seed of the random crops.
        cache: folder of the prepared arrays, keyed by the files' names, sizes and dates, these arguments and the code.

    Raises:
        DatasetError: the data do not exist, or have no pictures of that split.
    """
    sources = [Path(each) for each in ([data] if isinstance(data, str | Path) else data)]
    for source in sources:
        if not source.exists():
            raise DatasetError(f"{source}: no such folder or archive")
    files = [path for source in sources for path in (sorted(_visible(source)) if source.is_dir() else [source])]
    stats = [(str(path), path.stat().st_size, path.stat().st_mtime_ns) for path in files]
    places = [str(source.resolve()) for source in sources]
    code = code_of("tokcom.tokenizers.pictures", "tokcom_lab.training.dataset")
    folder = Path(cache) / f"pictures-{key_of(places, stats, split, size, crops, seed, code)}"
    if not (folder / "index.json").exists():
        _prepare(sources, split, size, crops, seed, folder)
    index = json.loads((folder / "index.json").read_text(encoding="utf-8"))
    return Dataset(
        np.load(folder / "pictures.npy", mmap_mode="r"),
        np.array(index["labels"], dtype=np.int64),
        tuple(index["classes"]),
        tuple(index["broken"]),
    )


def _prepare(sources: Sequence[Path], split: str, size: int, crops: int, seed: int, folder: Path) -> None:
    names, broken, classes = [], [], set()
    jobs = (
        (name, content, size, crops, seed)
        for source in sources
        for name, content in _entries(source, split, classes)
    )  # fmt: skip
    with workers(start=None) as pool:
        readable = _readable(pool, jobs, broken)
        first = next(readable, None)
        if first is None:
            raise DatasetError(f"{', '.join(map(str, sources))}: no pictures under {split}/<class>/")
        folder.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=folder.parent) as place:
            unfinished = Path(place) / folder.name
            unfinished.mkdir()
            with (unfinished / "pictures.npy").open("wb") as file:
                _write_header(file, (0, crops, size, size, 3))
                for name, squares in chain([first], readable):
                    file.write(squares.tobytes())
                    names.append(PurePosixPath(name).parent.name)
                _write_header(file, (len(names), crops, size, size, 3))
            ordered = sorted(classes)
            index = {"labels": [ordered.index(name) for name in names], "classes": ordered, "broken": broken}
            (unfinished / "index.json").write_text(json.dumps(index), encoding="utf-8")
            # Two processes may have prepared the same data: replace only by complete folders.
            if folder.exists() and not (folder / "index.json").exists():
                shutil.rmtree(folder)
            with suppress(OSError):
                unfinished.rename(folder)


def _readable(pool: ProcessPoolExecutor, jobs: Iterator[tuple], broken: list[str]) -> Iterator[tuple[str, np.ndarray]]:
    """Yield names and squares of readable pictures, reading only a few ahead; add the names of the others to
    `broken`."""
    while ahead := list(islice(jobs, UNDER_WAY)):
        for name, squares in pool.map(_cut, ahead, chunksize=32):
            if squares is None:
                broken.append(name)
            else:
                yield name, squares


def _write_header(file: BinaryIO, shape: tuple[int, ...]) -> None:
    """Write the header of a .npy file of bytes; NumPy leaves room for the first axis to grow."""
    file.seek(0)
    np.lib.format.write_array_header_1_0(file, {"descr": "|u1", "fortran_order": False, "shape": shape})


def _entries(source: Path, split: str, classes: set[str]) -> Iterator[tuple[str, bytes]]:
    """Yield (path inside the source, content) of a split's pictures in a fixed order; add the classes of both
    splits."""
    if source.is_dir():
        found = {str(PurePosixPath(*path.relative_to(source).parts)): path for path in _visible(source)}
        for name in _of_split(found, split, classes):
            yield name, found[name].read_bytes()
        return
    try:
        if zipfile.is_zipfile(source):
            with zipfile.ZipFile(source) as archive:
                files = {info.filename: info for info in archive.infolist() if not info.is_dir()}
                for name in _of_split(files, split, classes):
                    yield name, archive.read(files[name])
            return
        with tarfile.open(source) as archive:
            members = {member.name: member for member in archive if member.isfile()}
            for name in _of_split(members, split, classes):
                yield name, archive.extractfile(members[name]).read()
    except (tarfile.TarError, zipfile.BadZipFile):
        raise DatasetError(f"{source}: neither a folder nor a whole tar or zip archive") from None


def _of_split(names: Iterable[str], split: str, classes: set[str]) -> list[str]:
    """Select and sort the pictures of a split among the files of one source; add the classes of both splits."""
    pictures = [PurePosixPath(name) for name in sorted(names)]
    pictures = [path for path in pictures if path.suffix.lower() in EXTENSIONS and not is_hidden(path)]
    divided = [path for path in pictures if len(path.parts) > 2 and path.parts[-3] in SPLITS]
    chosen = [path for path in divided if path.parts[-3] == split]
    if not divided:
        divided = [path for path in pictures if len(path.parts) > 1]
        chosen = divided if split == "train" else []
    classes.update(path.parts[-2] for path in divided)
    return [str(path) for path in chosen]


def _visible(folder: Path, above: tuple[Path, ...] = ()) -> Iterator[Path]:
    """Iterate over all files below a folder that are not hidden, also behind links; `above` are the folders above."""
    real = folder.resolve()
    for path in folder.iterdir() if real not in above else ():
        if is_hidden(PurePosixPath(path.name)):
            continue
        if path.is_dir():
            yield from _visible(path, (*above, real))
        elif path.is_file():
            yield path


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
