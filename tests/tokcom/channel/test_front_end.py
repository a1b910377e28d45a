import math

import numpy as np
import pytest

from tokcom.channel.front_end import clip, receive


def test_clipping_limits_the_magnitude_and_keeps_the_phase():
    rng = np.random.default_rng(0)
    samples = rng.standard_normal((1000, 2)).astype(np.float32).view(np.complex64)[:, 0]
    clipped = clip(samples.copy(), 1.2)
    assert np.allclose(np.abs(clipped), np.minimum(np.abs(samples), 1.2), rtol=1e-6)
    assert np.allclose(np.angle(clipped), np.angle(samples), atol=1e-6)
    assert np.array_equal(clip(samples.copy(), math.inf), samples)


@pytest.mark.parametrize(("gain_db", "phase_deg"), [(1.0, 0.0), (0.0, 3.0), (-0.5, -2.0), (3.0, 10.0)])
def test_the_image_of_a_tone_is_as_strong_as_the_formula_says(gain_db, phase_deg):
    """Valkama, Renfors, Koivunen, IEEE Trans. Signal Processing 49(10), 2001."""
    tone = np.exp(2j * np.pi * 0.125 * np.arange(4096)).astype(np.complex64)
    spectrum = np.abs(np.fft.fft(receive(tone, gain_db, phase_deg, 0))) ** 2
    measured = 10 * math.log10(spectrum[512] / spectrum[-512])
    gain, cosine = 10 ** (gain_db / 20), math.cos(math.radians(phase_deg))
    formula = 10 * math.log10((1 + gain**2 + 2 * gain * cosine) / (1 + gain**2 - 2 * gain * cosine))
    assert measured == pytest.approx(formula, abs=0.01)


def test_the_dc_offset_comes_on_top():
    assert np.allclose(receive(np.ones(4, np.complex64), 6.0, 0, 0.1 - 0.2j), 1.1 - 0.2j)
