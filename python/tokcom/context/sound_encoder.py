"""Encoder of sounds to points in the space of sentences: a small convolutional network over log-mel spectra."""

from dataclasses import asdict, dataclass
from functools import lru_cache

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from tokcom.context.description import WIDTH
from tokcom.errors import ParameterError

RATE = 8_000
"""Sample rate of the sounds in Hz."""
WINDOW, STEP, SPECTRUM = 320, 160, 512
"""Samples of a window, from one window to the next, and of its Fourier transform."""
LOWEST_HZ = 50.0
QUIETEST = 1e-10
LONGEST_S = 30.0
"""Seconds of a sound that are heard; the rest is cut."""


@dataclass(frozen=True)
class SoundEncoderConfig:
    """Shape of a `SoundEncoder`; it is stored in the model's card.

    Attributes:
        bands: mel bands of the spectra, a multiple of 2 ** len(widths).
        widths: channels of the convolutions, each of which halves both sides.
        embedding: components of a point.
    """

    bands: int = 64
    widths: tuple[int, ...] = (16, 32, 64, 128)
    embedding: int = WIDTH

    as_dict = asdict


class SoundEncoder(nn.Module):
    """Network from log-mel spectra (batch, bands, windows) to unit vectors (batch, embedding)."""

    def __init__(self, config: SoundEncoderConfig):
        super().__init__()
        self.config = config
        layers, before = [], 1
        for width in config.widths:
            layers += [nn.Conv2d(before, width, 3, padding=1), nn.GroupNorm(8, width), nn.GELU(), nn.MaxPool2d(2)]
            before = width
        self.trunk = nn.Sequential(*layers)
        # Bands stay apart, as pitch matters; the mean and the maximum over time remain of what sounds.
        features, hidden = 2 * before * (config.bands >> len(config.widths)), 2 * before
        self.head = nn.Sequential(nn.Linear(features, hidden), nn.GELU(), nn.Linear(hidden, config.embedding))

    def forward(self, spectra: Tensor) -> Tensor:
        """Embed spectra of at least 2 ** len(widths) windows."""
        found = self.trunk(spectra[:, None]).flatten(1, 2)
        return F.normalize(self.head(torch.cat([found.mean(-1), found.amax(-1)], -1)), dim=-1)


class Sounds:
    """Trained `SoundEncoder`.

    Args:
        network: the network, in evaluation mode; it runs on the device that holds it.
        name: name of its model.
    """

    def __init__(self, network: SoundEncoder, name: str):
        self.network, self.name = network, name

    def embed(self, samples: np.ndarray) -> np.ndarray:
        """Embed a sound at RATE, float32 (embedding,); raises as `log_mel` does."""
        found = torch.from_numpy(log_mel(samples, self.network.config.bands))
        device = next(self.network.parameters()).device
        with torch.inference_mode():
            return self.network(found[None].to(device)).float()[0].cpu().numpy()


def log_mel(samples: np.ndarray, bands: int) -> np.ndarray:
    """Compute the spectra of a sound, in nepers from their mean, so that its level does not matter.

    Args:
        samples: float (n,), at RATE; those beyond LONGEST_S are left out.
        bands: number of mel bands.

    Returns:
        float32 (bands, windows), at least 32 windows; a short sound is repeated.

    Raises:
        ParameterError: there are no samples, or they are not finite.
    """
    mono = np.asarray(samples, np.float32)[: round(LONGEST_S * RATE)]
    if mono.ndim != 1 or not mono.size or not np.isfinite(mono).all():
        raise ParameterError(f"a sound has at least one sample, all finite, (n,), not an array of shape {mono.shape}")
    mono = np.resize(mono, max(len(mono), WINDOW + 31 * STEP))
    windows = np.lib.stride_tricks.sliding_window_view(mono, WINDOW)[::STEP] * np.hanning(WINDOW)
    power = np.abs(np.fft.rfft(windows, SPECTRUM)) ** 2
    logs = np.log(power @ mel_bands(bands).T + max(QUIETEST * float(power.max()), 1e-20)).T
    return (logs - logs.mean()).astype(np.float32)


@lru_cache(maxsize=4)
def mel_bands(bands: int) -> np.ndarray:
    """Make triangular bands that are equally wide in mel (O'Shaughnessy, 1987), float64 (bands, SPECTRUM // 2 + 1)."""
    mel = 2595 * np.log10(1 + np.array([LOWEST_HZ, RATE / 2]) / 700)
    edges = 700 * (10 ** (np.linspace(*mel, bands + 2) / 2595) - 1)
    frequencies = np.arange(SPECTRUM // 2 + 1) * RATE / SPECTRUM
    low, middle, high = edges[:-2, None], edges[1:-1, None], edges[2:, None]
    rising, falling = (frequencies - low) / (middle - low), (high - frequencies) / (high - middle)
    found = np.clip(np.minimum(rising, falling), 0, None)
    # The narrowest bands may lie between two frequencies of the transform.
    nearest = np.abs(frequencies - middle).argmin(axis=1)
    found[np.arange(bands), nearest] = np.maximum(found[np.arange(bands), nearest], 0.1)
    return found
