"""Writing of video files, through PyAV."""

from fractions import Fraction
from pathlib import Path
from typing import Self

import numpy as np

from tokcom.errors import ParameterError, PictureError, RecordingError
from tokcom.tokenizers.pictures import require_picture
from tokcom.tokenizers.video_file import load_av

QUALITY = "17"
"""Constant rate factor of H.264 at which its losses are invisible."""


class VideoWriter:
    """Writer of an MP4 file of H.264.

    Args:
        path: the file, which is replaced; folders are created.
        fps: frames per second, 0.1 to 1000.
        scale: whole number of pixels that a picture's pixel becomes in each direction, at least 1.

    Raises:
        ParameterError: `fps` or `scale` is out of its range.
        PictureError: PyAV is not installed.
        RecordingError: the file cannot be written.
    """

    def __init__(self, path: str | Path, fps: float = 12.0, scale: int = 4):
        if not 0.1 <= fps <= 1000:
            raise ParameterError(f"fps is {fps}; it must be 0.1 to 1000")
        if scale < 1:
            raise ParameterError(f"scale is {scale}; it must be at least 1")
        self._av = av = load_av("an MP4 file")
        self.path, self._scale = Path(path), scale
        self.frames = 0
        try:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            self._container = av.open(str(self.path), "w", format="mp4")
        except OSError as error:
            raise RecordingError(f"{self.path}: the video cannot be written: {error.strerror or error}") from None
        # Rates such as 30000/1001 are exact.
        rate = Fraction(fps).limit_denominator(1001)
        self._stream = self._container.add_stream("libx264", rate=rate, options={"crf": QUALITY})
        self._stream.pix_fmt = "yuv420p"

    def write(self, picture: np.ndarray) -> None:
        """Append a picture, uint8 (height, width, 3); all must have the shape of the first.

        Raises:
            PictureError: it is not such a picture.
            RecordingError: the file cannot be written.
        """
        require_picture(picture)
        large = picture.repeat(self._scale, axis=0).repeat(self._scale, axis=1)
        height, width = (side - side % 2 for side in large.shape[:2])  # H.264 with 4:2:0 needs even sides
        if not self.frames:
            self._stream.width, self._stream.height = width, height
        if (self._stream.width, self._stream.height) != (width, height):
            raise PictureError(
                f"{self.path}: a frame of {width} x {height} in a video of {self._stream.width} x {self._stream.height}"
            )
        self._put(self._av.VideoFrame.from_ndarray(np.ascontiguousarray(large[:height, :width]), format="rgb24"))
        self.frames += 1

    def close(self) -> None:
        """Finish the file; one without frames is removed."""
        if self._container is None:
            return
        try:
            if self.frames:
                self._put(None)
        finally:
            container, self._container = self._container, None
            container.close()
            if not self.frames:
                self.path.unlink(missing_ok=True)

    def _put(self, frame: object) -> None:
        try:
            for packet in self._stream.encode(frame):
                self._container.mux(packet)
        except OSError as error:
            raise RecordingError(f"{self.path}: the video cannot be written: {error.strerror or error}") from None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()
