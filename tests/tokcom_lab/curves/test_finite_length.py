import numpy as np
import pytest
import scipy
from scipy.optimize import brentq
from scipy.stats import norm

from tokcom_lab.curves.finite_length import capacity_and_dispersion, packet_error_bound


@pytest.mark.parametrize(
    ("n_bits", "rate", "esn0_db"), [(56, 0.1, 5.33), (56, 0.01, 6.42), (40, 0.1, 2.94), (40, 0.01, 4.18)]
)
def test_the_bound_on_packets_of_31_16qam_symbols(n_bits, rate, esn0_db):
    """Values computed apart from this code."""
    found = brentq(lambda value: packet_error_bound("16qam", value, 31, n_bits) - rate, 0, 10)
    assert found == pytest.approx(esn0_db, abs=0.05)


def test_bpsk_capacity_is_the_textbooks():
    """At Es/N0 = 0 dB on the complex channel: 0.7215 bit (the real channel's capacity at a variance of 1/2)."""
    x = np.linspace(-6, 8, 20001)
    density = norm.pdf(x, 1, np.sqrt(0.5))
    integral = scipy.integrate.trapezoid(density * np.log2(1 + np.exp(-4 * x)), x)
    assert capacity_and_dispersion("bpsk", 0.0)[0] == pytest.approx(1 - integral, abs=1e-4)


def test_without_noise_every_bit_arrives():
    capacity, dispersion = capacity_and_dispersion("16qam", 40.0)
    assert capacity == pytest.approx(4, abs=1e-9) and dispersion == pytest.approx(0, abs=1e-9)
