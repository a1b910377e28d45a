"""Lyra v2 by its networks: speech at 16 kHz as words of residual quantizers, and back, whole or as it comes.

Zeghidour et al., "SoundStream: an end-to-end neural audio codec" (2021). The networks are three files of the public
repository google/lyra (Apache-2.0), which the user has; LiteRT runs them.
"""

import hashlib
from collections.abc import Callable
from pathlib import Path

import numpy as np

from tokcom.errors import FrameError, ModelError, ParameterError, SpeechError
from tokcom.frame import LOST, MAX_TOKENS, TokenFrame
from tokcom.tokenizers.speech import MAX_SECONDS, MODALITY

RATE = 16_000
HOP = 320
"""Samples per column of words: 20 ms."""
WIDTH = 64
"""Numbers by which the encoder describes a hop, and from which the decoder makes it."""
CODEBOOK_SIZE = 16
QUANTIZERS = (16, 30, 46)
"""Numbers of residual quantizers that Lyra uses: 3.2, 6 and 9.2 kbit/s."""
ENCODER, QUANTIZER, DECODER = "soundstream_encoder.tflite", "quantizer.tflite", "lyragan.tflite"
FILES = {
    ENCODER: (1779200, "237da0b16226fb0a68d49551c81bebf614e42142af72764448359f68581e88f1"),
    QUANTIZER: (329012, "841ee05989687d32d1f616a8ad1419fc7eda37599d3c05c7cf5a0d60ccf8ac5c"),
    DECODER: (1475160, "50e7839cda4f30599a3a34cfaddcd9c98449b049eee884e1a74295780448ad06"),
}
"""Bytes and SHA-256 of the networks of version 1.3.2."""
HELD = 6
"""Hops for which the sound before a loss goes on, softer and softer: 120 ms, as Codec2's here."""
FADE_DB = 2.0
WHOLE = "serving_default"
"""Signature of a network that computes one thing."""


class LyraTokenizer:
    """Tokenizer made of Lyra v2: a pure function of the signal.

    Args:
        folder: the three files: `lyra/model_coeffs` of its repository.
        quantizers: residual quantizers in use, one of QUANTIZERS.

    Raises:
        ParameterError: Lyra has no such number of quantizers.
        ModelError: a file is missing or another than version 1.3.2's, or ai-edge-litert is not installed.
    """

    rate, hop, codebook_size = RATE, HOP, CODEBOOK_SIZE

    def __init__(self, folder: str | Path, quantizers: int = QUANTIZERS[0]):
        if quantizers not in QUANTIZERS:
            raise ParameterError(f"quantizers is {quantizers}; it must be one of {', '.join(map(str, QUANTIZERS))}")
        self.quantizers, self.codebook = quantizers, f"lyra2-{quantizers}"
        self._longest = min(MAX_SECONDS * RATE // HOP, MAX_TOKENS // quantizers)
        """Hops of the longest frame."""
        self._networks = {name: _read(Path(folder) / name) for name in FILES}
        for name in FILES:
            _opened(self._networks[name])

    @property
    def bit_rate(self) -> float:
        """Bits per second."""
        return self.quantizers * np.log2(CODEBOOK_SIZE) * RATE / HOP

    def runner(self, name: str, signature: str = WHOLE) -> Callable[..., dict[str, np.ndarray]]:
        """A network of its own state, as a function of the arrays that its signature names.

        Args:
            name: one of FILES.
            signature: what it computes.
        """
        return _opened(self._networks[name]).get_signature_runner(signature)

    def tokenize(self, signal: np.ndarray, frame_id: int = 0) -> TokenFrame:
        """Tokenize a whole signal.

        Args:
            signal: float (n,), 16 kHz, within ±1; it is filled up to whole hops.
            frame_id: number of the frame.

        Raises:
            SpeechError: it is empty, too long, or not a 1-D array of finite numbers.
        """
        longest = self._longest * HOP
        if signal.ndim != 1 or not np.issubdtype(signal.dtype, np.floating) or not 1 <= len(signal) <= longest:
            raise SpeechError(
                f"a signal must be a 1-D array of 1 to {longest} floats, not {signal.dtype} of shape {signal.shape}"
            )
        if not np.isfinite(signal).all():
            raise SpeechError("the signal holds values that are not finite")
        encoder = LyraEncoder(self)
        words = np.concatenate([encoder.push(signal), encoder.finish()], 1)
        return TokenFrame(
            words.ravel(), self.codebook, CODEBOOK_SIZE, words.shape, MODALITY, None, frame_id, self.quantizers
        )

    def detokenize(self, frame: TokenFrame) -> np.ndarray:
        """The signal of a frame, float32 (hops * HOP,), 16 kHz. Lost words are treated as by `LyraDecoder`.

        Raises:
            FrameError: the frame is of another codebook or shape.
        """
        fits = (frame.codebook, frame.codebook_size, frame.grid[0]) == (self.codebook, CODEBOOK_SIZE, self.quantizers)
        if not fits or len(frame.grid) != 2 or frame.grid[1] > self._longest:
            raise FrameError(
                f"frame {frame.frame_id} ({frame.codebook}, {frame.codebook_size} words, grid {frame.grid}) is not "
                f"this tokenizer's ({self.codebook}, {CODEBOOK_SIZE} words, grid {self.quantizers} x at most "
                f"{self._longest})"
            )
        return LyraDecoder(self).push(frame.tokens.reshape(frame.grid))


class LyraEncoder:
    """Encoder of a stream of samples: words of a hop come at its end.

    Args:
        tokenizer: the tokenizer.
    """

    def __init__(self, tokenizer: LyraTokenizer):
        self._quantizers = tokenizer.quantizers
        self._describe, self._quantize = tokenizer.runner(ENCODER), tokenizer.runner(QUANTIZER, "encode")
        self._held = np.zeros(0, np.float32)

    def push(self, samples: np.ndarray) -> np.ndarray:
        """Take samples, float (n,), within ±1, and return the words of hops completed by them, int32 (quantizers,
        hops)."""
        held = np.concatenate([self._held, np.asarray(samples, np.float32)])
        hops = len(held) // HOP
        self._held = held[hops * HOP :]
        words = np.zeros((self._quantizers, hops), np.int32)
        for number, hop in enumerate(held[: hops * HOP].reshape(hops, 1, HOP)):
            described = self._describe(input_audio=np.clip(hop, -1, 1))["output_0"]
            found = self._quantize(input_frames=described, num_quantizers=np.int32(self._quantizers))["output_0"]
            words[:, number] = found.ravel()[: self._quantizers]
        return words

    def finish(self) -> np.ndarray:
        """Words of what is left, filled up with silence, int32 (quantizers, hops)."""
        return self.push(np.zeros(-len(self._held) % HOP, np.float32))


class LyraDecoder:
    """Decoder of a stream of words, without delay.

    Words of finer quantizers than a lost one are of no use: a hop is decoded from those before it. Where even the first
    is lost, the last that came goes on, softer by FADE_DB per hop, and after HELD hops there is silence.

    Args:
        tokenizer: the tokenizer.
    """

    def __init__(self, tokenizer: LyraTokenizer):
        self._quantizers = tokenizer.quantizers
        self._describe, self._sound = tokenizer.runner(QUANTIZER, "decode"), tokenizer.runner(DECODER)
        self._last: np.ndarray | None = None
        self._missed, self._gain = 0, 1.0

    def push(self, words: np.ndarray) -> np.ndarray:
        """Take words, int (quantizers, hops), LOST where unknown, and return as many hops of samples, float32 (hops *
        HOP,).

        Raises:
            FrameError: words of another shape, or outside the codebook.
        """
        if words.ndim != 2 or len(words) != self._quantizers:
            raise FrameError(f"words of shape {words.shape}; they must be ({self._quantizers}, hops)")
        if words.size and not LOST <= words.min() <= words.max() < CODEBOOK_SIZE:
            raise FrameError(f"words must be {LOST} to {CODEBOOK_SIZE - 1}")
        useful = np.logical_and.accumulate(words != LOST, axis=0)
        indices = np.full((words.shape[1], QUANTIZERS[-1], 1, 1), -1, np.int32)  # -1: a quantizer that adds nothing
        indices[:, : self._quantizers, 0, 0] = np.where(useful, words, -1).T
        made = [self._hop(each if each[0, 0, 0] >= 0 else None) for each in indices]
        return np.concatenate([*made, np.zeros(0, np.float32)])

    def _hop(self, indices: np.ndarray | None) -> np.ndarray:
        """Samples of a hop, float32 (HOP,), from the quantizers' indices, int32 (QUANTIZERS[-1], 1, 1), or None."""
        self._missed = 0 if indices is not None else self._missed + 1
        if indices is not None:
            self._last = self._describe(encoding_indices=indices)["output_0"]
        if self._last is None:
            return np.zeros(HOP, np.float32)
        before, self._gain = self._gain, 10 ** (-FADE_DB * self._missed / 20) if self._missed <= HELD else 0.0
        return self._sound(input_audio=self._last)["output_0"].ravel() * _glide(before, self._gain)


def _glide(before: float, after: float) -> np.ndarray:
    """Gains of a hop's samples, float32 (HOP,), without a jump."""
    return np.linspace(before, after, HOP + 1, dtype=np.float32)[1:]


def _read(path: Path) -> bytes:
    """Read a file of FILES.

    Raises:
        ModelError: it is missing, or another.
    """
    size, wanted = FILES[path.name]
    try:
        if not path.is_file():
            raise ModelError(
                f"{path}: there is no such file; Lyra's folder is lyra/model_coeffs of the repository google/lyra, "
                f"with {', '.join(FILES)}"
            )
        with path.open("rb") as file:
            content = file.read(size + 1)
    except OSError as error:
        raise ModelError(f"{path}: {error.strerror}") from None
    found = hashlib.sha256(content).hexdigest()
    if found != wanted:
        raise ModelError(
            f"{path}: sha256 is {found[:12]}…, that of version 1.3.2 is {wanted[:12]}…: it is another version, "
            "incomplete or changed; take it from the repository google/lyra, tag v1.3.2"
        )
    return content


def _opened(network: bytes) -> object:
    """LiteRT's interpreter of a network, its state at rest.

    Raises:
        ModelError: ai-edge-litert is not installed, or cannot run it.
    """
    try:
        from ai_edge_litert.interpreter import Interpreter
    except ImportError:
        raise ModelError("ai-edge-litert is not installed, which Lyra needs: pip install tokcom[lyra]") from None
    try:
        return Interpreter(model_content=network, num_threads=1)
    except (ValueError, RuntimeError) as error:
        raise ModelError(f"LiteRT cannot run this network of Lyra's: {error}") from None
