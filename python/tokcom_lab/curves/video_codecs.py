"""Video codecs at a given rate, through PyAV: what a user would send instead."""

import io
from collections.abc import Sequence

import numpy as np

from tokcom.errors import ParameterError
from tokcom.metrics.pictures import psnr_db

CODECS = {
    "h264": (
        "libx264",
        {"preset": "veryslow", "tune": "zerolatency", "x264-params": "keyint=250:annexb=1"},
        range(51, 10, -1),
    ),
    "av1": ("libsvtav1", {"preset": "4", "svtav1-params": "pred-struct=1:lookahead=0"}, range(63, 10, -2)),
}
"""Encoder, its options, and its quantisers from coarse to fine: without frames that wait for later ones."""


def coded(pictures: np.ndarray, codec: str, crf: int, fps: int = 25) -> tuple[int, np.ndarray]:
    """Encode and decode a video.

    Args:
        pictures: uint8 (n, height, width, 3).
        codec: one of CODECS.
        crf: constant rate factor.
        fps: frames per second.

    Returns:
        Bytes of all packets, without a container, and the decoded pictures.
    """
    import av

    if codec not in CODECS:
        raise ParameterError(f"codec is {codec!r}; it must be one of {', '.join(CODECS)}")
    encoder, options, _ = CODECS[codec]
    file, total = io.BytesIO(), 0
    with av.open(file, "w", format="matroska") as container:
        stream = container.add_stream(encoder, rate=fps, options=options | {"crf": str(crf)})
        stream.width, stream.height, stream.pix_fmt = pictures.shape[2], pictures.shape[1], "yuv420p"
        stream.bit_rate = 0
        for picture in [*pictures, None]:
            frame = None if picture is None else av.VideoFrame.from_ndarray(picture, format="rgb24")
            for packet in stream.encode(frame):
                total += packet.size
                container.mux(packet)
    file.seek(0)
    with av.open(file) as container:
        decoded = [frame.to_ndarray(format="rgb24") for frame in container.decode(video=0)]
    return total, np.stack(decoded[: len(pictures)])


def best_within(pictures: np.ndarray, codec: str, budget: int) -> tuple[int, float, int]:
    """Find the finest quantiser whose video fits a number of bytes.

    Returns:
        Bytes, mean PSNR in dB and quantiser; of the coarsest if none fits.
    """
    best = None
    low, high = 0, len(CODECS[codec][2]) - 1
    steps: Sequence[int] = CODECS[codec][2]
    while low <= high:
        middle = (low + high) // 2
        size, decoded = coded(pictures, codec, steps[middle])
        found = size, float(np.mean([psnr_db(a, b) for a, b in zip(pictures, decoded, strict=True)])), steps[middle]
        if size <= budget or best is None:
            best = found
        low, high = (middle + 1, high) if size <= budget else (low, middle - 1)
    return best
