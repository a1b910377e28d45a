"""Spectrograms side by side."""

from collections.abc import Mapping
from pathlib import Path

import numpy as np

from tokcom.tokenizers.pitch import RATE


def draw_spectrograms(path: Path, signals: Mapping[str, np.ndarray]) -> None:
    """Write a picture of signals' spectrograms, one below the other.

    Args:
        path: the file, in a format of Matplotlib's.
        signals: float (n,) by title.
    """
    from matplotlib.figure import Figure

    figure = Figure(figsize=(8, 1.55 * len(signals) + 0.4), layout="constrained")
    axes = figure.subplots(len(signals), 1, sharex=True, squeeze=False)[:, 0]
    for axis, (title, signal) in zip(axes, signals.items(), strict=True):
        frames = np.lib.stride_tricks.sliding_window_view(signal, 256)[::40] * np.hanning(256)
        level = 20 * np.log10(np.abs(np.fft.rfft(frames, 512)) + 1e-4)
        seconds = len(signal) / RATE
        axis.imshow(
            level.T, origin="lower", aspect="auto", extent=(0, seconds, 0, RATE / 2000), cmap="magma", vmin=-50, vmax=25
        )
        axis.set_title(title, loc="left", fontsize=9)
        axis.set_ylabel("kHz")
    axes[-1].set_xlabel("seconds")
    figure.savefig(path, dpi=110)
