"""Receivers in each mode of recovery, with suitable bursts: photographs for modes that use context."""

from functools import cache

import numpy as np

from tokcom.link.modes import MODES
from tokcom.link.receiver import Receiver
from tokcom.link.recovery import FrameRecovery
from tokcom.models.recovery import load_recovery
from tokcom_lab.air.bursts import CODEBOOK, Album, SentBurst, album, random_burst, send
from tokcom_lab.air.section import Settings

PACKETS = 64
"""Packets per burst."""
WITH_MODEL = tuple(mode for mode in MODES if mode in ("mask", "context"))


def burst_for(settings: Settings, mode: str, rng: np.random.Generator, number: int, mcs: str) -> SentBurst:
    """Make burst `number`: a photograph for modes with a model, else random tokens."""
    if mode in WITH_MODEL:
        return send(photographs(settings).frame(number), mcs)
    return random_burst(rng, number, mcs, PACKETS)


def receiver_for(settings: Settings, mode: str) -> Receiver:
    """Make a new receiver for such bursts."""
    words = photographs(settings).codebook if mode in WITH_MODEL else CODEBOOK
    return Receiver([words], _recovery(settings.model, mode, settings.device))


def photographs(settings: Settings) -> Album:
    """Load the photographs of a run."""
    return album(settings.data, settings.photographs, settings.model, settings.seed)


@cache
def _recovery(model: str, mode: str, device: str) -> FrameRecovery:
    return load_recovery(model, mode, device) if mode in WITH_MODEL else FrameRecovery(mode)
