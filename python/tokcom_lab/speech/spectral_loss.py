"""Losses of a vocoder: spectra at several resolutions, and intelligibility as a differentiable measure."""

import numpy as np
import torch
from torch import Tensor

from tokcom.tokenizers.pitch import RATE

SIZES = (512, 256, 128)
"""Samples of the windows of the spectra compared."""
FLOOR = 1e-3
ESTOI_WINDOW, ESTOI_HOP, ESTOI_SIZE = 205, 102, 512
"""25.6 ms at 8 kHz and half of it, as ESTOI has them at 10 kHz."""
SEGMENT, STRIDE = 30, 6
"""Columns of a segment, and between segments' starts."""
BANDS = 15


def spectral_distance(made: Tensor, wanted: Tensor) -> Tensor:
    """Mean over resolutions of the log magnitudes' absolute difference and the spectral convergence (Yamamoto et al.,
    "Parallel WaveGAN", ICASSP 2020), of signals (batch, n)."""
    total = 0
    for size in SIZES:
        own, theirs = _magnitudes(made, size, size // 4, size), _magnitudes(wanted, size, size // 4, size)
        logs = ((own + FLOOR).log() - (theirs + FLOOR).log()).abs().mean()
        converged = (own - theirs).square().sum().sqrt() / theirs.square().sum().sqrt().clamp_min(1e-3)
        total = total + logs + converged
    return total / len(SIZES)


def intelligibility(made: Tensor, wanted: Tensor) -> Tensor:
    """ESTOI (Jensen and Taal, 2016) at 8 kHz of signals (batch, n): the mean correlation of short segments of
    third-octave spectra; segments of silence do not count."""
    own, theirs = (_third_octaves(each) for each in (made, wanted))
    loud = theirs.square().sum(-1)
    loud = (loud > 1e-3 * loud.amax(1, keepdim=True)).float().unfold(1, SEGMENT, STRIDE).mean(-1)
    own, theirs = (_normalized(each.unfold(1, SEGMENT, STRIDE)) for each in (own, theirs))
    similar = (own * theirs).sum(-2).mean(-1)
    weight = (loud > 0.8).float()
    return (similar * weight).sum() / weight.sum().clamp_min(1)


def _normalized(segments: Tensor) -> Tensor:
    """Bring rows, then columns, of segments (…, BANDS, SEGMENT) to mean 0 and norm 1."""
    for axis in (-1, -2):
        segments = segments - segments.mean(axis, keepdim=True)
        segments = segments / (segments.square().sum(axis, keepdim=True) + 1e-8).sqrt()
    return segments


def _third_octaves(signals: Tensor) -> Tensor:
    power = _magnitudes(signals, ESTOI_WINDOW, ESTOI_HOP, ESTOI_SIZE).square()
    return (power @ _octave_bands(power) + 1e-7).sqrt()


def _octave_bands(like: Tensor) -> Tensor:
    hertz = np.linspace(0, RATE / 2, ESTOI_SIZE // 2 + 1)
    middle = 150 * 2 ** (np.arange(BANDS) / 3)
    low, high = middle * 2 ** (-1 / 6), middle * 2 ** (1 / 6)
    inside = (hertz[:, None] >= low) & (hertz[:, None] < high)
    return torch.from_numpy(inside).to(like)


def _magnitudes(signals: Tensor, window: int, hop: int, size: int) -> Tensor:
    frames = signals.unfold(1, window, hop) * torch.hann_window(window, device=signals.device)
    spectra = torch.fft.rfft(frames, size)
    # The root's gradient at zero is infinite.
    return (spectra.real.square() + spectra.imag.square() + 1e-10).sqrt()
