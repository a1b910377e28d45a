"""Pictures from a camera, through OpenCV, which nothing else needs."""

from typing import Self

import numpy as np

from tokcom.errors import PictureError
from tokcom.tokenizers.panning import PanningCamera

PREFIX = "camera:"
"""Prefix of a camera's name, to tell it from a picture or folder."""


PAN = "pan"
"""Name of the camera that pans over the sample photographs."""


def open_camera(device: str) -> "Camera | PanningCamera":
    """Open a camera by its name: PAN, or as for `Camera`; raises as `Camera` does."""
    return PanningCamera() if device == PAN else Camera(device)


class Camera:
    """Camera, or a video in place of one.

    Args:
        device: number of a camera ("0"), its path ("/dev/video0"), a file, or the URL of a stream.

    Raises:
        PictureError: OpenCV is not installed, the camera does not exist, or another program uses it.
    """

    def __init__(self, device: str):
        try:
            import cv2
        except ImportError as error:
            raise PictureError(
                f"a camera needs OpenCV, which is not installed ({error}): install python3-opencv, or by pip "
                "opencv-python-headless"
            ) from None
        self._device = device
        self._capture = cv2.VideoCapture(int(device) if device.isdecimal() else device)
        if not self._capture.isOpened():
            raise PictureError(
                f"camera {device!r} cannot be opened; check that it is connected, that this user is in the group "
                "video, and that no other program uses it"
            )
        # Live, only the latest picture counts, not those queued in the driver.
        self._capture.set(cv2.CAP_PROP_BUFFERSIZE, 1)

    def read(self) -> np.ndarray:
        """Read the next picture, uint8 (height, width, 3), RGB.

        Raises:
            PictureError: no picture came: the camera was disconnected, or the video has ended.
        """
        came, picture = self._capture.read()
        if not came:
            raise PictureError(f"camera {self._device!r}: no picture came; it was disconnected, or the video has ended")
        return np.ascontiguousarray(picture[:, :, ::-1])

    def close(self) -> None:
        """Release the camera."""
        self._capture.release()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()
