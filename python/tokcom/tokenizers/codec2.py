"""Codec2 (Rowe, 2010-2021) by its library: speech at 8 kHz as bits, and its vector indices as words."""

import ctypes
import ctypes.util
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache

import numpy as np

from tokcom.errors import FrameError, ModelError, ParameterError
from tokcom.frame import LOST, TokenFrame
from tokcom.tokenizers.speech import MODALITY, checked

LIBRARIES = ("libcodec2.so.1.2", "libcodec2.so.1.1", "libcodec2.so.1.0", "libcodec2.so")


@dataclass(frozen=True)
class Codec2Mode:
    """Mode of Codec2.

    Attributes:
        number: its number in the library's interface.
        samples: samples per frame.
        fields: bits of each word of a frame, in the order of the bits. In "1300" they join the voicing of four
            subframes, and neighbouring line spectral pairs.
    """

    number: int
    samples: int
    fields: tuple[int, ...]

    @property
    def bits(self) -> int:
        """Bits per frame."""
        return sum(self.fields)

    @property
    def bit_rate(self) -> float:
        return self.bits * 8000 / self.samples


MODES = {
    "3200": Codec2Mode(0, 160, (2, 7, 5, 10, 10, 10, 10, 10)),
    "1300": Codec2Mode(4, 320, (4, 7, 5, 8, 8, 8, 7, 5)),
    "700C": Codec2Mode(8, 320, (9, 9, 4, 6)),
}
"""Modes whose frames do not depend on each other; those that predict collapse when a frame is lost."""


class Codec2Tokenizer:
    """Tokenizer made of Codec2: a frame's words are the codec's own indices.

    Args:
        mode: one of MODES.

    Raises:
        ParameterError: there is no such mode.
        ModelError: the library is not installed.
    """

    def __init__(self, mode: str = "700C"):
        if mode not in MODES:
            raise ParameterError(f"mode is {mode!r}; it must be one of {', '.join(MODES)}")
        self.mode = MODES[mode]
        self.codebook = f"codec2-{mode}"
        self.sizes = tuple(1 << bits for bits in self.mode.fields)
        self.codebook_size, self.quantizers, self.bit_rate = max(self.sizes), len(self.sizes), self.mode.bit_rate
        self._library = _library()

    def tokenize(self, signal: np.ndarray, frame_id: int = 0) -> TokenFrame:
        """Tokenize a whole signal, float (n,), 8 kHz, within ±1; raises as `SpeechTokenizer.tokenize`."""
        words = _values(self.encode(signal), self.mode.fields)
        return TokenFrame(
            words.ravel(), self.codebook, self.codebook_size, words.shape, MODALITY, None, frame_id, self.quantizers,
            self.sizes,
        )  # fmt: skip

    def detokenize(self, frame: TokenFrame) -> np.ndarray:
        """The signal of a frame, float32 (frames * samples,); a frame with lost words repeats the one before, and
        fades.

        Raises:
            FrameError: the frame is of another codebook or shape.
        """
        if (frame.codebook, frame.sizes, len(frame.grid)) != (self.codebook, self.sizes, 2):
            raise FrameError(f"frame {frame.frame_id} ({frame.codebook}, grid {frame.grid}) is not of {self.codebook}")
        words = frame.tokens.reshape(frame.grid)
        lost = (words == LOST).any(0)
        return self.decode(_bits(np.where(lost, 0, words), self.mode.fields), ~lost)

    def encode(self, signal: np.ndarray) -> np.ndarray:
        """Bits of a signal, filled up to whole frames, uint8 (frames, bits)."""
        checked(signal)
        count = -(-len(signal) // self.mode.samples)
        padded = np.pad(signal, (0, count * self.mode.samples - len(signal)))
        samples = (np.clip(padded, -1, 1) * 32767).astype(np.int16)
        out = np.zeros((count, -(-self.mode.bits // 8)), np.uint8)
        with self._codec() as codec:
            for row, piece in zip(out, samples.reshape(count, -1), strict=True):
                self._library.codec2_encode(codec, row.ctypes.data, piece.ctypes.data)
        return np.unpackbits(out, axis=1)[:, : self.mode.bits]

    def decode(self, bits: np.ndarray, usable: np.ndarray | None = None) -> np.ndarray:
        """The signal of frames of bits, uint8 (frames, bits), float32 (frames * samples,).

        Args:
            bits: the frames.
            usable: bool (frames,), frames that came; in place of another, the last that came is repeated, each time
                softer by 4 dB, and at the fourth there is silence. None: all came.
        """
        usable = np.ones(len(bits), bool) if usable is None else usable
        packed = np.packbits(np.pad(bits, ((0, 0), (0, -self.mode.bits % 8))).astype(np.uint8), axis=1)
        out = np.zeros((len(bits), self.mode.samples), np.int16)
        gains = np.ones(len(bits), np.float32)
        last, missed = None, 0
        with self._codec() as codec:
            for number, row in enumerate(packed):
                last, missed = (row, 0) if usable[number] else (last, missed + 1)
                gains[number] = 0 if missed > 3 or last is None else 10 ** (-4.0 * missed / 20)
                if last is not None:
                    self._library.codec2_decode(codec, out[number].ctypes.data, last.ctypes.data)
        return (out / np.float32(32768) * gains[:, None]).ravel()

    @contextmanager
    def _codec(self) -> Iterator[int]:
        codec = self._library.codec2_create(self.mode.number)
        if not codec:
            raise ModelError(f"the installed libcodec2 has no mode for {self.codebook}")
        try:
            yield codec
        finally:
            self._library.codec2_destroy(codec)


def _values(bits: np.ndarray, fields: tuple[int, ...]) -> np.ndarray:
    """Words of frames of bits (frames, bits), int32 (words, frames), most significant bit first."""
    ends = np.cumsum(fields)
    return np.stack(
        [
            bits[:, end - own : end].astype(np.int32) @ (1 << np.arange(own)[::-1])
            for own, end in zip(fields, ends, strict=True)
        ]
    ).astype(np.int32)


def _bits(words: np.ndarray, fields: tuple[int, ...]) -> np.ndarray:
    """The inverse of `_values`, uint8 (frames, bits)."""
    columns = [
        (row[:, None] >> np.arange(own)[::-1]) & 1 for row, own in zip(words.astype(np.int64), fields, strict=True)
    ]
    return np.concatenate(columns, 1).astype(np.uint8)


@cache
def _library() -> ctypes.CDLL:
    """Load Codec2's library.

    Raises:
        ModelError: it is not installed.
    """
    for name in (*LIBRARIES, ctypes.util.find_library("codec2")):
        try:
            library = ctypes.CDLL(name) if name else None
        except OSError:
            continue
        if library is not None:
            break
    else:
        raise ModelError("Codec2's library is not installed; on Debian it is the package libcodec2-1.0")
    pointer = ctypes.c_void_p
    library.codec2_create.restype, library.codec2_create.argtypes = pointer, [ctypes.c_int]
    library.codec2_destroy.argtypes = [pointer]
    library.codec2_encode.argtypes = library.codec2_decode.argtypes = [pointer, pointer, pointer]
    return library
