"""Receivers in each mode of recovery, and bursts of tokens that suit it: photographs where context is to help."""

from functools import cache

import numpy as np

from tokcom.link.bursts import Receiver
from tokcom.link.modes import MODES
from tokcom.link.recovery import FrameRecovery
from tokcom.models.zoo import load_recovery
from tokcom_lab.air.bursts import CODEBOOK, Album, SentBurst, album, random_burst, send
from tokcom_lab.air.section import Settings

PACKETS = 64
"""Of a burst."""
WITH_MODEL = tuple(mode for mode in MODES if mode in ("mask", "context"))


def burst_for(settings: Settings, mode: str, rng: np.random.Generator, number: int, mcs: str) -> SentBurst:
    """Burst `number`: a photograph for modes with a model, else random tokens."""
    if mode in WITH_MODEL:
        return send(photographs(settings).frame(number), mcs)
    return random_burst(rng, number, mcs, PACKETS)


def receiver_for(settings: Settings, mode: str) -> Receiver:
    """A receiver for such bursts, which has seen nothing yet."""
    words = photographs(settings).codebook if mode in WITH_MODEL else CODEBOOK
    return Receiver([words], _recovery(settings.model, mode, settings.device))


def photographs(settings: Settings) -> Album:
    """The photographs of a run."""
    return album(settings.data, settings.photographs, settings.model, settings.seed)


@cache
def _recovery(model: str, mode: str, device: str) -> FrameRecovery:
    return load_recovery(model, mode, device) if mode in WITH_MODEL else FrameRecovery(mode)
