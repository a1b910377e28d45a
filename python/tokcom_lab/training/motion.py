"""Pairs of frames to learn motion from: of videos, and of photographs that are moved about."""

from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np

from tokcom.tokenizers.pictures import resample
from tokcom.tokenizers.video import VideoTokenizer
from tokcom.tokenizers.vq import VQTokenizer
from tokcom_lab.cache import FOLDER, code_of, keep_array, key_of
from tokcom_lab.training.dataset import Dataset
from tokcom_lab.training.tokens import hash_of

CODE = code_of("tokcom_lab.training.motion", "tokcom.tokenizers.video", "tokcom.tokenizers.rate_distortion")
"""Version of the steps from frames to tokens."""
SMALLEST_WINDOW = 0.45
"""Side of the smallest window, as a share of the photograph's."""
RESTING, SPEEDS = 0.15, (0.01, 0.03, 0.07)
"""Share of windows that rest; standard deviations of the others' speeds in windows per frame."""
ZOOM, LIGHT, NOISE = 0.015, 0.01, (0.5, 1.5, 3.0)
"""Standard deviations of the logarithm of zoom, of the brightness factor, and of the camera's noise in grey levels."""


def videos(data: Dataset) -> Iterator[np.ndarray]:
    """Iterate over the indices of each video's frames: a class is a video, its pictures in order of their names."""
    for label in np.unique(data.labels):
        yield np.flatnonzero(data.labels == label)


def video_tokens(
    data: Dataset, tokenizer: VideoTokenizer | VQTokenizer, content: object, *, cache: str | Path = FOLDER,
    advance: Callable[[int], None] | None = None,
) -> np.ndarray:  # fmt: skip
    """Compute the tokens of all frames of videos, cached.

    Args:
        data: the videos.
        tokenizer: one that looks at the frame before, or one that does not.
        content: what determines the tokenizer.
        cache: folder of the cache.
        advance: called with the number of frames done since the last call.

    Returns:
        int32 (frames, tokens).
    """
    path = Path(cache) / f"video-{key_of(content, hash_of(data), CODE)}.npy"
    if not path.exists():
        found: list[np.ndarray] = []
        for frames in videos(data):
            told: dict[str, object] = {}
            for number in frames:
                picture = data.pictures[number, 0]
                before = tokenizer.tokenize(picture, **told)
                if isinstance(tokenizer, VideoTokenizer):
                    told = {"before": before, "picture_before": picture}
                found.append(before.tokens)
                if advance:
                    advance(1)
        keep_array(np.stack(found), path)
    return np.load(path)


def pairs_of(data: Dataset, tokens: np.ndarray, steps: tuple[int, ...] = (1, 2)) -> np.ndarray:
    """Pair each frame's tokens (frames, tokens) with those of the frames that are `steps` before it, of the same video:
    (pairs, 2, tokens), the earlier first."""
    found = []
    for frames in videos(data):
        for step in steps:
            found.append(np.stack([tokens[frames[:-step]], tokens[frames[step:]]], axis=1))
    return np.concatenate(found)


def moving_photographs(pictures: np.ndarray, size: int, seed: int = 0) -> Iterator[np.ndarray]:
    """Make two frames of each photograph, seen through a window that moves and zooms, as a camera does.

    Args:
        pictures: uint8 (n, side, side, 3).
        size: side of the frames.
        seed: seed of windows, motion and noise.

    Yields:
        uint8 (2, size, size, 3).
    """
    side = pictures.shape[1]
    for number, picture in enumerate(pictures):
        rng = np.random.default_rng([seed, number])
        window = rng.uniform(SMALLEST_WINDOW, 0.95) * side
        speed = rng.choice(SPEEDS) * (rng.random() >= RESTING)
        corner = rng.uniform(0, side - window, 2)
        frames = []
        for zoom in (1.0, np.exp(rng.normal(0, ZOOM) if speed else 0)):
            width = min(window * zoom, side)
            left, top = corner = np.clip(corner, 0, side - width)
            seen = resample(np.ascontiguousarray(picture), (left, top, left + width, top + width), size).astype(float)
            seen = seen * (1 + rng.normal(0, LIGHT)) + rng.normal(0, rng.choice(NOISE), seen.shape)
            frames.append(np.clip(seen.round(), 0, 255).astype(np.uint8))
            corner = corner + rng.normal(0, 1, 2) * speed * window
        yield np.stack(frames)


def photograph_pairs(
    data: Dataset, tokenizer: VQTokenizer, content: object, count: int, *, cache: str | Path = FOLDER,
    advance: Callable[[int], None] | None = None,
) -> np.ndarray:  # fmt: skip
    """Compute the tokens of moving photographs, cached, int32 (count, 2, tokens); arguments as for `video_tokens`."""
    path = Path(cache) / f"moving-{key_of(content, hash_of(data), count, CODE)}.npy"
    if not path.exists():
        found = []
        for frames in moving_photographs(data.pictures[:count, 0], tokenizer.image_size):
            found.append(tokenizer.encode(frames).reshape(2, -1))
            if advance:
                advance(1)
        keep_array(np.stack(found), path)
    return np.load(path)
