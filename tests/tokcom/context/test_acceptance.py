import numpy as np
import pytest

from tokcom.context.acceptance import Acceptance, fit_acceptance
from tokcom.errors import ParameterError


def test_without_knots_posteriors_are_those_of_the_odds():
    odds = np.array([-3.0, 0.0, 5.0, 2000.0, np.inf])
    assert Acceptance().posterior(odds) == pytest.approx([1 / (1 + np.exp(3)), 0.5, 1 / (1 + np.exp(-5)), 1, 1])


def test_the_curve_is_followed_and_flat_beyond_its_ends():
    curve = Acceptance((0.0, 10.0), (0.0, 5.0))
    expected = 1 / (1 + np.exp(-np.array([0.0, 2.0, 5.0, 5.0])))
    assert curve.posterior(np.array([-9.0, 4.0, 10.0, 99.0])) == pytest.approx(expected)
    assert curve.posterior(np.array([np.inf])) == 1, "a CRC that held needs no curve"


@pytest.mark.parametrize(("odds", "to"), [((1.0,), ()), ((2.0, 1.0), (0.0, 1.0)), ((1.0, 2.0), (1.0, 0.0))])
def test_curves_that_fall_are_refused(odds, to):
    with pytest.raises(ParameterError, match="not an ascending curve"):
        Acceptance(odds, to)


def test_a_decoder_that_believes_too_much_is_brought_down():
    """Odds stretched by two: the fitted curve gives back what comes true, to within the counts' spread."""
    rng = np.random.default_rng(0)
    true = rng.uniform(-4, 9, 200_000)
    right = rng.random(len(true)) < 1 / (1 + np.exp(-true))
    curve = fit_acceptance(2 * true, right)
    for low, high in ((-4, -2), (0, 1), (2, 3), (4, 5)):
        here = (true > low) & (true < high)
        expected = right[here].mean()
        spread = np.sqrt(expected * (1 - expected) / here.sum())
        assert curve.posterior(2 * true[here]).mean() == pytest.approx(expected, abs=5 * spread + 0.002)


def test_certainty_has_to_be_earned():
    """100 packets of enormous odds, all right, are no proof of one error in a million."""
    curve = fit_acceptance(np.linspace(20, 40, 100), np.ones(100, bool))
    assert 0.98 < curve.posterior(np.array([40.0]))[0] < 0.999
