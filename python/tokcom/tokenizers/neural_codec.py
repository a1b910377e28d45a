"""Sound as words of a public codec's residual quantizers, and back: EnCodec, DAC, Mimi.

Défossez et al., "High fidelity neural audio compression" (2022); Kumar et al., "High-fidelity audio compression with
improved RVQGAN", NeurIPS 2023; Défossez et al., "Moshi: a speech-text foundation model for real-time dialogue" (2024).
"""

from typing import ClassVar, Protocol

import numpy as np
import torch
from torch import Tensor, nn

from tokcom.device import network_bytes
from tokcom.errors import FrameError, ParameterError
from tokcom.frame import LOST, TokenFrame

MODALITY = "audio"
FADE = 0.5
"""Factor on the vectors of a column that is lost, for each column since the last that came."""


class CodecConfig(Protocol):
    """Shape of a codec.

    Attributes:
        codebook_size: words of each quantizer.
        quantizers: residual quantizers in use.
        rate: samples per second.
        hop: samples per column of words.
        max_seconds: longest signal of one frame of tokens.
    """

    max_seconds: ClassVar[int]
    codebook_size: int
    quantizers: int
    rate: int
    hop: int


class NeuralCodec:
    """Tokenizer made of a codec's network: a pure function of the signal.

    Args:
        network: the network, in evaluation mode, with a `CodecConfig` as `config`, `encode` from signals (1, 1, n) to
            words (1, quantizers, columns), `vectors` from one quantizer's words to vectors (1, width, columns), and
            `synthesize` from their sum to signals (1, 1, n).
        codebook: identity of its codebook.
    """

    def __init__(self, network: nn.Module, codebook: str):
        config = network.config
        self.network, self.codebook = network, codebook
        self.codebook_size, self.quantizers = config.codebook_size, config.quantizers
        self.rate, self.hop, self.max_seconds = config.rate, config.hop, config.max_seconds
        self.n_bytes = network_bytes(network)

    @property
    def bit_rate(self) -> float:
        """Bits per second."""
        return self.quantizers * np.log2(self.codebook_size) * self.rate / self.hop

    def tokenize(self, signal: np.ndarray, frame_id: int = 0) -> TokenFrame:
        """Tokenize a signal.

        Args:
            signal: float (n,), at `rate` samples per second, within ±1; it is filled up to whole columns.
            frame_id: number of the frame.

        Raises:
            ParameterError: it is empty, too long, or not a 1-D array of finite numbers.
        """
        longest = self.max_seconds * self.rate
        if signal.ndim != 1 or not np.issubdtype(signal.dtype, np.floating) or not 1 <= len(signal) <= longest:
            raise ParameterError(
                f"a signal must be a 1-D array of 1 to {longest} floats, not {signal.dtype} of shape {signal.shape}"
            )
        if not np.isfinite(signal).all():
            raise ParameterError("the signal holds values that are not finite")
        whole = np.pad(signal.astype(np.float32), (0, -len(signal) % self.hop))
        with torch.inference_mode():
            words = self.network.encode(torch.from_numpy(whole).to(self._weight)[None, None])[0].cpu().numpy()
        return TokenFrame(
            words.ravel(), self.codebook, self.codebook_size, words.shape, MODALITY, None, frame_id, self.quantizers
        )

    def detokenize(self, frame: TokenFrame) -> np.ndarray:
        """Decode a frame to a signal, float32 (n,).

        Words of finer quantizers than a lost one are of no use: a column is decoded from those before it. Where even
        the first is lost, the column before is repeated and fades.

        Raises:
            FrameError: the frame has another codebook or shape, or is too long.
        """
        fits = (frame.codebook, frame.codebook_size, frame.grid[0]) == (
            self.codebook, self.codebook_size, self.quantizers,
        )  # fmt: skip
        if not fits or len(frame.grid) != 2 or frame.grid[1] * self.hop > (self.max_seconds + 1) * self.rate:
            raise FrameError(
                f"frame {frame.frame_id} ({frame.codebook}, {frame.codebook_size} words, grid {frame.grid}) is not "
                f"this tokenizer's ({self.codebook}, {self.codebook_size} words, grid {self.quantizers} x columns)"
            )
        words = frame.tokens.reshape(frame.grid)
        useful = np.logical_and.accumulate(words != LOST, axis=0)
        with torch.inference_mode():
            total = self._summed(np.where(useful, words, 0), useful)
            return self.network.synthesize(total)[0, 0].float().cpu().numpy()

    def _summed(self, words: np.ndarray, useful: np.ndarray) -> Tensor:
        """Sum of the quantizers' vectors, (1, width, columns)."""
        total = torch.zeros(())
        for number in range(self.quantizers):
            row = torch.from_numpy(words[number].astype(np.int64)).to(self._weight.device)[None]
            shown = torch.from_numpy(useful[number]).to(self._weight)
            total = total + self.network.vectors(row, number) * shown
        last, gain = np.zeros(words.shape[1], np.int64), np.zeros(words.shape[1], np.float32)
        for column in range(words.shape[1]):
            if useful[0, column]:
                last[column], gain[column] = column, 1
            elif column:
                last[column], gain[column] = last[column - 1], gain[column - 1] * FADE
        return total[:, :, torch.from_numpy(last)] * torch.from_numpy(gain).to(self._weight)

    @property
    def _weight(self) -> Tensor:
        return next(self.network.parameters())
