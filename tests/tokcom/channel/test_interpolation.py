import numpy as np
import pytest

from tokcom.channel.interpolation import DELAY, TAPS, fractional_delay

USED = np.pi * np.linspace(-52 / 64, 52 / 64, 801)
"""Radians per sample of 52 of 64 carriers."""


def test_the_frequency_response_is_that_of_a_delay():
    fraction = np.linspace(0, 1, 65)
    response = fractional_delay(fraction) @ np.exp(-1j * np.outer(np.arange(TAPS), USED))
    error = np.abs(response - np.exp(-1j * np.outer(DELAY + fraction, USED)))
    assert 20 * np.log10(error.max()) < -55
    inner = error[:, np.abs(USED) < 0.8 * np.pi]
    assert 10 * np.log10(np.mean(inner**2, axis=1).max()) < -65


@pytest.mark.parametrize("whole", [0, 1])
def test_whole_samples_are_exact(whole):
    assert np.allclose(fractional_delay(whole), np.arange(TAPS) == DELAY + whole, atol=1e-9)
