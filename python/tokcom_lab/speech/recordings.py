"""Gathering of freely licensed speech: 8 kHz recordings by split and speaker, from Debian packages and data sets."""

import json
import shutil
import subprocess
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from tokcom.errors import ParameterError, SpeechError
from tokcom.tokenizers.pitch import RATE
from tokcom.tokenizers.sounds import read_sound

LONGEST = 60.0
"""Seconds of a file that are used."""
SOURCES = json.loads(Path(__file__).with_name("recordings.json").read_text(encoding="utf-8"))
"""Packages, their folders, licences and splits."""


@dataclass(frozen=True)
class Recording:
    """One file of speech.

    Attributes:
        split: "train" or "test"; no speaker is in both.
        speaker: name of the speaker.
        name: name that is unique among the speaker's.
        path: the file, in a format that libsndfile reads.
    """

    split: str
    speaker: str
    name: str
    path: Path


def gather(
    folder: Path, *, digits: Path | None = None, emotions: Path | None = None,
    advance: Callable[[str], None] = lambda done: None,
) -> dict[str, float]:  # fmt: skip
    """Write `folder`/SPLIT/SPEAKER/NAME.wav, mono, 16 bits, 8 kHz; files that are there are kept.

    Args:
        folder: destination; packages are kept in `folder`/packages.
        digits: a checkout of the Free Spoken Digit Dataset.
        emotions: a folder with the `wav` folder of the Berlin database of emotional speech.
        advance: called with the name of each source when it is done.

    Returns:
        Hours per split.

    Raises:
        ParameterError: a given folder lacks its recordings, or a package cannot be downloaded.
    """
    for package in SOURCES["packages"]:
        for each in _of_package(folder / "packages", package):
            _convert(each, folder)
        advance(package)
    for source, place in (("digits", digits), ("emotions", emotions)):
        if place is not None:
            for each in _of_data_set(place, SOURCES["data_sets"][source]):
                _convert(each, folder)
            advance(source)
    for each in _synthesized(folder / "packages"):
        _convert(each, folder)
    advance("espeak-ng")
    return {
        split: sum(path.stat().st_size - 44 for path in folder.glob(f"{split}/*/*.wav")) / (2 * RATE * 3600)
        for split in ("train", "test")
    }


def _convert(recording: Recording, folder: Path) -> None:
    import soundfile

    target = folder / recording.split / recording.speaker / f"{recording.name}.wav"
    if target.exists():
        return
    try:
        sound = read_sound(recording.path, seconds=LONGEST)
    except SpeechError:
        return
    if len(sound) < RATE // 5:
        return
    target.parent.mkdir(parents=True, exist_ok=True)
    unfinished = target.with_suffix(".unfinished")
    soundfile.write(unfinished, sound, RATE, subtype="PCM_16", format="WAV")
    unfinished.rename(target)


def _of_package(packages: Path, package: str) -> Iterator[Recording]:
    for entry in SOURCES["packages"][package]["speakers"]:
        root = _unpacked(packages, package) / entry["folder"]
        folders = [root] if not entry.get("by_folder") else sorted(each for each in root.iterdir() if each.is_dir())
        for each in folders:
            speaker = entry["speaker"] + (f"-{each.name}" if entry.get("by_folder") else "")
            for path in sorted(each.rglob(f"*.{entry['kind']}")):
                name = "_".join(path.relative_to(each).with_suffix("").parts)
                if name in entry.get("files", (name,)):
                    yield Recording(entry["split"], speaker, name, path)


def _of_data_set(place: Path, entry: dict) -> Iterator[Recording]:
    paths = sorted((place / entry["folder"]).glob("*.wav"))
    if not paths:
        raise ParameterError(f"{place / entry['folder']} holds no *.wav; it must be a copy of {entry['name']}")
    for path in paths:
        parts = path.stem.split("_")
        own = parts[1] if entry["speaker_is"] == "second part" else path.stem[:2]
        split = "test" if own in entry["test"] else "train"
        yield Recording(split, f"{entry['speaker']}-{own}", path.stem, path)


def _synthesized(packages: Path) -> Iterator[Recording]:
    """Speak sentences with espeak-ng's voices, where the program is installed or its packages can be unpacked."""
    entry = SOURCES["synthesis"]
    roots = [_unpacked(packages, package) for package in entry["packages"]]
    made = packages / "espeak"
    made.mkdir(exist_ok=True)
    library = ":".join(str(each) for root in roots for each in root.glob("usr/lib/*") if each.is_dir())
    data = next(each for root in roots for each in root.glob("usr/lib/*/espeak-ng-data"))
    program = next(each for root in roots for each in root.glob("usr/bin/espeak-ng"))
    for voice in entry["voices"]:
        for number, sentence in enumerate(entry["sentences"]):
            path = made / f"{voice.replace('+', '-')}_{number}.wav"
            if not path.exists():
                speed = 130 + 12 * (number % 5)
                subprocess.run(
                    [program, "-v", voice, "-s", str(speed), "-p", str(30 + 9 * (number % 6)), "-w", path, sentence],
                    env={"LD_LIBRARY_PATH": library, "ESPEAK_DATA_PATH": str(data.parent)}, check=True,
                )  # fmt: skip
            yield Recording("train", f"espeak-{voice.replace('+', '-')}", path.stem, path)


def _unpacked(packages: Path, package: str) -> Path:
    """Download a Debian package without installing it, once, and unpack it."""
    root = packages / package
    if root.is_dir():
        return root
    packages.mkdir(parents=True, exist_ok=True)
    if shutil.which("apt-get") is None or shutil.which("dpkg-deb") is None:
        raise ParameterError(f"{package} is a package of Debian, and apt-get is not installed here")
    found = subprocess.run(["apt-get", "download", package], cwd=packages, capture_output=True, text=True)
    files = list(packages.glob(f"{package}_*.deb"))
    if found.returncode or not files:
        raise ParameterError(f"apt-get download {package} failed: {found.stderr.strip()[-200:]}")
    unfinished = packages / f"{package}.unfinished"
    subprocess.run(["dpkg-deb", "-x", files[0], unfinished], check=True)
    unfinished.rename(root)
    files[0].unlink()
    return root
