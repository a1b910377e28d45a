"""Frames of video files, through PyAV, which nothing else needs."""

from collections.abc import Iterator
from pathlib import Path

import numpy as np

from tokcom.errors import PictureError
from tokcom.tokenizers.pictures import MAX_PIXELS

VIDEO_EXTENSIONS = frozenset({".mp4", ".mkv", ".webm", ".mov", ".avi", ".m4v", ".mpg", ".mpeg", ".ogv", ".y4m"})
"""File name endings that count as videos."""


def is_video(path: Path) -> bool:
    """Tell whether a path is that of a video file, by its ending."""
    return path.suffix.lower() in VIDEO_EXTENSIONS


def video_frames(path: Path) -> Iterator[np.ndarray]:
    """Read a video file frame by frame; larger frames are reduced to `pictures.MAX_PIXELS`.

    Args:
        path: the file.

    Yields:
        uint8 (height, width, 3), RGB.

    Raises:
        PictureError: PyAV is not installed, or the file does not exist, is not a video, or is corrupt; the frames
            before a defect have been read by then.
    """
    av = load_av("a video")
    try:
        with av.open(str(path)) as container:
            if not container.streams.video:
                raise PictureError(f"{path}: no video in this file")
            stream = container.streams.video[0]
            stream.thread_type = "AUTO"
            for frame in container.decode(stream):
                shrink = min(1.0, (MAX_PIXELS / (frame.width * frame.height)) ** 0.5)
                size = max(1, int(frame.width * shrink)), max(1, int(frame.height * shrink))
                yield frame.to_ndarray(format="rgb24", width=size[0], height=size[1])
    except FileNotFoundError:
        raise PictureError(f"{path}: no such file") from None
    except (av.FFmpegError, ValueError) as error:
        raise PictureError(f"{path}: the video cannot be read: {error}") from None


def load_av(what: str) -> object:
    """Import PyAV.

    Raises:
        PictureError: it is not installed; the message says what needs it.
    """
    try:
        import av
    except ImportError as error:
        raise PictureError(f"{what} needs PyAV, which is not installed ({error}): pip install tokcom[video]") from None
    return av
