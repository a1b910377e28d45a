"""Picture codecs for comparison with tokens: coding within a budget of bits, and decoding when only the beginning
arrives.

The container of a codec (boxes, markers, the main header of JPEG 2000) is a large share of so few bytes, although it is
the same for every picture of one size. Either it is sent and counted, as in a file, or it is assumed known to the
receiver, in favour of the codecs. Its length is reported in both cases.
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
"""Grey level of a picture that cannot be decoded."""
SCALES = (1.0, 0.75, 0.5, 0.375, 0.25, 0.125)
"""Scales at which a picture is coded; one is used if the lowest quality of all larger ones is too long."""
PILLOW_SETTINGS = {"webp": {"method": 6}, "avif": {"speed": 4, "subsampling": "4:2:0", "max_threads": 1}}


@dataclass(frozen=True)
class CodedPicture:
    """Picture coded for transmission.

    Attributes:
        payload: the bytes sent.
        before, after: bytes around them that the receiver knows.
        size: side of the picture in pixels.
        container_bytes: length of the container, whether sent or not.
    """

    payload: bytes
    before: bytes
    after: bytes
    size: int
    container_bytes: int

    @classmethod
    def cut(cls, content: bytes, start: int, end: int, size: int, free_container: bool) -> "CodedPicture":
        """Cut a file whose picture data lie from start to end."""
        around = (content[:start], content[end:])
        payload, before, after = (content[start:end], *around) if free_container else (content, b"", b"")
        return cls(payload, before, after, size, len(content) - (end - start))


class PictureCodec(ABC):
    """Codec with a selectable quality."""

    name: str

    @abstractmethod
    def candidates(self, picture: np.ndarray, max_bytes: int) -> list[CodedPicture]:
        """Encode the picture in all ways that fit max_bytes; empty if none does."""

    @abstractmethod
    def decode_bytes(self, coded: CodedPicture, payload: bytes) -> np.ndarray:
        """Decode a payload of the right length, but possibly corrupt, to uint8 (height, width, 3).

        Raises:
            Exception: the codec fails, with an exception of any type.
        """

    def encode(self, picture: np.ndarray, max_bytes: int) -> CodedPicture:
        """Encode the picture, uint8 (size, size, 3), as well as max_bytes allow.

        Raises:
            TokcomError: not even the lowest quality fits.
        """
        candidates = self.candidates(picture, max_bytes)
        if not candidates:
            raise TokcomError(
                f"{self.name} needs more than {max_bytes} bytes for a picture of {picture.shape[0]} pixels"
            )
        return max(candidates, key=lambda coded: psnr_db(picture, self.decode(coded, len(coded.payload))[0]))

    def decode(self, coded: CodedPicture, arrived: int) -> tuple[np.ndarray, bool]:
        """Decode a payload of which only the first `arrived` bytes have arrived, the rest being zeros.

        Returns:
            uint8 (size, size, 3), grey if decoding fails; and whether it succeeded.
        """
        grey = np.full((coded.size, coded.size, 3), GREY, np.uint8)
        if not arrived:
            return grey, False
        payload = coded.payload[:arrived].ljust(len(coded.payload), b"\0")
        try:
            picture = self.decode_bytes(coded, payload)
        except Exception:  # a corrupt stream may raise anything anywhere inside a codec
            return grey, False
        return _resized(picture, coded.size), True


class FileCodec(PictureCodec):
    """Codec of Pillow.

    Args:
        free_container: whether the receiver knows the container.
    """

    def __init__(self, free_container: bool):
        self._free = free_container

    def decode_bytes(self, coded: CodedPicture, payload: bytes) -> np.ndarray:
        with Image.open(io.BytesIO(coded.before + payload + coded.after)) as image:
            return np.asarray(image.convert("RGB"))


class PillowCodec(FileCodec):
    """Codec of Pillow with a quality from 0 to 100: WebP or AVIF.

    Args:
        name: "webp" or "avif".
        free_container: whether the receiver knows the container.

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
        free_container: whether the receiver knows the main header.

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
        # The encoder takes a target number of bytes and comes near it.
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
        start = content.index(b"\xff\x93") + 2  # start of data: the bytes before it depend on size and settings only
        return CodedPicture.cut(content, start, len(content) - 2, picture.shape[0], self._free)


class Cheng2020(PictureCodec):
    """Learned codec used in the paper (Cheng et al., CVPR 2020), by compressai.

    Args:
        folder: folder with cheng2020-anchor-*.safetensors, state dicts of compressai's Cheng2020Anchor, one file per
            quality.

    Raises:
        ModelError: compressai or the weights are missing.
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
            # One byte holds the length of the first of the two streams.
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
    """Make a codec by its name.

    Args:
        name: "webp", "avif", "jpeg2000" or "cheng2020".
        free_container: whether the receiver knows the container, so that it is not sent.
        weights: folder with the weights of learned codecs.

    Raises:
        ModelError: the codec is unavailable; the message gives the reason.
    """
    if name == "cheng2020":
        return Cheng2020(weights)
    return Jpeg2000(free_container) if name == "jpeg2000" else PillowCodec(name, free_container)


def _largest_fit(code: Callable[[int], CodedPicture], low: int, high: int, max_bytes: int) -> CodedPicture | None:
    """Find by bisection the setting between low and high, with which the length grows, whose payload is the longest
    within max_bytes; None if none fits."""
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
    """Locate the VP8 frame in a RIFF file: after the file's header of 12 bytes and the chunk's of 8."""
    length = int.from_bytes(content[16:20], "little")
    if content[12:16] != b"VP8 ":
        raise TokcomError(f"WebP wrote a chunk {content[12:16]!r}; VP8 was expected")
    return 20, 20 + length


def _avif_payload(content: bytes) -> tuple[int, int]:
    """Locate the AV1 frame in an AVIF file: the box mdat."""
    start = 0
    while start < len(content):
        length, kind = int.from_bytes(content[start : start + 4], "big"), content[start + 4 : start + 8]
        if kind == b"mdat":
            return start + 8, start + length
        start += length
    raise TokcomError("AVIF wrote no box mdat")
