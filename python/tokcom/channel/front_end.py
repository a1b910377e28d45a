"""Faults of front ends: clipping, IQ imbalance, DC offset."""

import math

import numpy as np

from tokcom.kernels import kernel


def clip(samples: np.ndarray, level: float) -> np.ndarray:
    """Limit the magnitude of samples, complex64 (n,), in place, keeping their phase (an ideal soft limiter)."""
    if math.isfinite(level):
        _clip(samples, np.float32(level))
    return samples


def receive(samples: np.ndarray, iq_gain_db: float, iq_phase_deg: float, dc_offset: complex) -> np.ndarray:
    """Apply the faults of a direct-conversion receiver to samples, complex64 (n,), in place.

    The in-phase part is unchanged; the quadrature part becomes g (Q cos p - I sin p). Then the DC offset is added.

    Args:
        samples: samples of full scale 1.
        iq_gain_db: g in dB.
        iq_phase_deg: p in degrees.
        dc_offset: relative to full scale.
    """
    if iq_gain_db or iq_phase_deg or dc_offset:
        gain, phase = 10 ** (iq_gain_db / 20), math.radians(iq_phase_deg)
        straight, crossed = np.float32(gain * math.cos(phase)), np.float32(-gain * math.sin(phase))
        _receive(samples.view(np.float32), straight, crossed, np.float32(dc_offset.real), np.float32(dc_offset.imag))
    return samples


@kernel
def _clip(samples, level):
    for i in range(samples.shape[0]):
        magnitude = abs(samples[i])
        if magnitude > level:
            samples[i] *= level / magnitude


@kernel
def _receive(parts, straight, crossed, dc_in_phase, dc_quadrature):
    for i in range(0, parts.shape[0], 2):
        parts[i + 1] = parts[i + 1] * straight + parts[i] * crossed + dc_quadrature
        parts[i] += dc_in_phase
