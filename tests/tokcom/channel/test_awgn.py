import numpy as np
import pytest

from tokcom.channel.awgn import awgn, noise_variance
from tokcom.errors import ParameterError


@pytest.mark.parametrize("esn0_db", [-3.0, 0.0, 7.5])
def test_noise_has_the_power_asked_for(esn0_db):
    noise = awgn(np.zeros((100, 4000), np.complex64), esn0_db, np.random.default_rng(1))
    expected = 10 ** (-esn0_db / 10)
    # The power estimate of n circular samples has a relative deviation of 1 / sqrt(n).
    assert abs(np.mean(np.abs(noise) ** 2) / expected - 1) < 5 / np.sqrt(noise.size)
    assert abs(np.mean(noise**2)) < 5 * expected / np.sqrt(noise.size)


def test_the_same_seed_gives_the_same_noise():
    first, second = (awgn(np.ones(50, np.complex64), 6.0, np.random.default_rng(3)) for _ in range(2))
    assert np.array_equal(first, second) and first.dtype == np.complex64


@pytest.mark.parametrize("bad", [float("nan"), float("inf"), "six", None, 5000, -5000])
def test_what_is_no_number_of_db_is_named(bad):
    with pytest.raises(ParameterError, match=f"esn0_db is {bad!r}"):
        noise_variance(bad)
