import hashlib

import numpy as np
from hypothesis import given
from hypothesis import strategies as st
from scipy.special import expit

from tokcom.source.dither import (
    DITHERS,
    HALF,
    MARGIN,
    NO_DITHER,
    STEPS,
    companded,
    find_dither,
    first_suits,
    probabilities,
    probability_table,
)

TABLE = "63b2d3812e28208b"


def test_the_table_is_the_logistic_function_and_the_same_everywhere():
    table = probability_table()
    points = np.arange(-(len(table) // 2), len(table) // 2 + 1) / (STEPS * DITHERS)
    # Full steps up to 2, twice as wide ones up to 4, four times up to 7, eight times from there.
    log_odds = np.sign(points) * np.interp(np.abs(points), [0, 2, 3, 3.75, 5], [0, 2, 4, 7, 17])
    np.testing.assert_array_equal(table, np.clip(np.rint(65536 * expit(log_odds)), 1, 65535))
    inside = np.abs(log_odds) <= 12
    np.testing.assert_allclose(companded(log_odds[inside]), points[inside], atol=1e-12)
    assert hashlib.sha256(table.astype("<i4").tobytes()).hexdigest()[:16] == TABLE


@given(st.integers(0, 2**32 - 1), st.integers(1, 2560))
def test_log_odds_within_the_margin_give_equal_probabilities(seed, count):
    rng = np.random.default_rng(seed)
    odds = np.clip(rng.normal(0, 6, count), -12, 12)
    dither = find_dither(odds)
    if dither == NO_DITHER:
        return
    near = np.clip(odds + rng.uniform(-MARGIN, MARGIN, count), -12, 12)
    np.testing.assert_array_equal(probabilities(near, np.array(dither)), probabilities(odds, np.array(dither)))


@given(st.integers(0, DITHERS - 1), st.floats(-12, 12))
def test_probabilities_are_near_the_true_ones(dither, odds):
    found = probabilities(np.array([odds]), np.array(dither))[0] / 65536
    half_step = 0.5 / STEPS * np.select([abs(odds) < 1.5, abs(odds) < 3.5, abs(odds) < 6], [2, 4, 8], 8) + 1e-9
    low, high = expit(np.array([odds - half_step, odds + half_step]))
    assert low - 1 / 65536 <= found <= high + 1 / 65536


def test_hopeless_log_odds_have_no_dither_and_are_coded_flat():
    odds = np.arange(DITHERS) / DITHERS / STEPS + 0.5 / STEPS
    assert odds.max() < 2
    assert find_dither(odds) == NO_DITHER
    np.testing.assert_array_equal(probabilities(odds, np.array(NO_DITHER)), HALF)


def test_the_number_of_a_dither_is_coded_with_its_frequency():
    rng = np.random.default_rng(0)
    # A mean slope of 0.6: most of them within 2.
    odds = np.where(rng.random((300, 2000)) < 0.367, rng.uniform(-2, 2, (300, 2000)), rng.uniform(-12, 12, (300, 2000)))
    numbers = np.array([find_dither(own) for own in odds])
    assert abs(np.mean(numbers == 0) - first_suits(2000) / 65536) < 0.07
