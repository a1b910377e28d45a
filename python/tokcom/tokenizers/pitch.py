"""Pitch of speech at 8 kHz as one word per frame, and a voice's phase from such words."""

import numpy as np
from scipy.fft import irfft, rfft

RATE, FRAME = 8000, 320
"""Samples per second, and per frame of 40 ms."""
LOWEST, HIGHEST = 60.0, 400.0
"""Range of the pitch in Hz."""
UNVOICED = 0
"""Word of a frame without pitch; the others divide the range evenly on a logarithmic scale."""
VOICED = 0.5
"""Normalised autocorrelation from which a frame is voiced."""
FAVOUR = 0.9
"""Share of the largest autocorrelation at which a shorter period is taken instead, because a signal repeats after
multiples of its period as well."""
WINDOW, SHIFT = 480, 80
LOOK_AHEAD = SHIFT + WINDOW // 2
"""Samples after its end that a frame's pitch depends on: 40 ms."""
SHORTEST, LONGEST = int(RATE / HIGHEST), int(np.ceil(RATE / LOWEST))
SIZE = 640
"""Points of the transforms: at least WINDOW + LONGEST."""
QUIET = 1e-7
"""Mean square below which nothing is voiced."""


def pitch_words(signals: np.ndarray, n_words: int) -> np.ndarray:
    """Find the pitch at the end of each frame.

    Args:
        signals: float32 (batch, n * FRAME), within ±1; silence is assumed around it.
        n_words: words of the codebook; UNVOICED and n_words - 1 pitches.

    Returns:
        int64 (batch, n): the maximum of the normalised autocorrelation (Boersma, 1993), averaged over three windows
        around the frame's end.
    """
    batch, length = signals.shape
    frames = length // FRAME
    padded = np.pad(signals[:, : frames * FRAME], ((0, 0), (WINDOW // 2 + SHIFT, WINDOW // 2 + SHIFT)))
    ends = FRAME * np.arange(1, frames + 1)
    # Window centres at the end and one shift before and after it.
    starts = (ends[:, None] + SHIFT * np.arange(3)).ravel()
    windows = np.lib.stride_tricks.sliding_window_view(padded, WINDOW, axis=1)[:, starts]
    shape = np.hanning(WINDOW + 2)[1:-1].astype(np.float32)
    windows = (windows - windows.mean(-1, keepdims=True)) * shape
    spectra = rfft(windows, SIZE)
    power = np.square(spectra.real) + np.square(spectra.imag)
    power[..., 1000 * SIZE // RATE :] *= 0.25  # the voice is in the lower harmonics
    auto = irfft(power)[..., : LONGEST + 2]
    own = irfft(np.abs(rfft(shape, SIZE)) ** 2)[: LONGEST + 2]
    auto /= np.maximum(auto[..., :1], 1e-12) * (own / own[0])
    auto = auto.reshape(batch, frames, 3, -1).mean(2)
    inner = auto[..., SHORTEST : LONGEST + 1]
    peak = (inner >= auto[..., SHORTEST - 1 : LONGEST]) & (inner >= auto[..., SHORTEST + 1 : LONGEST + 2])
    heights = np.where(peak, inner, -1.0)
    highest = heights.max(-1, keepdims=True)
    first = (heights >= FAVOUR * highest).argmax(-1)
    lag = first + SHORTEST
    left, middle, right = (np.take_along_axis(auto, (lag + each)[..., None], -1)[..., 0] for each in (-1, 0, 1))
    bend = left - 2 * middle + right
    lag = lag + np.where(bend < 0, 0.5 * (left - right) / np.where(bend < 0, bend, 1), 0)
    loud = (signals[:, : frames * FRAME].reshape(batch, frames, FRAME) ** 2).mean(-1) > QUIET
    position = np.log(np.clip(RATE / np.maximum(lag, 1), LOWEST, HIGHEST) / LOWEST) / np.log(HIGHEST / LOWEST)
    words = 1 + np.rint(position * (n_words - 2)).astype(np.int64)
    return np.where((highest[..., 0] > VOICED) & loud, words, UNVOICED)


def pitch_hertz(words: np.ndarray, n_words: int) -> np.ndarray:
    """Convert words to pitches in Hz, 0 for UNVOICED."""
    hertz = LOWEST * (HIGHEST / LOWEST) ** ((np.asarray(words) - 1) / (n_words - 2))
    return np.where(np.asarray(words) == UNVOICED, 0.0, hertz)
