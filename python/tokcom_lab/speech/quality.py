"""Quality of speech: ESTOI and log-spectral distance, on excerpts by speaker."""

import numpy as np

from tokcom.tokenizers.pitch import FRAME, RATE
from tokcom_lab.speech.dataset import Speech

EXCERPT = 3 * RATE // FRAME
"""Least frames of an excerpt; shorter recordings of a speaker are joined."""
PER_SPEAKER = 10


def excerpts(speech: Speech, per_speaker: int = PER_SPEAKER) -> dict[str, list[np.ndarray]]:
    """Excerpts of at least 3 s by speaker, from recordings spread over each speaker's, in order."""
    by_speaker: dict[str, list[int]] = {}
    for number, name in enumerate(speech.names):
        by_speaker.setdefault(name.partition("/")[0], []).append(number)
    found = {}
    for speaker, numbers in by_speaker.items():
        joined, parts = [], []
        for number in numbers:
            parts.append(speech.recording(number))
            if sum(map(len, parts)) >= EXCERPT * FRAME:
                joined.append(np.concatenate(parts)[: 2 * EXCERPT * FRAME])
                parts = []
        if joined:
            found[speaker] = [joined[each] for each in spread(len(joined), per_speaker)]
    return found


def spread(length: int, count: int) -> np.ndarray:
    """Indices of at most `count` of `length` things, evenly over them, int (n,)."""
    return np.unique(np.linspace(0, length - 1, min(count, length)).astype(int))


def estoi_of(wanted: np.ndarray, made: np.ndarray) -> float:
    """ESTOI of a signal (n,) at 8 kHz against the original."""
    import pystoi

    return float(pystoi.stoi(wanted, made, RATE, extended=True))


def log_spectral_distance(wanted: np.ndarray, made: np.ndarray) -> float:
    """Log-spectral distance in dB of signals (n,): root mean square over frequency, mean over columns of 32 ms within
    40 dB of the loudest."""
    window = np.hanning(258)[1:-1]
    own, theirs = (
        np.abs(np.fft.rfft(np.lib.stride_tricks.sliding_window_view(each, 256)[::128] * window)) ** 2 + 1e-6
        for each in (made, wanted)
    )
    energy = theirs.sum(1)
    loud = energy > 1e-4 * energy.max()
    difference = 10 * np.log10(own[loud] / theirs[loud])
    return float(np.sqrt(np.square(difference).mean(1)).mean())
