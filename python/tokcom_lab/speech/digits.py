"""Recogniser of spoken digits: a small network on log spectra, trained on clean digits; no part of any codec."""

from pathlib import Path

import numpy as np
import torch
from safetensors.torch import load, save
from torch import Tensor, nn
from torch.nn import functional as F

from tokcom.tokenizers.pitch import RATE
from tokcom_lab.cache import FOLDER, RESULTS, Table, code_of, key_of
from tokcom_lab.speech.dataset import Speech

BANDS, COLUMNS = 32, 64
"""Shape of a digit's spectrum: its loud part, stretched to COLUMNS."""
WORDS = 10
EPOCHS, BATCH = 15, 64


def digits_of(speech: Speech) -> tuple[list[np.ndarray], np.ndarray]:
    """Signals of the single digits in a split, and the digits spoken, int (n,)."""
    numbers = [number for number, name in enumerate(speech.names) if name.startswith("digits-")]
    spoken = np.array([int(speech.names[number].partition("/")[2][0]) for number in numbers], int)
    return [speech.recording(number) for number in numbers], spoken


def features(signal: np.ndarray) -> np.ndarray:
    """Log spectrum of a signal (n,), float32 (BANDS, COLUMNS), its mean removed."""
    frames = np.lib.stride_tricks.sliding_window_view(np.pad(signal, 200), 200)[::80] * np.hanning(200)
    power = np.abs(np.fft.rfft(frames, 256)) ** 2
    hertz, top = np.linspace(0, RATE / 2, 129), np.log1p(RATE / 2 / 700)
    edges = 700 * np.expm1(np.linspace(0.1, 1.0, BANDS + 2) * top)
    rise, fall = (hertz[:, None] - edges[:-2]) / np.diff(edges)[:-1], (edges[2:] - hertz[:, None]) / np.diff(edges)[1:]
    bands = np.maximum(0, np.minimum(rise, fall))
    logs = np.log(power @ bands + 1e-4)
    energy = logs.mean(1)
    loud = np.flatnonzero(energy > energy.max() - 5)
    logs = logs[loud[0] : loud[-1] + 1]
    places = np.linspace(0, len(logs) - 1, COLUMNS)
    stretched = np.stack([np.interp(places, np.arange(len(logs)), band) for band in logs.T])
    return (stretched - stretched.mean()).astype(np.float32)


class DigitNetwork(nn.Sequential):
    """Convolutions in time, each band a channel, then a mean and a linear layer."""

    def __init__(self, width: int = 64):
        super().__init__(
            nn.Conv1d(BANDS, width, 5, padding=2), nn.ReLU(), nn.BatchNorm1d(width), nn.MaxPool1d(2),
            nn.Conv1d(width, width, 5, padding=2), nn.ReLU(), nn.BatchNorm1d(width), nn.MaxPool1d(2),
            nn.Conv1d(width, width, 3, padding=1), nn.ReLU(), nn.BatchNorm1d(width), nn.MaxPool1d(4),
            nn.Flatten(), nn.Dropout(0.3), nn.Linear(4 * width, WORDS),
        )  # fmt: skip


class DigitRecognizer:
    """Recogniser trained on digits; spectra are warped at random, as other throats and other tempi would.

    Args:
        signals: float (n,) each.
        spoken: int (signals,), the digits.
        seed: seed of weights, batches and warps.
    """

    def __init__(self, signals: list[np.ndarray], spoken: np.ndarray, seed: int = 0):
        torch.manual_seed(seed)
        rng = np.random.default_rng(seed)
        seen, wanted = np.stack([features(each) for each in signals]), torch.from_numpy(np.asarray(spoken))
        self.network = DigitNetwork()
        optimizer = torch.optim.AdamW(self.network.parameters(), lr=2e-3, weight_decay=0.05)
        steps = EPOCHS * (len(seen) // BATCH)
        schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, 4e-3, steps)
        for _ in range(steps):
            chosen = rng.integers(0, len(seen), BATCH)
            batch = torch.from_numpy(np.stack([_warped(seen[each], rng) for each in chosen]))
            loss = F.cross_entropy(self.network(batch), wanted[chosen], label_smoothing=0.1)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            schedule.step()
        self.network.eval()

    @classmethod
    def of_cache(cls, signals: list[np.ndarray], spoken: np.ndarray, folder: Path = FOLDER) -> "DigitRecognizer":
        """Make the recogniser, or take it from the cache if it was made before."""
        table = Table(folder / RESULTS)
        key = key_of("digits", *signals, spoken, code_of("tokcom_lab.speech.digits"))
        known = next(table.find([key]), None)
        if known is None:
            made = cls(signals, spoken)
            table.add({key: ({}, save(made.network.state_dict()))})
        else:
            made = cls.__new__(cls)
            made.network = DigitNetwork().eval()
            made.network.load_state_dict(load(known[2]))
        table.close()
        return made

    def recognize(self, signals: list[np.ndarray]) -> np.ndarray:
        """The digits, int (n,)."""
        asked: Tensor = torch.from_numpy(np.stack([features(each) for each in signals]))
        with torch.inference_mode():
            return self.network(asked).argmax(1).numpy()


def _warped(spectrum: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Stretch a spectrum's bands and bend its time at random, add noise, and hide a band and a stretch of time."""
    bands = np.clip((np.arange(BANDS) - rng.uniform(-2, 2)) * rng.uniform(0.85, 1.18), 0, BANDS - 1)
    time = np.linspace(0, 1, COLUMNS) ** np.exp(rng.normal(0, 0.25)) * (COLUMNS - 1)
    time = np.clip(time + rng.uniform(-4, 4), 0, COLUMNS - 1)
    low, rest = bands.astype(int), (bands % 1)[:, None]
    moved = spectrum[low] * (1 - rest) + spectrum[np.minimum(low + 1, BANDS - 1)] * rest
    low, rest = time.astype(int), time % 1
    moved = moved[:, low] * (1 - rest) + moved[:, np.minimum(low + 1, COLUMNS - 1)] * rest
    moved = (
        moved
        + rng.normal(0, 0.3, moved.shape)
        + np.interp(np.arange(BANDS), np.linspace(0, BANDS, 5), rng.normal(0, 0.7, 5))[:, None]
    )
    band, start = rng.integers(0, BANDS - 4), rng.integers(0, COLUMNS - 8)
    moved[band : band + rng.integers(0, 5)] = 0
    moved[:, start : start + rng.integers(0, 9)] = 0
    return moved.astype(np.float32)
