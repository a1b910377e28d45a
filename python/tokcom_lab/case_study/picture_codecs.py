"""Picture codecs as rivals of tokens: what fits a budget of bits, and what is left when only its beginning arrives.

What a codec's container says of every picture of this size (boxes, markers, the main header of JPEG 2000) weighs
heavily in so few bytes. Either it travels and counts like the rest, as in a file; or it is taken as known to the
receiver, to the rivals' advantage. Its length is reported in both cases.
"""

import io
from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from PIL import Image, features

from tokcom.errors import ModelError, TokcomError
from tokcom.metrics.pictures import psnr_db

GREY = 128
"""Level of a picture of which nothing can be shown."""
SCALES = (1.0, 0.75, 0.5, 0.375, 0.25, 0.125)
"""Sizes at which a picture is coded, as shares of its own; a codec whose lowest quality is too long becomes smaller."""
PILLOW_SETTINGS = {"webp": {"method": 6}, "avif": {"speed": 4, "subsampling": "4:2:0", "max_threads": 1}}


@dataclass(frozen=True)
class CodedPicture:
    """A picture as a codec sends it.

    Attributes:
        payload: the bytes that travel.
        before, after: bytes around them that the receiver knows.
        size: side of the picture in pixels.
        container_bytes: length of the container, whether it travels or not.
    """

    payload: bytes
    before: bytes
    after: bytes
    size: int
    container_bytes: int

    @classmethod
    def cut(cls, content: bytes, start: int, end: int, size: int, free_container: bool) -> "CodedPicture":
        """Of a file whose picture data lie from start to end."""
        around = (content[:start], content[end:])
        payload, before, after = (content[start:end], *around) if free_container else (content, b"", b"")
        return cls(payload, before, after, size, len(content) - (end - start))


class PictureCodec(ABC):
    """A codec with a quality to choose."""

    name: str

    @abstractmethod
    def candidates(self, picture: np.ndarray, max_bytes: int) -> list[CodedPicture]:
        """The picture coded in ways that fit max_bytes; empty where none does."""

    @abstractmethod
    def decode_bytes(self, coded: CodedPicture, payload: bytes) -> np.ndarray:
        """uint8 (height, width, 3) of a payload of the right length, perhaps not of the right content.

        Raises:
            Exception: the codec gives up; which one is the codec's affair.
        """

    def encode(self, picture: np.ndarray, max_bytes: int) -> CodedPicture:
        """The picture, uint8 (size, size, 3), coded as well as max_bytes allow.

        Raises:
            TokcomError: not even the worst quality fits.
        """
        candidates = self.candidates(picture, max_bytes)
        if not candidates:
            raise TokcomError(
                f"{self.name} needs more than {max_bytes} bytes for a picture of {picture.shape[0]} pixels"
            )
        return max(candidates, key=lambda coded: psnr_db(picture, self.decode(coded, len(coded.payload))[0]))

    def decode(self, coded: CodedPicture, arrived: int) -> tuple[np.ndarray, bool]:
        """What a codec makes of the first `arrived` bytes of a payload, the rest being zeros.

        Returns:
            uint8 (size, size, 3), grey where it makes nothing of them; and whether it made something.
        """
        grey = np.full((coded.size, coded.size, 3), GREY, np.uint8)
        if not arrived:
            return grey, False
        payload = coded.payload[:arrived].ljust(len(coded.payload), b"\0")
        try:
            picture = self.decode_bytes(coded, payload)
        except Exception:  # a broken stream may fail anywhere inside a codec, and in any way
            return grey, False
        return _resized(picture, coded.size), True


class FileCodec(PictureCodec):
    """A codec of Pillow's, whose files Pillow reads.

    Args:
        free_container: the container is known to the receiver.
    """

    def __init__(self, free_container: bool):
        self._free = free_container

    def decode_bytes(self, coded: CodedPicture, payload: bytes) -> np.ndarray:
        with Image.open(io.BytesIO(coded.before + payload + coded.after)) as image:
            return np.asarray(image.convert("RGB"))


class PillowCodec(FileCodec):
    """A codec of Pillow's with a quality from 0 to 100: WebP or AVIF.

    Args:
        name: "webp" or "avif".
        free_container: the container is known to the receiver.

    Raises:
        ModelError: this Pillow was built without it.
    """

    def __init__(self, name: str, free_container: bool):
        super().__init__(free_container)
        if not features.check(name):
            raise ModelError(f"this Pillow has no {name}; pip install a wheel of Pillow 11.3 or newer")
        self.name = name

    def candidates(self, picture: np.ndarray, max_bytes: int) -> list[CodedPicture]:
        found = (
            _largest_fit(lambda quality, scale=scale: self._coded(picture, scale, quality), -1, 101, max_bytes)
            for scale in SCALES
        )
        return [coded for coded in found if coded is not None]

    def _coded(self, picture: np.ndarray, scale: float, quality: int) -> CodedPicture:
        stream = io.BytesIO()
        _image(picture, scale).save(stream, self.name.upper(), quality=quality, **PILLOW_SETTINGS[self.name])
        content = stream.getvalue()
        start, end = _webp_payload(content) if self.name == "webp" else _avif_payload(content)
        return CodedPicture.cut(content, start, end, picture.shape[0], self._free)


class Jpeg2000(FileCodec):
    """JPEG 2000 by OpenJPEG: a bare code stream, irreversible.

    Args:
        free_container: the main header is known to the receiver.

    Raises:
        ModelError: this Pillow was built without it.
    """

    name = "jpeg2000"
    RESOLUTIONS = (2, 3, 4)

    def __init__(self, free_container: bool):
        super().__init__(free_container)
        if not features.check("jpg_2000"):
            raise ModelError("this Pillow has no JPEG 2000; pip install a wheel of Pillow")

    def candidates(self, picture: np.ndarray, max_bytes: int) -> list[CodedPicture]:
        # The encoder is asked for a number of bytes, and comes near it.
        asked = max_bytes // 4, 4 * max_bytes
        found = (
            _largest_fit(lambda size, levels=levels: self._coded(picture, levels, size), *asked, max_bytes)
            for levels in self.RESOLUTIONS
        )
        return [coded for coded in found if coded is not None]

    def _coded(self, picture: np.ndarray, resolutions: int, asked: int) -> CodedPicture:
        stream = io.BytesIO()
        Image.fromarray(picture).save(
            stream, "JPEG2000", no_jp2=True, irreversible=True, num_resolutions=resolutions, mct=1,
            quality_mode="rates", quality_layers=[picture.size / asked],
        )  # fmt: skip
        content = stream.getvalue()
        start = content.index(b"\xff\x93") + 2  # start of data: what is before depends on the size and the settings
        return CodedPicture.cut(content, start, len(content) - 2, picture.shape[0], self._free)


class Cheng2020(PictureCodec):
    """The paper's learned codec (Cheng et al., CVPR 2020), by compressai.

    Args:
        folder: holds cheng2020-anchor-*.safetensors, state dicts of compressai's Cheng2020Anchor, a file a quality.

    Raises:
        ModelError: compressai or the weights are not there.
    """

    name = "cheng2020"

    def __init__(self, folder: Path | None):
        try:
            from compressai.models import Cheng2020Anchor
        except ImportError:
            raise ModelError("compressai is not installed") from None
        files = sorted(folder.glob("cheng2020-anchor-*.safetensors")) if folder else []
        if not files:
            raise ModelError("weights not installed")
        from safetensors.torch import load_file

        self._networks = []
        for path in files:
            try:
                network = Cheng2020Anchor.from_state_dict(load_file(path)).eval()
            except (KeyError, RuntimeError, OSError, ValueError) as error:
                raise ModelError(f"{path}: these are not weights of compressai's Cheng2020Anchor: {error}") from None
            network.update(force=True)
            self._networks.append(network)

    def candidates(self, picture: np.ndarray, max_bytes: int) -> list[CodedPicture]:
        import torch

        found = []
        for index, network in enumerate(self._networks):
            scaled = torch.from_numpy(picture.transpose(2, 0, 1)[None].astype(np.float32) / 255)
            with torch.inference_mode():
                strings = network.compress(scaled)["strings"]
            # One byte tells how long the first of both streams is.
            payload = bytes([min(len(strings[1][0]), 255)]) + strings[1][0] + strings[0][0]
            if len(payload) <= max_bytes and len(strings[1][0]) < 256:
                found.append(CodedPicture(payload, bytes([index]), b"", picture.shape[0], 0))
        return found

    def decode_bytes(self, coded: CodedPicture, payload: bytes) -> np.ndarray:
        import torch

        network, hyper = self._networks[coded.before[0]], payload[0]
        shape = (coded.size // 64, coded.size // 64)
        with torch.inference_mode():
            out = network.decompress([[payload[1 + hyper :]], [payload[1 : 1 + hyper]]], shape)["x_hat"]
        return (out[0].clamp(0, 1) * 255).round().byte().numpy().transpose(1, 2, 0)


def load_codec(name: str, free_container: bool = False, weights: Path | None = None) -> PictureCodec:
    """A codec by its name.

    Args:
        name: "webp", "avif", "jpeg2000" or "cheng2020".
        free_container: the container is known to the receiver and does not travel.
        weights: folder with the weights of learned ones.

    Raises:
        ModelError: it cannot be used here; the message says why.
    """
    if name == "cheng2020":
        return Cheng2020(weights)
    return Jpeg2000(free_container) if name == "jpeg2000" else PillowCodec(name, free_container)


def _largest_fit(code: Callable[[int], CodedPicture], low: int, high: int, max_bytes: int) -> CodedPicture | None:
    """By bisection, the longest payload within max_bytes of the settings between low and high, which it grows with;
    None where none fits."""
    best = None
    while high - low > 1:
        setting = (low + high) // 2
        coded = code(setting)
        if len(coded.payload) <= max_bytes:
            low, best = setting, coded
        else:
            high = setting
    return best


def _image(picture: np.ndarray, scale: float) -> Image.Image:
    side = round(picture.shape[0] * scale)
    return Image.fromarray(picture).resize((side, side), Image.Resampling.LANCZOS)


def _resized(picture: np.ndarray, size: int) -> np.ndarray:
    return np.asarray(Image.fromarray(picture).resize((size, size), Image.Resampling.BICUBIC))


def _webp_payload(content: bytes) -> tuple[int, int]:
    """Where the VP8 frame lies in a RIFF file: after the file's header of 12 bytes and the chunk's of 8."""
    length = int.from_bytes(content[16:20], "little")
    if content[12:16] != b"VP8 ":
        raise TokcomError(f"WebP wrote a chunk {content[12:16]!r} where VP8 was expected")
    return 20, 20 + length


def _avif_payload(content: bytes) -> tuple[int, int]:
    """Where the AV1 frame lies in an AVIF file: the box mdat."""
    start = 0
    while start < len(content):
        length, kind = int.from_bytes(content[start : start + 4], "big"), content[start + 4 : start + 8]
        if kind == b"mdat":
            return start + 8, start + length
        start += length
    raise TokcomError("AVIF wrote no box mdat")
