"""Where curves fall to a value."""

import pytest

from tokcom_lab.curves.crossing import esn0_at


def test_where_a_curve_falls_to_a_value():
    assert esn0_at([(2.0, 0.05), (1.0, 0.3)], 0.1) == pytest.approx(1.8)
    assert esn0_at([(0.0, 4.0), (2.0, 2.0)], 3.5) == pytest.approx(0.5)
    assert esn0_at([(0.0, 0.4), (2.0, 0.025)], 0.1, logarithmic=True) == pytest.approx(1.0)
    assert esn0_at([(0.0, 1.0), (6.0, 0.0)], 0.1, logarithmic=True) == pytest.approx(1.0)
    assert esn0_at([(1.0, 0.3)], 0.1) is None and esn0_at([(0.0, 4.0), (2.0, 2.0)], 5.0) is None
