"""Prepared speech in memory: segments of 8 kHz signals with their pitch words, by split."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from tokcom.errors import ParameterError
from tokcom.tokenizers.pitch import FRAME, pitch_words
from tokcom.tokenizers.sounds import read_sound

LEVEL = 0.08
"""Root mean square to which recordings are brought, over their loud parts."""


@dataclass(frozen=True)
class Speech:
    """Recordings of one split, one after another.

    Attributes:
        signal: float32 (n * FRAME,), within ±1, each recording filled up to whole frames.
        pitch: int64 (n,), pitch words of a codebook.
        starts: int64 (recordings + 1,), first frame of each recording, and n.
        names: SPEAKER/NAME of each.
    """

    signal: np.ndarray
    pitch: np.ndarray
    starts: np.ndarray
    names: tuple[str, ...]

    @property
    def hours(self) -> float:
        return len(self.signal) / 8000 / 3600

    def recording(self, number: int) -> np.ndarray:
        """One recording, float32 (frames * FRAME,)."""
        return self.signal[self.starts[number] * FRAME : self.starts[number + 1] * FRAME]


def load_speech(folder: Path, split: str, n_words: int) -> Speech:
    """Read `folder`/SPLIT/SPEAKER/*.wav; the result is cached beside it.

    Raises:
        ParameterError: there are no recordings.
    """
    paths = sorted((folder / split).glob("*/*.wav"))
    if not paths:
        raise ParameterError(f"{folder / split} holds no SPEAKER/*.wav; ./run speech data --to {folder} makes them")
    cached = folder / f"{split}-{n_words}-{len(paths)}.npz"
    if not cached.exists():
        signals, pitches = [], []
        for path in paths:
            sound = levelled(read_sound(path))
            sound = np.pad(sound, (0, -len(sound) % FRAME))
            signals.append(sound)
            pitches.append(pitch_words(sound[None], n_words)[0])
        starts = np.cumsum([0, *map(len, pitches)])
        names = [f"{path.parent.name}/{path.stem}" for path in paths]
        unfinished = cached.with_suffix(".unfinished.npz")
        np.savez(unfinished, signal=np.concatenate(signals), pitch=np.concatenate(pitches), starts=starts, names=names)
        unfinished.rename(cached)
    with np.load(cached) as kept:
        return Speech(kept["signal"], kept["pitch"], kept["starts"], tuple(kept["names"].tolist()))


def levelled(sound: np.ndarray) -> np.ndarray:
    """Bring a signal (n,) to the usual level of its loud parts, float32."""
    blocks = np.square(sound[: len(sound) // 160 * 160].reshape(-1, 160)).mean(1)
    loud = blocks[blocks > 0.05 * blocks.max(initial=1e-12)] if len(blocks) else np.zeros(0)
    gain = LEVEL / max(np.sqrt(loud.mean()), 1e-4) if len(loud) else 1.0
    return np.clip(sound * gain, -1, 1).astype(np.float32)
