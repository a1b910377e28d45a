"""Modulation vectors that are seldom confused: directions moved apart by gradient descent."""

from collections.abc import Callable

import numpy as np
import torch

from tokcom.channel.multipath import load_profile, path_filters
from tokcom.multiple_access.codebook import ModulationCodebook
from tokcom.multiple_access.plan import MultiUserPlan
from tokcom.phy.numerology import CARRIERS, FFT_SIZE
from tokcom_lab.multiple_access.scene import SAMPLE_RATE

PROFILE = "etu"
POWERS = 32
"""Channels over which errors are averaged."""
CHANNELS_PER_STEP = 2
RATE, WARM_UP = 0.05, 0.1
"""Largest learning rate, and share of the steps until it is reached."""
SLOTS = 256


def fit_vectors(
    length: int, esn0_db: float, words: int = 1024, steps: int = 400, seed: int = 0,
    progress: Callable[[int], None] = lambda done: None,
) -> np.ndarray:  # fmt: skip
    """Fit modulation vectors to a fading channel.

    The sum of the Bhattacharyya bounds of all pairs, exp(-Es/N0 |h (u - v)|^2 / 4), falls by Adam from random
    directions; all rows keep the same energy.

    Args:
        length: symbols per vector.
        esn0_db: Es/N0 in dB.
        words: vectors.
        steps: of the descent.
        seed: of channels and of the start.
        progress: called with the number of steps done since the last call.

    Returns:
        int8 (words, 2 * length), real and imaginary parts in turn, each row to be scaled to the same energy.
    """
    book = ModulationCodebook(words, length, seed + 1)
    powers = torch.tensor(np.stack(list(_powers(book, np.random.default_rng(seed)))))
    rows = torch.tensor(book.vectors.view(np.float32)).requires_grad_(True)
    others = 1 - torch.eye(words)
    descent = torch.optim.Adam([rows], RATE)
    schedule = torch.optim.lr_scheduler.OneCycleLR(descent, RATE, total_steps=steps, pct_start=WARM_UP)
    for step in range(steps):
        scaled = rows * (length**0.5 / rows.norm(dim=1, keepdim=True))
        bound = torch.zeros(())
        for k in range(CHANNELS_PER_STEP):
            power = powers[(step * CHANNELS_PER_STEP + k) % POWERS]
            heard = scaled * power.sqrt().repeat_interleave(2) * 10 ** (esn0_db / 20)
            energy = (heard**2).sum(dim=1)
            apart = (energy[:, None] + energy - 2 * heard @ heard.T).clamp_min(0)
            bound = bound + (others * torch.exp(-apart / 4)).sum()
        descent.zero_grad()
        torch.log(bound).backward()
        descent.step()
        schedule.step()
        progress(1)
    found = rows.detach().numpy()
    found = found / np.linalg.norm(found, axis=1, keepdims=True)
    return np.rint(found * (127 / np.abs(found).max())).astype(np.int8)


def _powers(book: ModulationCodebook, rng: np.random.Generator):
    """Draw |h|^2 of a slot's cells, float32 (length,), of a transmitter that controls its power."""
    profile, cells = load_profile(PROFILE), MultiUserPlan(book, SLOTS).slot_cells
    offsets, filters, _ = path_filters(profile, SAMPLE_RATE)
    phases = np.exp(-2j * np.pi * CARRIERS[:, None] * offsets / FFT_SIZE)
    for _ in range(POWERS):
        power = np.abs(phases @ (profile.draw(-np.inf, rng) @ filters)) ** 2
        yield (power / power.mean())[cells[rng.integers(SLOTS)] % len(CARRIERS)].astype(np.float32)
