"""Sound files: read at 8 kHz, and written as they come. They need the package soundfile; WAV files of 16 bits do
without."""

import wave
from pathlib import Path

import numpy as np
from scipy.signal import resample_poly

from tokcom.errors import SpeechError
from tokcom.tokenizers.pitch import RATE
from tokcom.tokenizers.speech import MAX_SECONDS

SAMPLE = Path(__file__).parent / "samples" / "speech.wav"
SUFFIXES = (".wav", ".flac", ".ogg")
FASTEST = 192_000
"""Largest sampling rate of a file."""


def read_sound(path: "str | Path" = "", seconds: float = MAX_SECONDS) -> np.ndarray:
    """Read a sound file as mono at 8 kHz, float32 (n,) within ±1.

    Args:
        path: the file; empty: a spoken sample.
        seconds: longest duration; the rest of the file is left out.

    Raises:
        SpeechError: the file cannot be read, or is empty.
    """
    path = Path(path) if path else SAMPLE
    sound, own = _by_wave(path, seconds) if path.suffix.lower() == ".wav" else (None, 0)
    if sound is None:
        sound, own = _by_soundfile(path, seconds)
    if not 1000 <= own <= FASTEST or not len(sound):
        raise SpeechError(f"{path}: {len(sound)} samples at {own} Hz; a sound has at least one, at 1 to 192 kHz")
    if not np.isfinite(sound).all():
        raise SpeechError(f"{path} holds samples that are not finite")
    return np.clip(_resampled(sound.mean(axis=1), own), -1, 1)


class SoundWriter:
    """Writer of a sound file at 8 kHz.

    Args:
        path: the file; WAV without soundfile, FLAC and Ogg with it.

    Raises:
        SpeechError: the suffix is another, there is no such folder, or the file cannot be written.
    """

    def __init__(self, path: "str | Path"):
        self.check(path)
        self._wave = self._file = None
        try:
            if Path(path).suffix.lower() == ".wav":
                self._wave = wave.open(str(path), "wb")
                self._wave.setparams((1, 2, RATE, 0, "NONE", ""))
            else:
                self._file = _soundfile().SoundFile(path, "w", RATE, 1)
        except (OSError, RuntimeError) as error:
            raise SpeechError(f"{path} cannot be written: {error}") from None

    @staticmethod
    def check(path: "str | Path") -> None:
        """Raise SpeechError unless a path can be one of a sound file."""
        if Path(path).suffix.lower() not in SUFFIXES:
            raise SpeechError(f"{path}: the name of a sound file ends with {', '.join(SUFFIXES)}")
        if not Path(path).parent.is_dir():
            raise SpeechError(f"{path}: there is no folder {Path(path).parent}")

    def write(self, samples: np.ndarray) -> None:
        """Add samples, float (n,); those beyond ±1 are limited."""
        samples = np.clip(np.nan_to_num(samples), -1, 1)
        if self._wave is not None:
            self._wave.writeframes((samples * 32767).astype("<i2").tobytes())
        else:
            self._file.write(samples)

    def close(self) -> None:
        """Finish the file."""
        (self._wave or self._file).close()


def _resampled(sound: np.ndarray, own: int) -> np.ndarray:
    """Resample a signal (n,) from `own` samples per second to RATE, float32."""
    if own == RATE:
        return sound.astype(np.float32)
    common = np.gcd(own, RATE)
    return resample_poly(sound, RATE // common, own // common).astype(np.float32)


def _by_wave(path: Path, seconds: float) -> tuple[np.ndarray | None, int]:
    """Samples (n, channels) and rate of a WAV file of 16 bits; None for others."""
    try:
        with wave.open(str(path), "rb") as file:
            rate, channels = file.getframerate(), file.getnchannels()
            if file.getsampwidth() != 2 or not 1000 <= rate <= FASTEST:
                return None, 0
            data = file.readframes(min(file.getnframes(), int(seconds * rate)))
    except (wave.Error, EOFError):
        return None, 0
    except OSError as error:
        raise SpeechError(f"{path}: {error.strerror or error}") from None
    whole = len(data) // (2 * channels) * channels
    return np.frombuffer(data, "<i2")[:whole].reshape(-1, channels) / np.float32(32768), rate


def _by_soundfile(path: Path, seconds: float) -> tuple[np.ndarray, int]:
    # Headerless files are 16-bit samples at 8 kHz, as Codec2's tools read and write them.
    raw = {"samplerate": RATE, "channels": 1, "format": "RAW", "subtype": "PCM_16"} if path.suffix == ".raw" else {}
    library = _soundfile()
    try:
        with library.SoundFile(path, **raw) as file:
            return file.read(int(seconds * file.samplerate), "float32", always_2d=True), file.samplerate
    except (RuntimeError, OSError, TypeError) as error:
        raise SpeechError(f"{path}: not a sound file that can be read ({error})") from None


def _soundfile() -> object:
    try:
        import soundfile
    except ModuleNotFoundError:
        raise SpeechError("sound files other than WAV of 16 bits need the Python package soundfile") from None
    return soundfile
