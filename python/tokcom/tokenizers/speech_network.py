"""Network of a speech tokenizer at 8 kHz: residual vector quantisation of the spectral envelope, and a vocoder.

The encoder sees log-mel spectra and the pitch's word; residual quantizers (Zeghidour et al., "SoundStream", 2021) turn
its vectors into words. The decoder is causal and computes, per 10 ms, the gains by frequency of a harmonic and a noise
excitation (Engel et al., "DDSP", ICLR 2020), which are applied to the excitations' short-time spectra.
"""

from dataclasses import asdict, dataclass

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from tokcom.tokenizers.pitch import FRAME, HIGHEST, LOWEST, RATE

HOP, WINDOW = 80, 256
"""Samples per column of a spectrum, and in its window."""
COLUMNS = FRAME // HOP
BINS = WINDOW // 2 + 1
AHEAD = 3
"""Columns after a frame's end that its encoding sees: 30 ms, and half a window."""
FLOOR = 1e-5
LEAP = 0.35
"""Largest change of pitch within a frame, in nepers."""
SILENT_PITCH = 100.0


@dataclass(frozen=True)
class SpeechConfig:
    """Shape of a `SpeechNetwork`; it is stored in the model's card."""

    codebook_size: int = 128
    quantizers: int = 4
    """Words per frame: the pitch, and the stages of the envelope's residual quantizer."""
    code_dim: int = 24
    bands: int = 40
    width: int = 192
    encoder_blocks: int = 3
    decoder_blocks: int = 4
    detail_width: int = 96
    detail_blocks: int = 2
    gains: int = 40
    """Frequencies at which the gains are computed; between them they are interpolated."""

    as_dict = asdict


def mel(hertz: "np.ndarray | float") -> "np.ndarray | float":
    """Convert Hz to mel."""
    return 2595 * np.log10(1 + np.asarray(hertz) / 700)


def mel_points(count: int, low: float, high: float) -> np.ndarray:
    """Frequencies in Hz, evenly spaced in mel, both ends included."""
    return 700 * (10 ** (np.linspace(mel(low), mel(high), count) / 2595) - 1)


def mel_bands(count: int) -> np.ndarray:
    """Triangular bands from 40 Hz to 4 kHz, float32 (BINS, count), each summing to 1."""
    hertz, edges = np.linspace(0, RATE / 2, BINS), mel_points(count + 2, 40, RATE / 2)
    rise = (hertz[:, None] - edges[None, :-2]) / (edges[1:-1] - edges[:-2])
    fall = (edges[None, 2:] - hertz[:, None]) / (edges[2:] - edges[1:-1])
    bands = np.maximum(0, np.minimum(rise, fall))
    # A band narrower than the bins' spacing takes the nearest bin.
    for band in np.flatnonzero(bands.sum(0) < 1e-3):
        bands[np.abs(hertz - edges[band + 1]).argmin(), band] = 1
    return (bands / bands.sum(0)).astype(np.float32)


def knots(count: int) -> np.ndarray:
    """Linear interpolation from gains at `count` frequencies to all bins, float32 (count, BINS)."""
    hertz, points = np.linspace(0, RATE / 2, BINS), mel_points(count, 0, RATE / 2)
    return np.stack([np.interp(hertz, points, row) for row in np.eye(count)]).astype(np.float32)


class FrameBlock(nn.Module):
    """Residual block along time: depthwise convolution, then an MLP; causal unless `ahead` columns are seen."""

    def __init__(self, width: int, kernel: int = 5, ahead: int = 0):
        super().__init__()
        self.pad = (kernel - 1 - ahead, ahead)
        self.mix = nn.Conv1d(width, width, kernel, groups=width)
        self.norm = nn.LayerNorm(width)
        self.wide = nn.Linear(width, 3 * width)
        self.back = nn.Linear(3 * width, width)
        nn.init.normal_(self.back.weight, std=0.01)
        nn.init.zeros_(self.back.bias)

    def forward(self, x: Tensor) -> Tensor:
        mixed = self.mix(F.pad(x.transpose(1, 2), self.pad)).transpose(1, 2)
        return x + self.back(F.gelu(self.wide(self.norm(x + mixed))))


class SpeechNetwork(nn.Module):
    """Autoencoder of speech: signals (batch, n * FRAME) ↔ words (batch, quantizers, n), the pitch's first."""

    def __init__(self, config: SpeechConfig):
        super().__init__()
        self.config = config
        width, stages = config.width, config.quantizers - 1
        self.pitch = nn.Embedding(config.codebook_size, width)
        self.stem = nn.Linear(config.bands * (COLUMNS + 2 * AHEAD), width)
        self.encoder = nn.Sequential(*(FrameBlock(width, 3) for _ in range(config.encoder_blocks)))
        self.code = nn.Linear(width, config.code_dim)
        self.register_buffer("codebooks", torch.randn(stages, config.codebook_size, config.code_dim))
        self.uncode = nn.Linear(config.code_dim, width)
        self.pitch_out = nn.Embedding(config.codebook_size, width)
        self.decoder = nn.Sequential(*(FrameBlock(width) for _ in range(config.decoder_blocks)))
        self.widen = nn.Linear(width, COLUMNS * config.detail_width)
        self.detail = nn.Sequential(*(FrameBlock(config.detail_width) for _ in range(config.detail_blocks)))
        self.head = nn.Linear(config.detail_width, 2 * config.gains)
        nn.init.normal_(self.pitch.weight, std=0.1)
        nn.init.normal_(self.pitch_out.weight, std=0.1)
        nn.init.normal_(self.head.weight, std=0.01)
        nn.init.constant_(self.head.bias, -4.0)

    def log_mel(self, signals: Tensor) -> Tensor:
        """Log-mel spectra at the middle of every hop, (batch, n * COLUMNS, bands), about -1 to 1."""
        padded = F.pad(signals, ((WINDOW - HOP) // 2, (WINDOW - HOP) // 2))
        frames = padded.unfold(1, WINDOW, HOP) * self._window(signals)
        power = torch.fft.rfft(frames).abs().square()
        bands = torch.from_numpy(mel_bands(self.config.bands)).to(power)
        return ((power @ bands + FLOOR).log() + 3) / 5

    def latents(self, features: Tensor, pitch: Tensor) -> Tensor:
        """Encode spectra (batch, n * COLUMNS, bands) and pitch words (batch, n) to vectors (batch, n, code_dim)."""
        quiet = (np.log(FLOOR) + 3) / 5
        padded = F.pad(features, (0, 0, AHEAD, AHEAD), value=quiet)
        seen = padded.unfold(1, COLUMNS + 2 * AHEAD, COLUMNS).flatten(2)
        return self.code(self.encoder(self.stem(seen) + self.pitch(pitch)))

    def quantize(self, latents: Tensor) -> Tensor:
        """Find the words (batch, quantizers - 1, n) of vectors (batch, n, code_dim), stage by stage."""
        words, rest = [], latents
        for codebook in self.codebooks.to(latents.dtype):
            nearest = (rest @ codebook.T - codebook.square().sum(1) / 2).argmax(-1)
            words.append(nearest)
            rest = rest - codebook[nearest]
        return torch.stack(words, 1)

    def vectors(self, words: Tensor) -> Tensor:
        """Sum the codes (batch, n, code_dim) of words (batch, quantizers - 1, n)."""
        return sum(codebook[own] for codebook, own in zip(self.codebooks, words.unbind(1), strict=True))

    def gains(self, vectors: Tensor, pitch: Tensor) -> tuple[Tensor, Tensor]:
        """Decode vectors (batch, n, code_dim) and pitch words (batch, n) to the gains of the harmonic and the noise
        excitation, (batch, n * COLUMNS, BINS)."""
        x = self.decoder(self.uncode(vectors) + self.pitch_out(pitch))
        x = self.widen(x).reshape(len(x), -1, self.config.detail_width)
        harmonic, noise = self.head(self.detail(x)).float().split(self.config.gains, -1)
        return tuple((each @ self._knots(each)).clamp(max=6).exp() for each in (harmonic, noise))

    def synthesize(self, vectors: Tensor, pitch: Tensor, noise: Tensor) -> Tensor:
        """Make speech (batch, n * FRAME) from vectors (batch, n, code_dim), pitch words (batch, n), and white noise of
        unit variance (batch, n * FRAME)."""
        return self.excited(*self.gains(vectors, pitch), pitch, noise)

    def excited(
        self, harmonic: Tensor, rest: Tensor, pitch: Tensor, noise: Tensor, before: "Tensor | None" = None,
        phase: "Tensor | None" = None,
    ) -> Tensor:  # fmt: skip
        """Filter the excitations with the gains of `gains`; `before` and `phase` as for `harmonics`."""
        voice = harmonics(pitch, self.config.codebook_size, before, phase)
        return overlapped(self._spectra(voice) * harmonic + self._spectra(noise) * rest, self._window(noise))

    def _spectra(self, signals: Tensor) -> Tensor:
        padded = F.pad(signals, ((WINDOW - HOP) // 2, (WINDOW - HOP) // 2))
        return torch.fft.rfft(padded.unfold(1, WINDOW, HOP) * self._window(signals))

    def _knots(self, like: Tensor) -> Tensor:
        return torch.from_numpy(knots(self.config.gains)).to(like.device)

    @staticmethod
    def _window(like: Tensor) -> Tensor:
        return torch.hann_window(WINDOW, device=like.device)


def overlapped(spectra: Tensor, window: Tensor) -> Tensor:
    """Add windowed columns (batch, columns, BINS) to signals (batch, columns * HOP)."""
    pieces = torch.fft.irfft(spectra, WINDOW) * window
    columns, side = pieces.shape[1], (WINDOW - HOP) // 2
    length = (columns - 1) * HOP + WINDOW

    def summed(parts: Tensor) -> Tensor:
        return F.fold(parts.transpose(1, 2), (1, length), (1, WINDOW), stride=(1, HOP)).flatten(1)

    weight = summed((window.square()).expand(1, columns, WINDOW)).clamp_min(0.1)
    return (summed(pieces) / weight)[:, side : side + columns * HOP]


def glide(pitch: Tensor, n_words: int, before: "Tensor | None" = None) -> tuple[Tensor, Tensor]:
    """Instantaneous pitch in Hz, float64 (batch, n * FRAME), and bool (batch, n), frames with a voice.

    A word is the pitch at its frame's end; within the frame it glides from the one before, `before` (batch,) for the
    first, None for unvoiced. Where only one of the two is voiced, its pitch stays.
    """
    first = torch.zeros_like(pitch[:, :1]) if before is None else before[:, None]
    former = torch.cat([first, pitch[:, :-1]], 1)
    own, theirs = (
        np.log(LOWEST) + (each.double() - 1) / (n_words - 2) * np.log(HIGHEST / LOWEST) for each in (pitch, former)
    )
    end = torch.where(pitch > 0, own, theirs)
    start = torch.where(former > 0, theirs, own)
    # A leap is two voices, not a glide.
    start = torch.where((start - end).abs() > LEAP, end, start)
    on = (pitch > 0) | (former > 0)
    steps = (torch.arange(FRAME, device=pitch.device).double() + 0.5) / FRAME
    hertz = (start[..., None] + (end - start)[..., None] * steps).exp()
    return torch.where(on[..., None], hertz, torch.full_like(hertz, SILENT_PITCH)).flatten(1), on


def harmonics(pitch: Tensor, n_words: int, before: "Tensor | None" = None, phase: "Tensor | None" = None) -> Tensor:
    """Excitation with all harmonics of the pitch at equal strength, (batch, n * FRAME), of about unit variance; silent
    where a frame and the one before it are unvoiced.

    Args:
        pitch: int64 (batch, n), pitch words.
        n_words: words of the codebook.
        before: see `glide`.
        phase: (batch,), cycles done before the first sample; None for 0.
    """
    hertz, on = glide(pitch, n_words, before)
    cycles = torch.cumsum(hertz / RATE, 1)
    cycles = cycles if phase is None else cycles + phase[:, None]
    angle = (cycles - cycles.floor()) * 2 * np.pi
    count = (0.95 * RATE / 2 / hertz).floor().clamp_min(1)
    half = (angle / 2).sin()
    near = half.abs() < 1e-4
    # The sum of cosines is Dirichlet's kernel.
    kernel = torch.where(
        near, count, ((count + 0.5) * angle).sin() / (2 * torch.where(near, torch.ones_like(half), half)) - 0.5
    )
    return (kernel * (2 / count).sqrt() * on.repeat_interleave(FRAME, 1)).float()
