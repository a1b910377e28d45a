"""Pictures from a camera. Only here OpenCV is needed, which is an extra."""

from typing import Self

import numpy as np

from tokcom.errors import PictureError

PREFIX = "camera:"
"""What the name of a camera begins with, where a picture or a folder may be named as well."""


class Camera:
    """A camera, or a video that is taken for one.

    Args:
        device: number of a camera ("0"), its path ("/dev/video0"), a file, or a stream's address.

    Raises:
        PictureError: OpenCV is not installed, or there is no such camera, or another program has it.
    """

    def __init__(self, device: str):
        try:
            import cv2
        except ImportError as error:
            raise PictureError(
                f"a camera needs OpenCV, which is not here ({error}): install python3-opencv, or by pip "
                "opencv-python-headless"
            ) from None
        self._device = device
        self._capture = cv2.VideoCapture(int(device) if device.isdecimal() else device)
        if not self._capture.isOpened():
            raise PictureError(
                f"camera {device!r} cannot be opened; see that it is connected, that this user is in the group video, "
                "and that no other program has it"
            )
        # Live, what was seen last counts, not what waits in the driver.
        self._capture.set(cv2.CAP_PROP_BUFFERSIZE, 1)

    def read(self) -> np.ndarray:
        """The next picture, uint8 (height, width, 3), RGB.

        Raises:
            PictureError: none comes: the camera is gone, or the video at its end.
        """
        came, picture = self._capture.read()
        if not came:
            raise PictureError(f"camera {self._device!r}: no picture came; it is gone, or its video at the end")
        return np.ascontiguousarray(picture[:, :, ::-1])

    def close(self) -> None:
        """Let other programs have the camera."""
        self._capture.release()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()
