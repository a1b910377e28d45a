"""Speech at 8 kHz as words of residual quantizers, and back, whole or as it comes."""

import numpy as np
import torch

from tokcom.device import network_bytes
from tokcom.errors import FrameError, SpeechError
from tokcom.frame import LOST, TokenFrame
from tokcom.tokenizers.pitch import FRAME, RATE, UNVOICED, pitch_words
from tokcom.tokenizers.pitch import LOOK_AHEAD as PITCH_AHEAD
from tokcom.tokenizers.speech_network import AHEAD, COLUMNS, HOP, WINDOW, SpeechNetwork, glide

MODALITY = "speech"
MAX_SECONDS = 600
"""Longest signal of one frame of tokens."""
LOOK_AHEAD = max(PITCH_AHEAD, (AHEAD - 1) * HOP + (WINDOW + HOP) // 2)
"""Samples after its end that a frame's words depend on: 41 ms."""
ENCODER_HISTORY, DECODER_HISTORY = 8, 20
"""Frames before a frame that its words, or its samples, depend on."""
DELAY = 2 * HOP
"""Samples by which the decoder's output lags: its windows reach that far."""
HELD = 3
"""Frames for which the sound before a loss goes on, softer and softer."""
FADE_DB = 4.0


class SpeechTokenizer:
    """Tokenizer made of a trained `SpeechNetwork`: a pure function of the signal.

    Args:
        network: the network, in evaluation mode, on the CPU.
        codebook: identity of its codebook.
    """

    def __init__(self, network: SpeechNetwork, codebook: str):
        self.network, self.codebook = network.float(), codebook
        self.codebook_size, self.quantizers = network.config.codebook_size, network.config.quantizers
        self.n_bytes = network_bytes(network)

    @property
    def bit_rate(self) -> float:
        """Bits per second."""
        return self.quantizers * np.log2(self.codebook_size) * RATE / FRAME

    def tokenize(self, signal: np.ndarray, frame_id: int = 0) -> TokenFrame:
        """Tokenize a whole signal.

        Args:
            signal: float (n,), 8 kHz, within ±1; it is filled up to whole frames of 40 ms.
            frame_id: number of the frame.

        Raises:
            SpeechError: it is empty, too long, or not a 1-D array of finite numbers.
        """
        checked(signal)
        encoder = SpeechEncoder(self)
        words = np.concatenate([encoder.push(signal), encoder.finish()], 1)
        return self.frame(words, frame_id)

    def detokenize(self, frame: TokenFrame) -> np.ndarray:
        """The signal of a frame, float32 (n * FRAME,). Where words are lost, the sound before goes on and fades.

        Raises:
            FrameError: the frame is of another codebook or shape.
        """
        self.require(frame)
        decoder = SpeechDecoder(self)
        return np.concatenate([decoder.push(frame.tokens.reshape(frame.grid)), decoder.finish()])

    def frame(self, words: np.ndarray, frame_id: int = 0) -> TokenFrame:
        """The frame of words, int (quantizers, n)."""
        return TokenFrame(
            words.ravel(), self.codebook, self.codebook_size, words.shape, MODALITY, None, frame_id, self.quantizers
        )

    def require(self, frame: TokenFrame) -> None:
        """Raise FrameError unless a frame is of this codebook and shape, and of at most MAX_SECONDS."""
        fits = (frame.codebook, frame.codebook_size, frame.grid[0]) == (
            self.codebook, self.codebook_size, self.quantizers,
        )  # fmt: skip
        if not fits or len(frame.grid) != 2 or frame.grid[1] * FRAME > MAX_SECONDS * RATE:
            raise FrameError(
                f"frame {frame.frame_id} ({frame.codebook}, {frame.codebook_size} words, grid {frame.grid}) is not "
                f"this tokenizer's ({self.codebook}, {self.codebook_size} words, grid {self.quantizers} x frames)"
            )


class SpeechEncoder:
    """Encoder of a stream of samples: words of a frame come LOOK_AHEAD samples after its end.

    Args:
        tokenizer: the tokenizer.
    """

    def __init__(self, tokenizer: SpeechTokenizer):
        self._tokenizer = tokenizer
        self._held = np.zeros(ENCODER_HISTORY * FRAME, np.float32)
        """The history, and what is not yet encoded."""

    def push(self, samples: np.ndarray) -> np.ndarray:
        """Take samples, float (n,), and return the words of frames completed by them, int32 (quantizers, frames)."""
        self._held = np.concatenate([self._held, np.asarray(samples, np.float32)])
        ready = (len(self._held) - ENCODER_HISTORY * FRAME - LOOK_AHEAD) // FRAME
        return self._encoded(max(ready, 0))

    def finish(self) -> np.ndarray:
        """Words of what is left, filled up with silence, int32 (quantizers, frames)."""
        left = len(self._held) - ENCODER_HISTORY * FRAME
        self._held = np.pad(self._held, (0, -left % FRAME + LOOK_AHEAD))
        return self._encoded(-(-left // FRAME))

    def _encoded(self, frames: int) -> np.ndarray:
        network = self._tokenizer.network
        if not frames:
            return np.zeros((self._tokenizer.quantizers, 0), np.int32)
        length = (ENCODER_HISTORY + frames) * FRAME + LOOK_AHEAD
        signal = np.pad(self._held[:length], (0, -length % FRAME))[None]
        pitch = torch.from_numpy(pitch_words(signal, self._tokenizer.codebook_size))
        with torch.inference_mode():
            latents = network.latents(network.log_mel(torch.from_numpy(signal)), pitch)
            words = torch.cat([pitch[:, None], network.quantize(latents)], 1)[0]
        self._held = self._held[frames * FRAME :]
        return words[:, ENCODER_HISTORY : ENCODER_HISTORY + frames].numpy().astype(np.int32)


class SpeechDecoder:
    """Decoder of a stream of words: samples of a frame come DELAY samples late.

    Args:
        tokenizer: the tokenizer.
        seed: seed of the noise in unvoiced sounds.
    """

    def __init__(self, tokenizer: SpeechTokenizer, seed: int = 0):
        self._tokenizer, self._seed = tokenizer, seed
        self._words = np.zeros((tokenizer.quantizers, 0), np.int64)
        self._loudness = np.zeros(0, np.float32)
        self._before, self._phase, self._first = UNVOICED, 0.0, 0
        """The pitch word and the cycles before the history, and its first frame's number."""
        self._given = 0

    def push(self, words: np.ndarray) -> np.ndarray:
        """Take words, int (quantizers, frames), LOST where unknown, and return as many frames of samples, float32
        (frames * FRAME,), less DELAY of them the first time.

        Raises:
            FrameError: words of another shape, or outside the codebook.
        """
        if words.ndim != 2 or len(words) != self._tokenizer.quantizers:
            raise FrameError(f"words of shape {words.shape}; they must be ({self._tokenizer.quantizers}, frames)")
        if words.size and not LOST <= words.min() <= words.max() < self._tokenizer.codebook_size:
            raise FrameError(f"words must be {LOST} to {self._tokenizer.codebook_size - 1}")
        self._append(words)
        return self._samples(self._first + self._words.shape[1], DELAY)

    def finish(self) -> np.ndarray:
        """The last DELAY samples, float32."""
        return self._samples(self._first + self._words.shape[1], 0)

    def _append(self, words: np.ndarray) -> None:
        for column in words.T.astype(np.int64):
            lost = column == LOST
            last = self._words[:, -1] if self._words.shape[1] else np.zeros(len(column), np.int64)
            loudness = 0.0
            if lost.any():
                column = np.where(lost, last, column)
                previous = self._loudness[-1] if len(self._loudness) else -np.inf
                # Where only some words are lost, those that came keep the sound up.
                loudness = previous - FADE_DB if lost.all() else min(previous + FADE_DB, 0.0)
                loudness = -np.inf if loudness < -HELD * FADE_DB else loudness
            self._words = np.concatenate([self._words, column[:, None]], 1)
            self._loudness = np.append(self._loudness, np.float32(loudness))

    def _samples(self, frames: int, delay: int) -> np.ndarray:
        """Samples up to `delay` before the end of a frame's number."""
        end = max(frames * FRAME - delay, self._given)
        start, self._given = self._given, end
        if start == end:
            return np.zeros(0, np.float32)
        made = self._synthesized()[start - self._first * FRAME : end - self._first * FRAME]
        self._forget()
        return made

    def _synthesized(self) -> np.ndarray:
        network, count = self._tokenizer.network, self._words.shape[1]
        words = torch.from_numpy(self._words)[None]
        noise = np.concatenate(
            [
                np.random.default_rng([self._seed, self._first + each]).standard_normal(FRAME, np.float32)
                for each in range(count)
            ]
        )
        gain = np.repeat(10 ** (self._loudness / 20), COLUMNS)[:, None]
        with torch.inference_mode():
            pitch = words[:, 0]
            harmonic, rest = (
                each * torch.from_numpy(gain) for each in network.gains(network.vectors(words[:, 1:]), pitch)
            )
            before, phase = torch.tensor([self._before]), torch.tensor([self._phase], dtype=torch.float64)
            return network.excited(harmonic, rest, pitch, torch.from_numpy(noise)[None], before, phase)[0].numpy()

    def _forget(self) -> None:
        """Drop frames older than the history."""
        old = self._words.shape[1] - DECODER_HISTORY
        if old <= 0:
            return
        pitch = torch.from_numpy(self._words[None, 0, :old])
        hertz, _ = glide(pitch, self._tokenizer.codebook_size, torch.tensor([self._before]))
        self._phase = float((self._phase + hertz.sum() / RATE) % 1)
        self._before = int(self._words[0, old - 1])
        self._words, self._loudness = self._words[:, old:], self._loudness[old:]
        self._first += old


def checked(signal: np.ndarray) -> None:
    """Raise SpeechError unless a signal is one, of at most MAX_SECONDS."""
    if signal.ndim != 1 or not np.issubdtype(signal.dtype, np.floating):
        raise SpeechError(f"a signal must be a 1-D array of floats, not {signal.dtype} of shape {signal.shape}")
    if not len(signal) or len(signal) > MAX_SECONDS * RATE:
        raise SpeechError(f"the signal has {len(signal)} samples; it must have 1 to {MAX_SECONDS * RATE}")
    if not np.isfinite(signal).all():
        raise SpeechError("the signal holds values that are not finite")
